from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from sqlmodel import SQLModel

from broker.adapters.db.database import Database
from broker.audit import chain, store
from broker.audit.model import AuditEvent
from broker.kernel.clock import StandingClock
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class Noted(AuditEvent):
    code: ClassVar[str] = "test_store.noted"
    number: Public[int]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    clock = StandingClock(datetime(2026, 11, 20, 9, tzinfo=UTC))
    made = Database(f"sqlite:///{tmp_path / 'test.db'}", store.EventAppender(clock))
    for name in ("audit_events", "outbox"):
        SQLModel.metadata.tables[name].create(made.engine)
    yield made
    made.close()


def _note(database: Database, *numbers: int) -> None:
    with database.unit_of_work() as unit:
        for number in numbers:
            unit.emit(Noted(actor="system:test", subject=f"tst_{number % 2}", number=number))


def test_events_of_many_transactions_form_one_chain(database: Database) -> None:
    _note(database, 1, 2)
    _note(database, 3)
    with database.reading() as session:
        records = list(store.walk(session))
    assert [record.params["number"] for record in records] == [1, 2, 3]
    assert chain.verify(records) == chain.Verified(3, records[-1].hash)


def test_a_row_changed_behind_our_back_is_found(database: Database) -> None:
    _note(database, 1, 2, 3)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_events SET actor='psn_nobody' WHERE seq=2")
    with database.reading() as session:
        assert chain.verify(store.walk(session)) == chain.Break(2, "altered")


def test_the_newest_come_first_and_can_be_paged_and_filtered(database: Database) -> None:
    _note(database, *range(10))
    with database.reading() as session:
        first = store.newest(session, limit=3)
        assert [record.seq for record in first] == [10, 9, 8]
        assert [record.seq for record in store.newest(session, limit=2, before_seq=8)] == [7, 6]
        assert len(store.newest(session, limit=50, code="test_store.*")) == 10
        assert store.newest(session, limit=50, code="test_store.other") == []
        assert {record.subject for record in store.newest(session, limit=50, subject="tst_1")} == {"tst_1"}


def test_walking_goes_past_one_page(database: Database) -> None:
    _note(database, *range(501))
    with database.reading() as session:
        assert isinstance(chain.verify(store.walk(session)), chain.Verified)
        assert sum(1 for _ in store.walk(session)) == 501


def test_what_is_no_event_is_refused_and_nothing_is_written(database: Database) -> None:
    with pytest.raises(TypeError, match="no audit event"), database.unit_of_work() as unit:
        unit.emit("just a text")
    with database.reading() as session:
        assert list(store.walk(session)) == []


def test_every_event_waits_in_the_outbox_until_it_is_settled(database: Database) -> None:
    _note(database, 1, 2)
    with database.reading() as session:
        assert [record.seq for record in store.pending(session, 10)] == [1, 2]
    with database.unit_of_work() as unit:
        store.settle(unit.session, 1)
        store.count_attempt(unit.session, 2)
    with database.reading() as session:
        assert [record.seq for record in store.pending(session, 10)] == [2]
