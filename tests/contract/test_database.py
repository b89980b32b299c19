"""What every store of the broker must do, on each of them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlmodel import SQLModel, col, select

from broker.adapters.db.database import Database
from broker.app import database_copy, migrations, tables
from broker.app.errors import CommandError
from broker.audit import chain, inspection, store
from broker.audit.model import AuditEvent
from broker.audit.reactions import Reactions
from broker.identities.model import Language, PersonState, Role
from broker.identities.store import PersonRow
from broker.kernel.clock import StandingClock
from broker.kernel.errors import Unavailable
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import Public
from tests.contract import postgres as servers
from tests.contract.postgres import Postgres

postgres, database_url = servers.postgres, servers.database_url
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Counted(AuditEvent):
    code: ClassVar[str] = "test_contract.counted"
    words: Public[str] = "压机停了"
    number: Public[int] = 0


def _opened(url: str) -> Database:
    database = Database(url, store.EventAppender(StandingClock(NOON)))
    SQLModel.metadata.create_all(database.engine)
    return database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = _opened(database_url)
    yield made
    made.close()


def _event(number: int = 0) -> Counted:
    return Counted(actor="system:test", subject="tst_1", number=number)


def _person(username: str, at: datetime = NOON) -> PersonRow:
    return PersonRow(
        id=new_id("psn", at),
        username=username,
        display_name="吴工",
        role=Role.AUDITOR,
        language=Language.CHINESE,
        state=PersonState.ACTIVE,
        created_at=at,
        entered_by="system:host",
        confirmed_by="system:host",
    )


def _people(database: Database) -> list[PersonRow]:
    with database.reading() as session:
        rows = list(session.exec(select(PersonRow).order_by(col(PersonRow.username))).all())
        session.expunge_all()
        return rows


def _trail(database: Database) -> chain.Verified | chain.Break:
    with database.reading() as session:
        return chain.verify(store.walk(session))


def test_a_change_and_its_event_are_kept_together(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
        unit.emit(_event())
    assert [row.username for row in _people(database)] == ["wu"]
    assert _trail(database) == chain.Verified(1, _head(database))


def _head(database: Database) -> bytes:
    with database.reading() as session:
        return store.newest(session, limit=1)[0].hash


def test_nothing_is_left_of_a_unit_of_work_that_raises(database: Database) -> None:
    with pytest.raises(ValueError, match="no"), database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
        unit.session.flush()
        unit.emit(_event())
        raise ValueError("no")
    assert _people(database) == []
    assert _trail(database) == chain.Verified(0, chain.GENESIS)


def test_nothing_is_left_when_the_event_cannot_be_written(database: Database) -> None:
    with pytest.raises(TypeError, match="no audit event"), database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
        unit.emit("not an event")
    assert _people(database) == []


def test_a_changed_row_in_reading_is_never_kept(database: Database) -> None:
    with database.reading() as session:
        session.add(_person("wu"))
        session.flush()
    assert _people(database) == []


def test_two_writers_append_one_chain_without_gaps(database: Database) -> None:
    failed: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for number in range(first, first + 15):
                with database.unit_of_work() as unit:
                    unit.emit(_event(number))
                    unit.emit(_event(number))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    result = _trail(database)
    assert isinstance(result, chain.Verified)
    assert result.last_seq == 60


def test_two_processes_append_one_chain_without_gaps(database_url: str) -> None:
    """Two engines share no lock of ours: only the database's own keeps them apart, as it would two processes."""
    first, second = _opened(database_url), _opened(database_url)
    try:

        def write(database: Database) -> None:
            for number in range(15):
                with database.unit_of_work() as unit:
                    unit.emit(_event(number))

        threads = [threading.Thread(target=write, args=(one,)) for one in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        result = _trail(first)
        assert isinstance(result, chain.Verified)
        assert result.last_seq == 30
    finally:
        first.close()
        second.close()


def test_reading_deciding_and_writing_is_one_step(database_url: str) -> None:
    """What every one-use token and every counted approval rests on."""
    first, second = _opened(database_url), _opened(database_url)
    with first.unit_of_work() as unit:
        unit.session.add(_person("token"))
    winners: list[int] = []
    ready = threading.Barrier(2)

    def burn(database: Database, who: int) -> None:
        ready.wait(10)
        with database.unit_of_work() as unit:
            row = unit.session.exec(select(PersonRow)).one()
            time.sleep(0.2)
            if row.state is PersonState.ACTIVE:
                row.state = PersonState.SUSPENDED
                unit.session.add(row)
                winners.append(who)

    try:
        threads = [threading.Thread(target=burn, args=(one, who)) for who, one in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(winners) == 1
    finally:
        first.close()
        second.close()


def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    with database.reading() as session:
        assert session.exec(select(PersonRow)).all() == []
        with database.unit_of_work() as unit:
            unit.session.add(_person("wu"))
        assert session.exec(select(PersonRow)).all() == []
    assert len(_people(database)) == 1


def test_a_reader_within_a_unit_of_work_does_not_wait_for_it(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
        unit.session.flush()
        assert _people(database) == []


def test_the_trail_reads_as_it_was_written_and_a_changed_column_shows(database: Database) -> None:
    with database.unit_of_work() as unit:
        for number in range(3):
            unit.emit(_event(number))
    with database.reading() as session:
        stored = list(inspection.walk(session))
        assert [one.record for one in stored] == list(store.walk(session))
    assert all(one.is_intact for one in stored)
    with database.unit_of_work() as unit:
        unit.session.connection().execute(text("UPDATE audit_events SET params_json = '{}' WHERE seq = 2"))
    with database.reading() as session:
        records = [one.record for one in inspection.walk(session)]
    assert chain.verify(records) == chain.Break(2, "altered")


def test_an_event_stays_in_the_outbox_until_its_reaction_has_succeeded(database: Database) -> None:
    reactions, served, broken = Reactions(database), [], [True]

    def react(event: Counted) -> None:
        if broken[0]:
            raise RuntimeError("the neighbour is down")
        served.append(event.number)

    reactions.subscribe(Counted, react)
    with database.unit_of_work() as unit:
        unit.emit(_event(7))
    with database.reading() as session:
        assert session.get(store.OutboxRow, 1).attempts == 1
    broken[0] = False
    assert reactions.deliver_pending() == 0
    assert served == [7]
    with database.reading() as session:
        assert store.pending(session, 10) == []


def test_a_moment_comes_back_to_the_microsecond_in_utc(database: Database) -> None:
    at = datetime(2026, 3, 29, 3, 30, 0, 123_457, tzinfo=timezone(timedelta(hours=8)))
    with database.unit_of_work() as unit:
        unit.session.add(_person("wu", at))
    (row,) = _people(database)
    assert row.created_at == at
    assert row.created_at.tzinfo is UTC
    assert (row.display_name, row.language) == ("吴工", Language.CHINESE)


def test_a_moment_without_time_zone_is_refused(database: Database) -> None:
    row = _person("wu")
    row.created_at = datetime(2026, 11, 20)  # noqa: DTZ001 - the point of the test
    with pytest.raises(StatementError, match="without time zone"), database.unit_of_work() as unit:
        unit.session.add(row)


def test_the_database_itself_refuses_what_no_enum_knows(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
    for column in ("role", "state", "language"):
        with pytest.raises(IntegrityError), database.unit_of_work() as unit:
            unit.session.connection().execute(text(f"UPDATE people SET {column} = 'emperor'"))  # noqa: S608


def test_the_database_itself_keeps_names_and_references(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
    with pytest.raises(IntegrityError), database.unit_of_work() as unit:
        unit.session.add(_person("wu"))
    with pytest.raises(IntegrityError), database.unit_of_work() as unit:
        unit.session.connection().execute(
            text("INSERT INTO activations (person_id, token_hash, expires_at) VALUES ('psn_nobody', '', '2026-11-20')")
        )


def test_bytes_come_back_as_they_were(database: Database) -> None:
    row = _person("wu")
    row.totp_sealed = bytes(range(256))
    with database.unit_of_work() as unit:
        unit.session.add(row)
    assert _people(database)[0].totp_sealed == bytes(range(256))


def test_the_history_leads_from_nothing_to_exactly_the_tables_of_this_release(database_url: str) -> None:
    migrations.upgrade(database_url)
    command.check(migrations.configuration(database_url))
    migrations.upgrade(database_url)
    engine = create_engine(database_url)
    try:
        made = set(inspect(engine).get_table_names())
    finally:
        engine.dispose()
    assert made == {str(row.__tablename__) for row in tables.ALL} | {"alembic_version"}


def test_the_history_keeps_the_checks(database_url: str) -> None:
    migrations.upgrade(database_url)
    database = Database(database_url, store.EventAppender(StandingClock(NOON)))
    try:
        with database.unit_of_work() as unit:
            unit.session.add(_person("wu"))
        with pytest.raises(IntegrityError), database.unit_of_work() as unit:
            unit.session.connection().execute(text("UPDATE people SET role = 'emperor'"))
    finally:
        database.close()


_INSERT_AT_0003 = text(
    "INSERT INTO people (id, username, display_name, role, company, language, state, created_at, password_hash, "
    "failed_attempts) VALUES (:id, :id, 'X', :role, :company, 'en', :state, '2026-11-20 12:00:00.000000', :hash, 0)"
)


def test_people_of_an_older_site_stay_who_they_are_and_their_roles_are_kept_from_then_on(database_url: str) -> None:
    configuration = migrations.configuration(database_url)
    command.upgrade(configuration, "0003")
    engine = create_engine(database_url)
    people = (
        ("psn_root", "system_administrator", None, "active", "$argon2"),
        ("psn_sec", "security_administrator", None, "active", "$argon2"),
        ("psn_new", "auditor", None, "invited", None),
        ("psn_gone", "plant_admin", None, "suspended", "$argon2"),
        ("psn_eng", "vendor_engineer", "Acme", "active", "$argon2"),
    )
    with engine.begin() as connection:
        for person_id, role, company, state, kept in people:
            values = {"id": person_id, "role": role, "company": company, "state": state, "hash": kept}
            connection.execute(_INSERT_AT_0003, values)
        connection.execute(text("INSERT INTO zones (id, name, created_at) VALUES ('z', 'z', '2026-11-20 12:00:00')"))
    command.upgrade(configuration, "head")
    command.downgrade(configuration, "0003")
    command.upgrade(configuration, "head")
    command.check(configuration)
    states = "SELECT id, state, confirmed_by IS NOT NULL FROM people ORDER BY id"
    with engine.connect() as connection:
        found = [(one, state, bool(confirmed)) for one, state, confirmed in connection.execute(text(states))]
    assert found == [
        ("psn_eng", "active", True),
        ("psn_gone", "suspended", True),
        ("psn_new", "invited", False),
        ("psn_root", "active", True),
        ("psn_sec", "active", True),
    ]
    for refused in (
        "UPDATE people SET role = 'plant_admin' WHERE id = 'psn_new'",
        "UPDATE people SET state = 'active' WHERE id = 'psn_new'",
        "UPDATE people SET confirmed_by = 'psn_root', state = 'active' WHERE id = 'psn_new'",
        "UPDATE people SET company = 'Acme' WHERE id = 'psn_new'",
        "UPDATE people SET state = 'emperor' WHERE id = 'psn_new'",
        "INSERT INTO access_approvals (request_id, approver_id, at, duration_seconds) "
        "VALUES ('req_1', 'psn_sec', '2026-11-20 12:00:00', 60)",
    ):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(refused))
    with engine.begin() as connection:
        connection.execute(text("UPDATE people SET confirmed_by = 'psn_sec', state = 'active' WHERE id = 'psn_new'"))
    engine.dispose()


def test_a_copy_of_the_whole_database_comes_back_elsewhere(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    migrations.upgrade(database_url)
    database = Database(database_url, store.EventAppender(StandingClock(NOON)))
    try:
        with database.unit_of_work() as unit:
            unit.session.add(_person("wu"))
            unit.emit(_event(1))
        copied = database_copy.copy(database_url, "north", bytes(32), tmp_path / "copy")
        assert (copied.kind, copied.last_seq) == (database_copy.kind_of(database_url), 2)
    finally:
        database.close()
    elsewhere = f"sqlite:///{tmp_path / 'copy'}"
    if copied.kind == "postgresql":
        elsewhere = request.getfixturevalue("postgres").new_database()
        with (tmp_path / "copy").open("rb") as dump:
            database_copy.load(elsewhere, dump, None)
        with (tmp_path / "copy").open("rb") as dump, pytest.raises(CommandError, match="already exists"):
            database_copy.load(elsewhere, dump, None)
    command.check(migrations.configuration(elsewhere))
    again = Database(elsewhere, store.EventAppender(StandingClock(NOON)))
    try:
        assert [row.username for row in _people(again)] == ["wu"]
        assert _trail(again) == chain.Verified(2, bytes.fromhex(copied.head))
        assert _head(again) == bytes.fromhex(copied.head)
    finally:
        again.close()


# -- what only a server can do to its clients -------------------------------------------------------------------------


@pytest.fixture
def served(postgres: Postgres) -> Iterator[Database]:
    made = _opened(postgres.new_database())
    yield made
    made.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_loses_nothing_and_stops_nobody_for_long(
    served: Database, postgres: Postgres, mode: str
) -> None:
    with served.unit_of_work() as unit:
        unit.session.add(_person("before"))
        unit.emit(_event(1))
    with pytest.raises(OperationalError), served.unit_of_work() as unit:
        unit.session.add(_person("half"))
        unit.session.flush()
        unit.emit(_event(2))
        postgres.stop(mode)
    with pytest.raises(OperationalError), served.unit_of_work() as unit:
        unit.session.add(_person("while it was down"))
    postgres.start()
    with served.unit_of_work() as unit:
        unit.session.add(_person("after"))
        unit.emit(_event(3))
    assert [row.username for row in _people(served)] == ["after", "before"]
    result = _trail(served)
    assert isinstance(result, chain.Verified)
    assert result.last_seq == 2


def test_one_writer_that_hangs_does_not_hang_the_others_for_ever(
    served: Database, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.adapters.db.database._BUSY_SECONDS", 0.2)
    blocked: list[BaseException] = []

    def second() -> None:
        try:
            with served.unit_of_work():
                pass
        except Unavailable as error:
            blocked.append(error)

    with served.unit_of_work():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(10)
    assert [type(error) for error in blocked] == [Unavailable]
    with served.unit_of_work() as unit:
        unit.emit(_event())


def test_a_statement_and_a_lock_have_their_limits(served: Database) -> None:
    with served.reading() as session:
        connection = session.connection()
        limits = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
        }
    assert limits == {
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "TimeZone": "UTC",
    }


def test_another_process_that_holds_the_lock_is_waited_for_only_so_long(served: Database) -> None:
    with served.unit_of_work(), served.engine.connect() as other:
        other.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({0x5A11_A0D1})")
