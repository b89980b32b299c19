from datetime import timedelta

import pytest

from broker.identities.model import PersonState
from broker.identities.store import PersonRow
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from broker.recordings.model import Finding
from broker.recordings.retention_model import Barrier, PurgeState
from broker.recordings.retention_rules import ASK_VALID
from recorder.tombstone import Tombstone, of_fields, read_line
from tests.unit.broker.recordings.old import KEEP, PUBLIC, SITE, Archive, an_archive
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def archive(plant: Plant) -> Archive:
    return an_archive(plant)


def destroyed(archive: Archive) -> list[str]:
    return [record.subject for record in archive.plant.world.trail() if record.code == "recordings.recording.purged"]


def test_two_people_destroy_what_is_old_and_signed_tombstones_stay(archive: Archive) -> None:
    ids = archive.old(3)
    purge_id, reviewed = archive.asked(ids)
    assert archive.plant.codes()[-1] == "recordings.purge.asked"
    assert all((archive.plant.recordings_dir / f"{one}.sallyrec").exists() for one in ids)
    done = archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert (done.state, done.decided_by) == (PurgeState.CONFIRMED, archive.auditor.id)
    assert archive.plant.codes()[-4:] == ["recordings.purge.confirmed", *["recordings.recording.purged"] * 3]
    assert destroyed(archive) == ids
    for one in archive.purging.purge_list(purge_id).items:
        assert one.barrier is Barrier.PURGED
        assert one.destroyed is not None
        left = read_line(one.destroyed.line, PUBLIC)
        recording = one.recording
        assert (left.site, left.recording_id, left.session_id) == (SITE, recording.id, recording.session_id)
        assert one.session is not None
        assert left.grant_id == one.session.grant_id
        assert (left.frames, left.batches, left.bytes) == (6, recording.batches, recording.bytes_written)
        assert recording.head_sha256 is not None
        assert (left.signing_key, left.head_sha256) == (recording.signing_public.hex(), recording.head_sha256.hex())
        assert (left.asked_by, left.confirmed_by, left.purge_id) == (archive.system.id, archive.auditor.id, purge_id)
        assert left.reason == "the disk is full of last year"


def test_the_trail_holds_the_whole_tombstone_with_its_signature(archive: Archive) -> None:
    (recording_id,) = archive.purged()
    record = next(one for one in archive.plant.world.trail() if one.code == "recordings.recording.purged")
    told = {**record.params, "recording_id": record.subject, "confirmed_by": record.actor}
    signature = bytes.fromhex(str(told.pop("signature")))
    left: Tombstone = of_fields(told)
    left.check(signature, PUBLIC)
    assert left.recording_id == recording_id


def test_a_broken_recording_is_destroyed_without_a_signature_it_never_had(archive: Archive) -> None:
    recorded = archive.recorded(broken=True)
    archive.plant.world.clock.move(KEEP)
    with pytest.raises(Conflict) as refused:
        archive.asked([recorded.recording_id])  # its gateway has not marked it yet
    assert refused.value.code == "recordings.purge_not_as_recorded"


@pytest.mark.parametrize("early", [timedelta(microseconds=1), timedelta(days=1), timedelta(days=179, hours=23)])
def test_a_purge_before_180_days_is_refused(archive: Archive, early: timedelta) -> None:
    recorded = archive.recorded()
    archive.plant.world.clock.move(KEEP - early)
    with pytest.raises(Conflict) as refused:
        archive.asked([recorded.recording_id])
    assert refused.value.code == "recordings.purge_too_young"
    archive.plant.world.clock.move(early)
    archive.asked([recorded.recording_id])


def test_a_site_that_keeps_longer_is_taken_at_its_word(plant: Plant) -> None:
    archive = an_archive(plant, keep=timedelta(days=365))
    ids = archive.old()
    assert archive.purging.over() == []
    with pytest.raises(Conflict) as refused:
        archive.asked(ids)
    assert refused.value.code == "recordings.purge_too_young"
    plant.world.clock.move(timedelta(days=185))
    archive.asked(ids)


def test_whoever_asked_never_confirms(archive: Archive) -> None:
    purge_id, reviewed = archive.asked(archive.old())
    with pytest.raises(Forbidden) as refused:
        archive.purging.confirm_purge(archive.system.id, purge_id, reviewed)
    assert refused.value.code == "recordings.purge_own"
    assert destroyed(archive) == []


def test_an_ask_lapses_and_what_lapsed_is_not_confirmed(archive: Archive) -> None:
    purge_id, reviewed = archive.asked(archive.old())
    archive.plant.world.clock.move(ASK_VALID)
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert refused.value.code == "recordings.purge_lapsed"
    assert archive.purging.lapse_overdue() == 1
    assert archive.purging.lapse_overdue() == 0
    assert archive.plant.codes()[-1] == "recordings.purge.lapsed"
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert refused.value.code == "recordings.purge_not_in_state"
    assert destroyed(archive) == []


def test_another_list_than_the_reviewed_is_not_destroyed(archive: Archive) -> None:
    one, two = archive.old(2)
    purge_id, _ = archive.asked([one, two])
    _, of_another = (None, bytes(32))
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, of_another)
    assert refused.value.code == "recordings.another_list"
    assert destroyed(archive) == []


def test_a_hold_that_was_placed_in_between_keeps_all_of_the_list(archive: Archive) -> None:
    one, two = archive.old(2)
    purge_id, reviewed = archive.asked([one, two])
    hold = archive.holding.place_hold(archive.auditor.id, two, "an accident came to light")
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert (refused.value.code, refused.value.params["id"]) == ("recordings.purge_on_hold", two)
    assert destroyed(archive) == []
    archive.holding.lift_hold(archive.security.id, hold.id, "it was another machine")
    archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert destroyed(archive) == [one, two]


