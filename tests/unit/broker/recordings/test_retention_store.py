"""What the database itself refuses, whatever the product's own checks say."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from broker.identities.model import Role
from broker.recordings import retention_store
from broker.recordings.retention_model import PurgeState
from broker.recordings.retention_store import GUARDS, HoldRow, PurgeItemRow, PurgeRow, TombstoneRow
from tests.unit.broker.recordings.old import KEEP, Archive, an_archive
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def archive(plant: Plant) -> Archive:
    return an_archive(plant)


def refused(archive: Archive, statement: str, words: str, **values: object) -> None:
    with pytest.raises(IntegrityError, match=words), archive.plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(text(statement), values)


def confirmed_purge(archive: Archive, recording_id: str) -> str:
    """A purge as a service without any checks of its own would enter it."""
    now = archive.plant.world.clock.now()
    with archive.plant.world.database.unit_of_work() as unit:
        row = PurgeRow(
            id="prg_1",
            state=PurgeState.ASKED,
            reason="x",
            recording_count=1,
            total_bytes=1,
            list_sha256=bytes(32),
            asked_by=archive.system.id,
            asked_at=now,
            expires_at=now + timedelta(hours=1),
        )
        unit.session.add(row)
        unit.session.flush()
        unit.session.add(PurgeItemRow(purge_id=row.id, recording_id=recording_id))
        row.state, row.decided_by, row.decided_at = PurgeState.CONFIRMED, archive.auditor.id, now
        unit.session.add(row)
    return "prg_1"


def bury(archive: Archive, recording_id: str, purge_id: str) -> None:
    now = archive.plant.world.clock.now()
    with archive.plant.world.database.unit_of_work() as unit:
        unit.session.add(TombstoneRow(recording_id=recording_id, purge_id=purge_id, line=b"{}", purged_at=now))


@pytest.mark.parametrize("early", [timedelta(seconds=1), timedelta(days=100), KEEP])
def test_the_database_lets_no_tombstone_be_before_180_days(archive: Archive, early: timedelta) -> None:
    recorded = archive.recorded()
    archive.plant.world.clock.move(KEEP - early)
    purge_id = confirmed_purge(archive, recorded.recording_id)
    with pytest.raises(IntegrityError, match="kept for 180 days"):
        bury(archive, recorded.recording_id, purge_id)
    archive.plant.world.clock.move(early)
    bury(archive, recorded.recording_id, purge_id)


def test_the_database_keeps_the_times_that_count_and_the_index(archive: Archive) -> None:
    recorded = archive.recorded()
    words = "keeps the moments"
    one = recorded.recording_id
    refused(archive, "UPDATE recordings SET closed_at = '2020-01-01 00:00:00.000000' WHERE id = :one", words, one=one)
    refused(archive, "UPDATE recordings SET closed_at = NULL WHERE id = :one", words, one=one)
    refused(archive, "UPDATE recordings SET opened_at = '2020-01-01 00:00:00.000000' WHERE id = :one", words, one=one)
    refused(archive, "DELETE FROM recordings WHERE id = :one", "stays in the index", one=one)


def test_the_database_lets_nothing_held_be_destroyed(archive: Archive) -> None:
    (recording_id,) = archive.old()
    hold = archive.holding.place_hold(archive.auditor.id, recording_id, "case")
    purge_id = confirmed_purge(archive, recording_id)
    with pytest.raises(IntegrityError, match="on hold"):
        bury(archive, recording_id, purge_id)
    archive.holding.lift_hold(archive.security.id, hold.id, "done")
    bury(archive, recording_id, purge_id)


def test_the_database_wants_a_confirmed_purge_that_names_the_recording(archive: Archive) -> None:
    one, two = archive.old(2)
    purge_id, _ = archive.asked([one])
    for recording_id in (one, two):
        with pytest.raises(IntegrityError, match="confirmed purge that names it"):
            bury(archive, recording_id, purge_id)


def test_the_database_lets_only_an_auditor_confirm_in_time_and_never_who_asked(archive: Archive) -> None:
    purge_id, _ = archive.asked(archive.old())
    statement = "UPDATE recording_purges SET state = 'confirmed', decided_by = :who, decided_at = :at WHERE id = :id"
    now = archive.plant.world.clock.now()
    moment, late = (str((now + by).replace(tzinfo=None)) + ".000000" for by in (timedelta(0), timedelta(hours=72)))
    for role in set(Role) - {Role.AUDITOR}:
        who = archive.plant.world.somebody(role).id
        refused(archive, statement, "only an auditor confirms", who=who, at=moment, id=purge_id)
    refused(archive, statement, "auditor|two_people", who=archive.system.id, at=moment, id=purge_id)
    refused(archive, statement, "before it lapses", who=archive.auditor.id, at=late, id=purge_id)
    refused(archive, statement, "two_people|auditor", who=None, at=None, id=purge_id)
    archive.purging.withdraw_purge(archive.system.id, purge_id)
    refused(archive, statement, "decided once", who=archive.auditor.id, at=moment, id=purge_id)


def test_the_database_lets_only_a_system_administrator_ask(archive: Archive) -> None:
    now = archive.plant.world.clock.now()
    for role in set(Role) - {Role.SYSTEM_ADMINISTRATOR}:
        row = PurgeRow(
            id=f"prg_{role.value}",
            state=PurgeState.ASKED,
            reason="x",
            recording_count=1,
            total_bytes=1,
            list_sha256=bytes(32),
            asked_by=archive.plant.world.somebody(role).id,
            asked_at=now,
            expires_at=now,
        )
        with (
            pytest.raises(IntegrityError, match="only a system administrator"),
            archive.plant.world.database.unit_of_work() as unit,
        ):
            unit.session.add(row)


def test_the_database_keeps_holds_to_their_roles_and_words(archive: Archive) -> None:
    recorded = archive.recorded()
    hold = archive.holding.place_hold(archive.auditor.id, recorded.recording_id, "case")
    now = archive.plant.world.clock.now()
    for role in set(Role) - {Role.AUDITOR}:
        row = HoldRow(
            id=f"hld_{role.value}",
            recording_id=recorded.recording_id,
            reason="x",
            placed_by=archive.plant.world.somebody(role).id,
            placed_at=now,
        )
        with (
            pytest.raises(IntegrityError, match="only an auditor"),
            archive.plant.world.database.unit_of_work() as unit,
        ):
            unit.session.add(row)
    lift = "UPDATE recording_holds SET lifted_by = :who, lifted_at = placed_at, lift_reason = 'x' WHERE id = :id"
    for role in set(Role) - {Role.SECURITY_ADMINISTRATOR}:
        who = archive.plant.world.somebody(role).id
        refused(archive, lift, "only a security administrator", who=who, id=hold.id)
    refused(archive, "UPDATE recording_holds SET reason = 'other' WHERE id = :id", "never rewritten", id=hold.id)
    refused(archive, "DELETE FROM recording_holds WHERE id = :id", "never taken away", id=hold.id)
    archive.holding.lift_hold(archive.security.id, hold.id, "done")
    refused(archive, "UPDATE recording_holds SET lifted_by = NULL, lifted_at = NULL, lift_reason = NULL", "and once")


def test_the_database_keeps_tombstones_as_they_are(archive: Archive) -> None:
    (recording_id,) = archive.purged()
    refused(archive, "UPDATE recording_tombstones SET line = x'00'", "never rewritten")
    refused(archive, "UPDATE recording_tombstones SET purged_at = NULL", "never rewritten")
    refused(archive, "DELETE FROM recording_tombstones", "a tombstone stays")
    refused(archive, "UPDATE recording_purges SET list_sha256 = x'00'", "stays what it was")
    hold = "INSERT INTO recording_holds (id, recording_id, reason, placed_by, placed_at) VALUES ('h', :one, 'x', :who, "
    refused(archive, hold + "'2026-01-01')", "not held any more", one=recording_id, who=archive.auditor.id)


def test_what_waits_for_a_gateway_is_counted(archive: Archive) -> None:
    ids = archive.purged(2)
    with archive.plant.world.database.reading() as session:
        assert [one.recording_id for one in retention_store.to_be_removed(session, 10)] == ids
        assert retention_store.count_to_be_removed(session) == 2
        assert set(retention_store.destroyed(session, ids)) == set(ids)
        assert retention_store.count_held(session) == 0


def test_every_guard_is_of_a_table_of_recordings() -> None:
    assert {one.table for one in GUARDS} == {
        "recordings",
        "recording_holds",
        "recording_purges",
        "recording_tombstones",
    }
