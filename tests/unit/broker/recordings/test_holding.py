import pytest

from broker.kernel.errors import Conflict, Invalid, NotFound, TooMany
from broker.recordings.retention_rules import MOST_HOLDS
from tests.unit.broker.recordings.files import open_recording_of
from tests.unit.broker.recordings.old import an_archive
from tests.unit.broker.sessions.plant import Plant


def test_a_hold_stands_until_it_is_lifted_and_both_are_told_with_their_reasons(plant: Plant) -> None:
    archive = an_archive(plant)
    recorded = archive.recorded()
    hold = archive.holding.place_hold(archive.auditor.id, recorded.recording_id, " accident of 3 May ")
    assert [one.id for one in archive.holding.standing()] == [hold.id]
    lifted = archive.holding.lift_hold(archive.security.id, hold.id, "the case is closed")
    assert archive.holding.standing() == []
    assert (lifted.placed_by, lifted.lifted_by) == (archive.auditor.id, archive.security.id)
    placed_event, lifted_event = plant.world.trail()[-2:]
    assert (placed_event.code, placed_event.actor, placed_event.subject) == (
        "recordings.hold.placed",
        archive.auditor.id,
        recorded.recording_id,
    )
    assert placed_event.params["reason"] == "accident of 3 May"
    assert (lifted_event.code, lifted_event.actor) == ("recordings.hold.lifted", archive.security.id)
    assert lifted_event.params == {
        "hold_id": hold.id,
        "session_id": recorded.session_id,
        "placed_by": archive.auditor.id,
        "reason": "the case is closed",
    }


def test_a_hold_is_lifted_once(plant: Plant) -> None:
    archive = an_archive(plant)
    hold = archive.holding.place_hold(archive.auditor.id, archive.recorded().recording_id, "case 7")
    archive.holding.lift_hold(archive.security.id, hold.id, "done")
    with pytest.raises(Conflict, match="already"):
        archive.holding.lift_hold(archive.security.id, hold.id, "again")


def test_what_is_being_recorded_can_be_held(plant: Plant) -> None:
    archive = an_archive(plant)
    running = open_recording_of(plant)
    assert archive.holding.place_hold(archive.auditor.id, running.recording_id, "watched it live").lifted_at is None


def test_what_is_not_there_or_destroyed_is_not_held(plant: Plant) -> None:
    archive = an_archive(plant)
    (gone,) = archive.purged()
    with pytest.raises(Conflict, match="destroyed"):
        archive.holding.place_hold(archive.auditor.id, gone, "too late")
    for nothing in ("rec_00000000000000000000000000", "x"):
        with pytest.raises(NotFound):
            archive.holding.place_hold(archive.auditor.id, nothing, "case")
    for nothing in ("hld_00000000000000000000000000", "x"):
        with pytest.raises(NotFound):
            archive.holding.lift_hold(archive.security.id, nothing, "case")


def test_holds_need_reasons_and_are_bounded(plant: Plant) -> None:
    archive = an_archive(plant)
    recording_id = archive.recorded().recording_id
    with pytest.raises(Invalid, match="reason"):
        archive.holding.place_hold(archive.auditor.id, recording_id, "  ")
    for number in range(MOST_HOLDS):
        archive.holding.place_hold(archive.auditor.id, recording_id, f"case {number}")
    with pytest.raises(TooMany):
        archive.holding.place_hold(archive.auditor.id, recording_id, "one more")
    first = archive.holding.standing(limit=5)
    assert len(first) == 5
    assert len(archive.holding.standing(limit=50, before=first[-1].id)) == MOST_HOLDS - 5
