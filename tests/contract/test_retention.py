"""Holds, purges and tombstones on every store, two deciding at once, and a process killed between any two steps."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from broker.adapters.db.database import Database
from broker.audit.store import EventAppender
from broker.gateway.removing import Outcome, Removing
from broker.kernel.clock import milliseconds
from broker.kernel.errors import Conflict
from broker.recordings.purging import Purging, Retention
from broker.recordings.removal import Removals
from broker.recordings.retention_model import Barrier, PurgeState
from broker.sessions.words import SessionWording
from recorder.purged import read_tombstone
from tests.contract import postgres as servers
from tests.unit.broker.recordings.old import KEEP, KEY, PUBLIC, SITE, Archive, an_archive
from tests.unit.broker.sessions.plant import a_plant

postgres, database_url = servers.postgres, servers.database_url
RACES = 12
KILLS = 25


@pytest.fixture
def archive(tmp_path: Path, database_url: str) -> Iterator[Archive]:
    plant = a_plant(tmp_path, database_url)
    yield an_archive(plant)
    plant.world.database.close()


def key_file(folder: Path) -> Path:
    path = folder / "checkpoint.pem"
    path.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def gateway(archive: Archive) -> Removing:
    """The gateway's hand over the folder; its clock is the archive's."""
    plant = archive.plant
    pem = key_file(plant.recordings_dir.parent)
    now_ms = milliseconds(plant.world.clock.now()) + 60_000  # the files were sealed a minute after the index says
    return Removing(plant.recordings_dir, pem, lambda code, params: None, lambda: now_ms)


def refused_by_the_database(archive: Archive, statement: str, words: str, **values: object) -> None:
    with pytest.raises(IntegrityError, match=words), archive.plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(text(statement), values)


def test_the_whole_way_from_a_hold_to_a_tombstone(archive: Archive) -> None:
    one, two = archive.old(2)
    hold = archive.holding.place_hold(archive.auditor.id, one, "案件七")
    with pytest.raises(Conflict):
        archive.asked([one])
    archive.holding.lift_hold(archive.security.id, hold.id, "the case is closed")
    purge_id, reviewed = archive.asked([one, two])
    again = archive.holding.place_hold(archive.auditor.id, two, "another case")
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert refused.value.code == "recordings.purge_on_hold"
    archive.holding.lift_hold(archive.security.id, again.id, "nothing to it")
    assert archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed).state is PurgeState.CONFIRMED
    assert archive.removals.remove_waiting() == 2
    hand = gateway(archive)
    for _, line in archive.ordered:
        stone, outcome = hand.remove(line)
        assert stone is not None
        assert outcome is Outcome.REMOVED
        with archive.plant.world.database.unit_of_work() as unit:
            archive.removals.removal_within(unit, stone.recording_id, outcome.value)
    assert archive.removals.counts() == (0, 0)
    for item in archive.purging.purge_list(purge_id).items:
        assert item.barrier is Barrier.PURGED
        place = archive.plant.recordings_dir / f"{item.recording.id}.tombstone"
        assert read_tombstone(place, PUBLIC).purge_id == purge_id


def test_each_database_itself_refuses_what_the_rules_forbid(archive: Archive) -> None:
    (old,) = archive.old()
    young = archive.recorded().recording_id
    purge_id, _ = archive.asked([old])
    tombstone = (
        "INSERT INTO recording_tombstones (recording_id, purge_id, line, purged_at) "
        "SELECT :recording, id, list_sha256, asked_at FROM recording_purges WHERE id = :purge"
    )
    refused_by_the_database(archive, tombstone, "confirmed purge", recording=old, purge=purge_id)
    item = text("INSERT INTO recording_purge_items (purge_id, recording_id) VALUES (:purge, :recording)")
    confirm = "UPDATE recording_purges SET state = 'confirmed', decided_by = :who, decided_at = asked_at WHERE id = :id"
    for somebody in (archive.security, archive.plant.approver, archive.plant.engineer):
        refused_by_the_database(archive, confirm, "only an auditor", who=somebody.id, id=purge_id)
    refused_by_the_database(archive, confirm, "only an auditor|two_people", who=archive.system.id, id=purge_id)
    with archive.plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(item, {"purge": purge_id, "recording": young})
        unit.session.connection().execute(text(confirm), {"who": archive.auditor.id, "id": purge_id})
    refused_by_the_database(archive, tombstone, "kept for 180 days", recording=young, purge=purge_id)
    hold = archive.holding.place_hold(archive.auditor.id, old, "case")
    refused_by_the_database(archive, tombstone, "on hold", recording=old, purge=purge_id)
    lift = "UPDATE recording_holds SET lifted_by = :who, lifted_at = placed_at, lift_reason = 'x' WHERE id = :id"
    refused_by_the_database(archive, lift, "only a security", who=archive.auditor.id, id=hold.id)
    refused_by_the_database(archive, lift, "only a security", who=archive.system.id, id=hold.id)
    refused_by_the_database(archive, "DELETE FROM recording_holds", "never taken away")
    refused_by_the_database(archive, "UPDATE recordings SET closed_at = NULL WHERE id = :id", "moments", id=old)
    refused_by_the_database(archive, "DELETE FROM recordings WHERE id = :id", "stays in the index", id=old)
    archive.holding.lift_hold(archive.security.id, hold.id, "over")
    with archive.plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(text(tombstone), {"recording": old, "purge": purge_id})
    refused_by_the_database(archive, "DELETE FROM recording_tombstones", "a tombstone stays")
    refused_by_the_database(archive, "UPDATE recording_tombstones SET purged_at = purged_at", "never rewritten")
    place = (
        "INSERT INTO recording_holds (id, recording_id, reason, placed_by, placed_at) "
        "SELECT 'hld_1', :recording, 'x', :who, asked_at FROM recording_purges WHERE id = :purge"
    )
    values = {"recording": old, "who": archive.auditor.id, "purge": purge_id}
    refused_by_the_database(archive, place, "not held any more", **values)
    refused_by_the_database(
        archive, place, "only an auditor", **{**values, "who": archive.system.id, "recording": young}
    )


def test_a_hold_and_a_confirmation_at_the_same_moment_never_both_hold(archive: Archive) -> None:
    ids = archive.old(RACES)
    for recording_id in ids:
        purge_id, reviewed = archive.asked([recording_id])
        done: dict[str, str] = {}
        barrier = threading.Barrier(2)

        def hold(
            recording_id: str = recording_id, done: dict[str, str] = done, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait(30)
            try:
                archive.holding.place_hold(archive.auditor.id, recording_id, "now")
                done["hold"] = "placed"
            except Conflict as error:
                done["hold"] = error.code

        def confirm(
            purge_id: str = purge_id,
            reviewed: bytes = reviewed,
            done: dict[str, str] = done,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait(30)
            try:
                archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
                done["confirm"] = "destroyed"
            except Conflict as error:
                done["confirm"] = error.code

        threads = [threading.Thread(target=hold), threading.Thread(target=confirm)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert done in (
            {"hold": "placed", "confirm": "recordings.purge_on_hold"},
            {"hold": "recordings.purged", "confirm": "destroyed"},
        )


def test_two_confirmations_at_the_same_moment_destroy_once(archive: Archive) -> None:
    for recording_id in archive.old(3):
        purge_id, reviewed = archive.asked([recording_id])
        outcomes: list[str] = []
        barrier = threading.Barrier(2)

        def confirm(
            purge_id: str = purge_id,
            reviewed: bytes = reviewed,
            outcomes: list[str] = outcomes,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait(30)
            try:
                archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
                outcomes.append("destroyed")
            except Conflict as error:
                outcomes.append(error.code)

        threads = [threading.Thread(target=confirm) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(outcomes) == ["destroyed", "recordings.purge_not_in_state"]
    assert archive.plant.codes().count("recordings.recording.purged") == 3


def in_a_process_of_its_own(archive: Archive, url: str, waiting: list[tuple[str, bytes]]) -> int:
    """Control and gateway from their start: complete what waits, then confirm and remove one purge after the other."""
    pid = os.fork()
    if pid:
        return pid
    try:
        plant, clock = archive.plant, archive.plant.world.clock
        database = Database(url, EventAppender(clock))
        plant.recordings._database = database
        plant.world.people._database = database
        removals, lines = Removals(database, clock), list[bytes]()
        removals.connect(workers=lambda: ["w1"], send=lambda _worker, line: lines.append(line))
        words = SessionWording(plant.world.people, plant.world.targets).words_within
        purging = Purging(
            database,
            clock,
            people=plant.world.people,
            recordings=plant.recordings,
            words_of=words,
            retention=Retention(SITE, KEEP, KEY.sign),
        )
        hand = gateway(archive)
        for purge_id, reviewed in [(None, b""), *waiting]:
            if purge_id is not None and purging.purge_list(purge_id).purge.state is PurgeState.ASKED:
                purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
            removals.remove_waiting()
            while lines:
                stone, outcome = hand.remove(lines.pop(0))
                assert stone is not None
                with database.unit_of_work() as unit:
                    removals.removal_within(unit, stone.recording_id, outcome.value)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a child that fails must not go on as a test runner
        import traceback

        traceback.print_exc()
        os._exit(1)


def test_no_kill_at_any_moment_takes_a_file_without_its_tombstone_and_the_next_start_completes(
    archive: Archive, database_url: str
) -> None:
    ids = archive.old(KILLS)
    waiting = [archive.asked([one]) for one in ids]
    folder, kills, done = archive.plant.recordings_dir, 0, False
    archive.plant.world.database.engine.dispose()
    pace = 0.05
    while not done:
        pid = in_a_process_of_its_own(archive, database_url, waiting)
        time.sleep(random.uniform(0, pace))
        if kills < KILLS:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            kills += 1
            pace = min(pace * 1.1, 1.0)
        else:
            assert os.waitstatus_to_exitcode(status) == 0
            done = True
        left = {path.stem for path in folder.glob("*.sallyrec")}
        with archive.plant.world.database.reading() as session:
            committed = set(
                session.connection().execute(text("SELECT recording_id FROM recording_tombstones")).scalars()
            )
        archive.plant.world.database.engine.dispose()
        gone = set(ids) - left
        assert gone <= committed
        for one in gone:
            assert read_tombstone(folder / f"{one}.tombstone", PUBLIC).recording_id == one
    assert kills > 0
    assert list(folder.glob("*.sallyrec")) == []
    told = [record for record in archive.plant.world.trail() if record.code == "recordings.recording.removed"]
    assert sorted(record.subject for record in told) == ids
    assert archive.plant.codes().count("recordings.recording.purged") == len(ids)
