from datetime import timedelta

import pytest

from broker.recordings.removal import Removals
from broker.sessions.gateway_events import REMOVAL
from broker.sessions.model import Report, ReportedEvent
from recorder.tombstone import read_line
from tests.unit.broker.recordings.old import PUBLIC, Archive, an_archive
from tests.unit.broker.sessions.plant import GATEWAY, Plant


@pytest.fixture
def archive(plant: Plant) -> Archive:
    return an_archive(plant)


def answer(archive: Archive, recording_id: str, outcome: str, seq: int) -> None:
    now = archive.plant.world.clock.now()
    event = ReportedEvent(REMOVAL, now, {"recording_id": recording_id, "outcome": outcome})
    archive.plant.reports.report(GATEWAY, Report(None, "boot-2", seq, (event,)))


def test_only_a_committed_tombstone_is_ordered_to_be_removed(archive: Archive) -> None:
    ids = archive.old(2)
    purge_id, reviewed = archive.asked(ids)
    assert archive.removals.remove_waiting() == 0
    archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert archive.removals.remove_waiting() == 2
    assert [worker for worker, _ in archive.ordered] == ["w1", "w1"]
    assert [read_line(line, PUBLIC).recording_id for _, line in archive.ordered] == ids


def test_what_is_not_answered_is_ordered_again_after_a_minute_and_at_once_by_the_next_start(archive: Archive) -> None:
    archive.purged()
    assert archive.removals.remove_waiting() == 1
    assert archive.removals.remove_waiting() == 0
    archive.plant.world.clock.move(timedelta(seconds=60))
    assert archive.removals.remove_waiting() == 1
    again = Removals(archive.plant.world.database, archive.plant.world.clock)
    again.connect(workers=lambda: ["w1"], send=lambda worker, line: archive.ordered.append((worker, line)))
    assert again.remove_waiting() == 1
    assert len({line for _, line in archive.ordered}) == 1


def test_without_a_gateway_nothing_is_ordered_and_nothing_forgotten(archive: Archive) -> None:
    archive.purged()
    alone = Removals(archive.plant.world.database, archive.plant.world.clock)
    assert alone.remove_waiting() == 0
    assert alone.counts() == (0, 1)


def test_a_removed_file_is_told_once(archive: Archive) -> None:
    (recording_id,) = archive.purged()
    answer(archive, recording_id, "removed", 1)
    answer(archive, recording_id, "absent", 2)
    told = [one for one in archive.plant.world.trail() if one.code == "recordings.recording.removed"]
    assert [(one.subject, one.params["was_there"]) for one in told] == [(recording_id, True)]
    assert archive.removals.remove_waiting() == 0
    assert archive.removals.counts() == (0, 0)


def test_a_refusal_is_told_once_for_each_reason_and_tried_again_behind_the_others(archive: Archive) -> None:
    first, second = archive.purged(2)
    answer(archive, first, "too_young", 1)
    answer(archive, first, "too_young", 2)
    answer(archive, first, "disk", 3)
    told = [one for one in archive.plant.world.trail() if one.code == "recordings.recording.removal_refused"]
    assert [one.params["reason"] for one in told] == ["too_young", "disk"]
    archive.removals.remove_waiting()
    assert [read_line(line, PUBLIC).recording_id for _, line in archive.ordered] == [second, first]
    answer(archive, first, "removed", 4)
    assert archive.plant.codes()[-1] == "recordings.recording.removed"


def test_an_answer_about_what_was_not_destroyed_changes_nothing(archive: Archive) -> None:
    recorded = archive.recorded()
    before = archive.plant.codes()
    for seq, name in enumerate((recorded.recording_id, "rec_00000000000000000000000000", "junk"), start=1):
        answer(archive, name, "removed", seq)
    assert archive.plant.codes() == before
    assert archive.removals.counts() == (0, 0)
