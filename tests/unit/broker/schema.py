"""The schema for a test's database: making every table takes longer than most tests, so SQLite's is made once."""

from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, create_engine
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from broker.adapters.db.database import Database


def with_schema(database: Database, url: str) -> None:
    """Give this empty database every table that is known."""
    address = make_url(url)
    if address.drivername == "sqlite" and address.database:
        Path(address.database).write_bytes(_blank(known_tables()))
    else:
        SQLModel.metadata.create_all(database.engine)
    share_compiled(database)


def known_tables() -> frozenset[str]:
    """The names of the tables of every module that was imported."""
    return frozenset(SQLModel.metadata.tables)


@cache
def _blank(_tables: frozenset[str]) -> bytes:
    """An SQLite file with these tables, which are all that are known, and no rows."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        content: bytes = driver.serialize()
    engine.dispose()
    return content


_shared: dict[str, tuple[Dialect, dict[Any, Any]]] = {}


def share_compiled(database: Database) -> None:
    """Let this database use what others of its kind have compiled: each engine would compile every statement anew."""
    engine = database.engine
    dialect, compiled = _shared.setdefault(engine.dialect.name, (engine.dialect, {}))
    if dialect is engine.dialect:
        with engine.connect():
            pass
    engine.dialect = dialect
    engine.update_execution_options(compiled_cache=compiled)
