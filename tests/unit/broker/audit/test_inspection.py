from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from sqlmodel import SQLModel

from broker.adapters.db.database import Database
from broker.audit import inspection, store
from broker.audit.chain import Break, Verified, verify
from broker.audit.model import AuditEvent
from broker.kernel.clock import StandingClock
from broker.kernel.sensitivity import Public

COLUMNS = ("at", "code", "actor", "subject", "params_json", "previous_hash", "hash")


@dataclass(frozen=True, kw_only=True)
class Written(AuditEvent):
    code: ClassVar[str] = "test_inspection.written"
    words: Public[str] = "压机停了, ask Wu"
    number: Public[int] = 4
    is_late: Public[bool] = True
    until: Public[str | None] = None


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    clock = StandingClock(datetime(2026, 11, 20, 9, 30, 1, 250_000, tzinfo=UTC))
    made = Database(f"sqlite:///{tmp_path / 'test.db'}", store.EventAppender(clock))
    for name in ("audit_events", "outbox"):
        SQLModel.metadata.tables[name].create(made.engine)
    with made.unit_of_work() as unit:
        for number in range(3):
            unit.emit(Written(actor="psn_1", subject=f"tst_{number}"))
    yield made
    made.close()


def _walk(database: Database) -> list[inspection.Stored]:
    with database.reading() as session:
        return list(inspection.walk(session))


def _change(database: Database, statement: str, *values: object) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(statement, values)


def _breaks_at_two(database: Database) -> bool:
    rows = _walk(database)
    if any(not row.is_intact for row in rows):
        return [row.record.seq for row in rows if not row.is_intact] == [2]
    result = verify(row.record for row in rows)
    return isinstance(result, Break) and result.seq == 2


def test_what_the_appender_wrote_is_intact(database: Database) -> None:
    rows = _walk(database)
    assert all(row.is_intact for row in rows)
    with database.reading() as session:
        assert [row.record for row in rows] == list(store.walk(session))
    assert isinstance(verify(row.record for row in rows), Verified)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_byte_of_every_column_counts(database: Database, column: str) -> None:
    with database.engine.connect() as connection:
        kind, stored = connection.exec_driver_sql(
            f"SELECT typeof({column}), CAST({column} AS BLOB) FROM audit_events WHERE seq = 2"  # noqa: S608
        ).one()
    for position in range(len(stored)):
        changed = bytearray(stored)
        changed[position] ^= 1
        _change(database, f"UPDATE audit_events SET {column} = CAST(? AS {kind}) WHERE seq = 2", bytes(changed))  # noqa: S608
        assert _breaks_at_two(database), (column, position)
    _change(database, f"UPDATE audit_events SET {column} = CAST(? AS {kind}) WHERE seq = 2", stored)  # noqa: S608
    assert all(row.is_intact for row in _walk(database))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", [0, 1.5, "", b"", b"\xff\xfe", "\ud7ff", "9" * 5000, "[" * 5000])
def test_no_content_of_a_column_stops_the_walk(database: Database, column: str, value: object) -> None:
    _change(database, f"UPDATE audit_events SET {column} = ? WHERE seq = 2", value)  # noqa: S608
    assert len(_walk(database)) == 3
    assert _breaks_at_two(database)


def test_text_that_is_not_utf8_is_named_by_its_number(database: Database) -> None:
    _change(database, "UPDATE audit_events SET actor = CAST(x'fffe' AS TEXT) WHERE seq = 2")
    assert [row.is_intact for row in _walk(database)] == [True, False, True]


@pytest.mark.parametrize(
    ("column", "spelling"),
    [
        ("at", "2026-11-20T09:30:01.250000"),
        ("at", "2026-11-20 09:30:01.25"),
        ("params_json", '{"is_late":true,"number":4,"until":null,"words":"压机停了, ask Wu"}'),
        ("params_json", '{"is_late": true, "number": 4, "until": null, "words": "\\u538b机停了, ask Wu"}'),
    ],
)
def test_another_spelling_of_the_same_is_not_what_was_written(database: Database, column: str, spelling: str) -> None:
    _change(database, f"UPDATE audit_events SET {column} = ? WHERE seq = 2", spelling)  # noqa: S608
    assert [row.is_intact for row in _walk(database)] == [True, False, True]


def test_a_long_trail_is_walked_whole(database: Database) -> None:
    with database.unit_of_work() as unit:
        for _ in range(1000):
            unit.emit(Written(actor="psn_1", subject="x"))
    assert [row.record.seq for row in _walk(database)] == list(range(1, 1004))


def test_a_row_before_the_first_is_seen(database: Database) -> None:
    _change(database, "UPDATE audit_events SET seq = -5 WHERE seq = 2")
    assert [row.record.seq for row in _walk(database)] == [-5, 1, 3]


def test_the_records_about_one_thing_and_one_record_alone(database: Database) -> None:
    with database.reading() as session:
        first = next(iter(inspection.walk(session)))
        assert first in list(inspection.about(session, first.record.subject))
        assert list(inspection.about(session, "nobody")) == []
        assert inspection.one(session, first.record.seq) == first
        assert inspection.one(session, 10_000) is None
        assert [one.record.seq for one in inspection.walk(session, after=1)][:1] == [2]
