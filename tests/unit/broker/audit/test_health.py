from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.health import HeartbeatRow, TrailHealth
from broker.audit.store import EventAppender, OutboxRow
from broker.identities.testing import NOON
from broker.kernel.clock import StandingClock


class Switch:
    """SQLite itself refuses writes while this is on, as for a file that is read-only."""

    is_on = False


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def database(tmp_path: Path, switch: Switch) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'test.db'}", EventAppender(StandingClock(NOON)))
    SQLModel.metadata.create_all(made.engine)

    @event.listens_for(made.engine, "checkout")
    def _set(connection, _record, _proxy):  # type: ignore[no-untyped-def]
        connection.execute(f"PRAGMA query_only={'ON' if switch.is_on else 'OFF'}")

    yield made
    made.close()


def test_a_trail_that_can_be_written_is_known_as_such_and_tells_nothing(database: Database) -> None:
    health = TrailHealth(database, StandingClock(NOON))
    assert health.is_writable
    assert health.probe()
    assert health.probe()
    with database.reading() as session:
        assert session.get(HeartbeatRow, 1) is not None
        assert store.head(session)[0] == 0


def test_any_write_that_fails_shows_at_once_and_a_probe_that_succeeds_tells_for_how_long(
    database: Database, switch: Switch
) -> None:
    health = TrailHealth(database, StandingClock(NOON))
    switch.is_on = True
    with pytest.raises(OperationalError), database.unit_of_work() as unit:
        unit.session.add(OutboxRow(seq=1))
    assert not health.is_writable
    assert not health.probe()
    state = health.state()
    assert (state.failing_since, state.failures, state.problem) == (NOON, 2, "OperationalError")
    switch.is_on = False
    assert health.probe()
    assert health.is_writable
    assert health.state().failing_since is None
    with database.reading() as session:
        (told,) = store.walk(session)
    assert (told.code, told.params["failures"]) == ("audit.trail.writable", 2)


def test_nobody_needs_to_write_for_it_to_show(database: Database, switch: Switch) -> None:
    health = TrailHealth(database, StandingClock(NOON))
    switch.is_on = True
    assert not health.probe()
    assert not health.is_writable


def test_a_row_that_the_database_refuses_is_no_failure_of_the_trail(database: Database) -> None:
    health = TrailHealth(database, StandingClock(NOON))
    with database.unit_of_work() as unit:
        unit.session.add(OutboxRow(seq=1))
    with pytest.raises(IntegrityError), database.unit_of_work() as unit:
        unit.session.add(OutboxRow(seq=1))
    assert health.is_writable
