"""Rows that the database itself refuses, beyond what a CHECK can say: triggers that mean the same on both stores.

A refusal is SQLAlchemy's IntegrityError, as with every other constraint. A guard belongs to its table: a revision that
makes a table anew on SQLite must make the table's guards anew.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import DDL, event

_SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"


@dataclass(frozen=True)
class Guard:
    """Refuses a change of a table's rows.

    `before` is `INSERT`, `DELETE` or `UPDATE OF column`; `refuses_when` is SQL over `NEW` and `OLD` that both stores
    understand, or `on_postgresql` says the same for PostgreSQL; `words` say why, without quotes or percent signs. All
    of it is the product's own text, never outside input.
    """

    name: str
    table: str
    before: str
    refuses_when: str
    words: str
    on_postgresql: str | None = None

    def __post_init__(self) -> None:
        if set("'\"%$") & set(self.words):
            raise ValueError("a guard's words hold no quotes, dollars or percent signs")

    def creation(self, dialect: str) -> list[str]:
        """The statements that set this guard up. Raises ValueError for another kind of database."""
        if dialect == _SQLITE:
            return [
                f"CREATE TRIGGER {self.name} BEFORE {self.before} ON {self.table} WHEN {self.refuses_when} "
                f"BEGIN SELECT RAISE(ABORT, '{self.words}'); END"
            ]
        if dialect == _POSTGRESQL:
            row = "OLD" if self.before == "DELETE" else "NEW"
            return [
                f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {self.on_postgresql or self.refuses_when} THEN "
                f"RAISE EXCEPTION '{self.words}' USING ERRCODE = 'check_violation'; "
                f"END IF; RETURN {row}; END $$",
                f"CREATE TRIGGER {self.name} BEFORE {self.before} ON {self.table} "
                f"FOR EACH ROW EXECUTE FUNCTION {self.name}()",
            ]
        raise ValueError(f"no guards for a database of the kind {dialect!r}")

    def removal(self, dialect: str) -> list[str]:
        """The statements that take this guard away. Raises ValueError for another kind of database."""
        if dialect == _SQLITE:
            return [f"DROP TRIGGER {self.name}"]
        if dialect == _POSTGRESQL:
            return [f"DROP TRIGGER {self.name} ON {self.table}", f"DROP FUNCTION {self.name}()"]
        raise ValueError(f"no guards for a database of the kind {dialect!r}")


def guard_table(table: Any, *guards: Guard) -> None:
    """Have these guards made with the table, where a schema is made without the history (in tests)."""
    for guard in guards:
        for dialect in (_SQLITE, _POSTGRESQL):
            for statement in guard.creation(dialect):
                ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call] # SQLAlchemy's own
                event.listen(table, "after_create", ddl)
