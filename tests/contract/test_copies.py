"""Copies in an object store on every database: the whole way, what the database itself refuses, and control killed."""

import os
import random
import signal
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from broker.adapters.db.database import Database
from broker.audit.store import EventAppender
from broker.recordings.copy_model import CopyState, Place
from tests.contract import postgres as servers
from tests.unit.broker.recordings.copied import KEEP_LOCAL, Copied, copied_plant
from tests.unit.broker.sessions.plant import a_plant

postgres, database_url = servers.postgres, servers.database_url
KILLS = 12


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[Copied]:
    plant = a_plant(tmp_path, database_url)
    with copied_plant(plant, tmp_path) as made:
        yield made
    plant.world.database.close()


def test_the_whole_way_from_a_copy_to_a_purge(site: Copied) -> None:
    recorded = site.archive.recorded()
    recording_id = recorded.recording_id
    site.steps()
    site.move(KEEP_LOCAL)
    site.steps()
    assert [worker for worker, _ in site.sent] == ["w1"]
    recorded.path.unlink()
    site.answer(recording_id, "released")
    assert site.plant.recordings.details(recording_id).place is Place.OBJECT_STORE
    hold = site.archive.holding.place_hold(site.archive.auditor.id, recording_id, "案件七")
    site.steps(2)
    assert site.rig.bucket.objects[0].held
    site.archive.holding.lift_hold(site.archive.security.id, hold.id, "the case is closed")
    site.move(timedelta(days=200))
    purge_id, reviewed = site.archive.asked([recording_id])
    site.archive.purging.confirm_purge(site.archive.auditor.id, purge_id, reviewed)
    site.steps()
    assert site.rig.bucket.objects == []
    assert site.plant.recordings.details(recording_id).place is Place.GONE


def test_each_database_itself_refuses_to_let_a_file_go_without_a_receipt(site: Copied) -> None:
    recorded = site.archive.recorded()
    site.rig.bucket.drops_lock = True
    site.steps()

    def refused(statement: str, words: str) -> None:
        with pytest.raises(IntegrityError, match=words), site.plant.world.database.unit_of_work() as unit:
            unit.session.connection().execute(text(statement))

    for statement in (
        "UPDATE recording_copies SET state = 'verified'",
        "UPDATE recording_copies SET state = 'released'",
    ):
        refused(statement, "only after its copy was verified")
    refused("DELETE FROM recording_copies", "stays in the index")
    site.rig.bucket.drops_lock = False
    site.move(timedelta(days=1))
    site.steps()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    for statement in (
        "UPDATE recording_copies SET version = 'other'",
        "UPDATE recording_copies SET size = 1",
        "UPDATE recording_copies SET receipt = NULL",
    ):
        refused(statement, "stays the one that was verified")


def in_a_process_of_its_own(site: Copied, url: str) -> int:
    """Control's copying from its start, until everything is copied; the bucket is in the parent."""
    pid = os.fork()
    if pid:
        return pid
    try:
        site.again()
        site.copying._database = Database(url, EventAppender(site.plant.world.clock))
        site.steps(30)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a child that fails must not go on as a test runner
        traceback.print_exc()
        os._exit(1)


def test_control_killed_at_any_moment_copies_once(site: Copied, database_url: str) -> None:
    recordings = [site.archive.recorded() for _ in range(4)]
    site.plant.world.database.engine.dispose()
    kills, status = 0, -1
    while not os.WIFEXITED(status):
        pid = in_a_process_of_its_own(site, database_url)
        time.sleep(random.uniform(0.02, 0.25))
        if kills < KILLS:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        kills += os.WIFSIGNALED(status)
        site.move(timedelta(minutes=1))  # whatever failed is due again
    assert os.waitstatus_to_exitcode(status) == 0
    assert kills > 0
    site.again()
    site.steps(20)
    assert sorted(one.data for one in site.rig.bucket.objects) == sorted(one.path.read_bytes() for one in recordings)
    assert site.rig.bucket.uploads == {}
    told = [one.subject for one in site.told("recordings.copy.verified")]
    assert sorted(told) == sorted(one.recording_id for one in recordings)