def test_what_is_held_is_not_even_asked_for(archive: Archive) -> None:
    (recording_id,) = archive.old()
    archive.holding.place_hold(archive.auditor.id, recording_id, "case 7")
    with pytest.raises(Conflict) as refused:
        archive.asked([recording_id])
    assert refused.value.code == "recordings.purge_on_hold"
    (kept,) = archive.purging.over()
    assert kept.barrier is Barrier.ON_HOLD


@pytest.mark.parametrize("how", ["missing", "cut", "another"])
def test_no_purge_makes_a_tampering_lawful_afterwards(archive: Archive, how: str) -> None:
    one, two = archive.old(2)
    purge_id, reviewed = archive.asked([one, two])
    path = archive.plant.recordings_dir / f"{two}.sallyrec"
    whole = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(whole[:-300])
        case _:
            path.write_bytes((archive.plant.recordings_dir / f"{one}.sallyrec").read_bytes())
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert (refused.value.code, refused.value.params["id"]) == ("recordings.purge_not_as_recorded", two)
    assert destroyed(archive) == []
    archive.purging.withdraw_purge(archive.system.id, purge_id)
    with pytest.raises(Conflict):
        archive.asked([two])


def test_the_ask_of_somebody_who_may_no_longer_ask_does_not_count(archive: Archive) -> None:
    purge_id, reviewed = archive.asked(archive.old())
    with archive.plant.world.database.unit_of_work() as unit:
        row = unit.session.get(PersonRow, archive.system.id)
        assert row is not None
        row.state = PersonState.SUSPENDED
        unit.session.add(row)
    with pytest.raises(Conflict) as refused:
        archive.purging.confirm_purge(archive.auditor.id, purge_id, reviewed)
    assert refused.value.code == "recordings.purge_asker_gone"
    assert destroyed(archive) == []


def test_a_purge_is_declined_with_a_reason_or_withdrawn_and_neither_destroys(archive: Archive) -> None:
    ids = archive.old()
    first, reviewed = archive.asked(ids)
    with pytest.raises(Conflict) as refused:
        archive.asked(ids)
    assert refused.value.code == "recordings.purge_pending"
    with pytest.raises(Invalid):
        archive.purging.decline_purge(archive.auditor.id, first, " ")
    assert archive.purging.decline_purge(archive.auditor.id, first, "keep it").decision_reason == "keep it"
    second, _ = archive.asked(ids)
    assert archive.purging.withdraw_purge(archive.system.id, second).state is PurgeState.WITHDRAWN
    assert archive.plant.codes()[-3:] == [
        "recordings.purge.declined",
        "recordings.purge.asked",
        "recordings.purge.withdrawn",
    ]
    for over in (first, second):
        with pytest.raises(Conflict):
            archive.purging.confirm_purge(archive.auditor.id, over, reviewed)
    assert destroyed(archive) == []
    assert [one.id for one in archive.purging.purges()] == [second, first]
    assert [one.id for one in archive.purging.purges(state=PurgeState.DECLINED)] == [first]


def test_nothing_twice_too_many_and_strangers_are_refused(archive: Archive) -> None:
    (recording_id,) = archive.old()
    for bad in ([], [recording_id, recording_id], [f"rec_{number}" for number in range(501)]):
        with pytest.raises(Invalid):
            archive.asked(bad)
    with pytest.raises(NotFound):
        archive.asked([recording_id, "rec_00000000000000000000000000"])
    for nothing in ("prg_00000000000000000000000000", "x"):
        with pytest.raises(NotFound):
            archive.purging.confirm_purge(archive.auditor.id, nothing, bytes(32))


def test_what_was_destroyed_is_not_destroyed_again_nor_listed_nor_looked_into(archive: Archive) -> None:
    (recording_id,) = archive.purged()
    with pytest.raises(Conflict) as refused:
        archive.asked([recording_id])
    assert refused.value.code == "recordings.purge_already_purged"
    assert archive.purging.over() == []
    recordings = archive.plant.recordings
    assert recordings.details(recording_id).verification.finding is Finding.PURGED
    for look in (
        lambda: recordings.cast(archive.auditor.id, recording_id),
        lambda: recordings.markers(archive.auditor.id, recording_id),
        lambda: recordings.opened(recording_id),
        lambda: recordings.mask_parts(recording_id),
        lambda: recordings.frames_so_far(recording_id),
    ):
        with pytest.raises(Conflict) as refused:
            look()
        assert refused.value.code == "recordings.purged"


def test_pages_of_what_is_over_follow_each_other(archive: Archive) -> None:
    ids = archive.old(3)
    first = archive.purging.over(limit=2)
    assert [one.recording.id for one in first] == ids[:2]
    assert [one.recording.id for one in archive.purging.over(limit=2, after=ids[1])] == ids[2:]
    assert archive.purging.kept(ids[0]).barrier is None
    with pytest.raises(NotFound):
        archive.purging.kept("rec_00000000000000000000000000")


def test_a_tombstone_that_the_site_did_not_sign_or_the_trail_does_not_know_shows(archive: Archive) -> None:
    (recording_id,) = archive.purged()
    recordings, database = archive.plant.recordings, archive.plant.world.database

    def kind() -> str | None:
        found = recordings.details(recording_id).verification
        assert found.finding is Finding.ALTERED
        return found.kind

    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER tombstones_keep_what_they_say")
        connection.exec_driver_sql("UPDATE recording_tombstones SET line = replace(line, 'frames', 'trames')")
    assert kind() == "forged_tombstone"
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE recording_tombstones SET line = replace(line, 'trames', 'frames')")
        connection.exec_driver_sql("DELETE FROM audit_events WHERE code = 'recordings.recording.purged'")
    assert kind() == "altered_facts"
