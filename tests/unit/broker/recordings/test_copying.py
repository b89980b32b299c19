import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import text

from broker.adapters.object_store.archive import Facts
from broker.adapters.object_store.client import ArchiveClient, Expected
from broker.recordings.copy_model import CopyState, Place
from broker.recordings.copying import MOST_OBJECTS
from broker.recordings.model import Finding
from recorder.frames import Frame, FrameKind
from recorder.receipt import read_line
from recorder.stores.port import Stored
from recorder.stores.testing import refusal
from tests.unit.broker.recordings.copied import KEEP_LOCAL, Copied, copied_plant
from tests.unit.broker.recordings.files import Recorded, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Iterator[Copied]:
    with copied_plant(plant, tmp_path) as made:
        yield made


def long_recording(site: Copied) -> Recorded:
    """A recording of some parts that is still being written."""
    recorded = open_recording_of(site.plant)
    for number in range(60):
        recorded.writer.append([Frame(FrameKind.OUTPUT, 0, 10_000 + number, b"x" * 100)])
    return recorded


def verified(site: Copied) -> str:
    recorded = site.archive.recorded()
    site.steps()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    return recorded.recording_id


def released(site: Copied) -> str:
    recording_id = verified(site)
    site.move(KEEP_LOCAL)
    site.steps()
    (site.plant.recordings_dir / f"{recording_id}.sallyrec").unlink()
    site.answer(recording_id, "released")
    return recording_id


def test_parts_go_while_a_session_runs_and_its_end_completes_the_copy(site: Copied) -> None:
    recorded = long_recording(site)
    site.steps(20)
    copy = site.copy(recorded.recording_id)
    assert (copy.state, copy.uploaded_bytes) == (CopyState.GROWING, recorded.path.stat().st_size // 1000 * 1000)
    assert site.rig.bucket.objects == []
    seal(site.plant, recorded)
    site.steps()
    copy = site.copy(recorded.recording_id)
    assert (copy.state, copy.attempt) == (CopyState.VERIFIED, 1)
    (kept,) = site.rig.bucket.objects
    assert kept.data == recorded.path.read_bytes()
    assert kept.retention is not None
    (told,) = site.told("recordings.copy.verified")
    assert (told.subject, told.params["version"], told.params["bytes"]) == (
        recorded.recording_id,
        kept.version,
        len(kept.data),
    )
    details = site.plant.recordings.details(recorded.recording_id)
    assert (details.place, details.verification.finding) == (Place.BOTH, Finding.VERIFIED)


def test_a_file_may_go_only_after_the_days_that_it_is_kept_here(site: Copied) -> None:
    recording_id = verified(site)
    site.steps()
    assert site.sent == []
    site.move(KEEP_LOCAL - timedelta(seconds=1))
    site.steps()
    assert site.sent == []
    site.move(timedelta(seconds=1))
    site.steps(3)
    ((worker, line),) = site.sent
    assert (worker, read_line(line, site.rig.receipts_public).recording_id) == ("w1", recording_id)
    site.move(timedelta(seconds=60))
    site.steps(1)
    assert len(site.sent) == 2
    site.answer(recording_id, "disk")
    assert site.copy(recording_id).problem == "disk"
    site.answer(recording_id, "released")
    site.answer(recording_id, "absent")
    assert site.copy(recording_id).state is CopyState.RELEASED
    told = site.told("recordings.copy.release_refused", "recordings.copy.released")
    assert [one.code for one in told] == ["recordings.copy.release_refused", "recordings.copy.released"]


def test_a_released_recording_is_verified_replayed_and_searched_in_the_store(site: Copied) -> None:
    recording_id = released(site)
    details = site.plant.recordings.details(recording_id)
    assert (details.place, details.verification.finding) == (Place.OBJECT_STORE, Finding.VERIFIED)
    lines = list(site.plant.recordings.cast(site.archive.auditor.id, recording_id))
    assert any("你好" in line for line in lines)
    assert site.plant.recordings.markers(site.archive.auditor.id, recording_id)
    site.rig.bucket.spoil = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    assert site.plant.recordings.details(recording_id).verification.finding is Finding.ALTERED
    site.rig.bucket.is_down = True
    assert site.plant.recordings.details(recording_id).verification.finding is Finding.UNREACHABLE


@pytest.mark.parametrize("how", ["bytes", "part", "lock"])
def test_a_copy_that_is_not_what_was_sent_keeps_the_file_and_alarms(site: Copied, how: str) -> None:
    recorded = site.archive.recorded()
    match how:
        case "bytes":
            site.rig.bucket.spoil = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        case "part":
            site.rig.bucket.loses_part = True
        case _:
            site.rig.bucket.drops_lock = True
    site.steps(10)
    copy = site.copy(recorded.recording_id)
    assert (copy.state in {CopyState.VERIFIED, CopyState.RELEASED}, copy.problem is None) == (False, False)
    assert site.told("recordings.copy.failed")
    assert site.copying.state().failing == 1
    site.move(KEEP_LOCAL * 10)
    site.steps(5)
    assert site.sent == []
    assert recorded.path.exists()


def test_an_altered_copy_is_sent_anew_a_bounded_number_of_times_and_a_healed_store_ends_the_alarm(site: Copied) -> None:
    recorded = site.archive.recorded()
    site.rig.bucket.spoil = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    for _ in range(30):
        site.move(timedelta(hours=1))
        site.steps(3)
    assert len(site.rig.bucket.objects) == MOST_OBJECTS
    assert site.copy(recorded.recording_id).problem == "altered"
    site.rig.bucket.spoil = lambda data: data
    site.move(timedelta(days=2))
    site.steps()
    copy = site.copy(recorded.recording_id)
    assert (copy.state, copy.problem) == (CopyState.VERIFIED, None)
    assert copy.stored is not None
    assert copy.stored.version == site.rig.bucket.objects[-1].version


def test_a_store_that_is_away_is_told_once_and_tried_later_and_later(site: Copied) -> None:
    recorded = site.archive.recorded()
    site.rig.bucket.is_down = True
    site.steps(20)
    first = len(site.rig.bucket.calls)
    assert site.copying.state().problem == "unreachable"
    for _ in range(60):
        site.move(timedelta(seconds=60))
        site.steps(1)
    assert len(site.rig.bucket.calls) - first < 20
    assert [one.params["state"] for one in site.told("recordings.store.state")] == ["unreachable"]
    site.rig.bucket.is_down = False
    site.move(timedelta(minutes=10))
    site.steps()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    assert [one.params["state"] for one in site.told("recordings.store.state")] == ["unreachable", "ok"]


def test_nothing_is_sent_to_a_bucket_that_cannot_lock(site: Copied) -> None:
    site.archive.recorded()
    site.rig.bucket.locks = False
    site.steps()
    assert site.copying.state().problem == "no_lock"
    assert (site.rig.bucket.objects, site.rig.bucket.uploads) == ([], {})


@pytest.mark.parametrize("dies_at", range(1, 16))
def test_control_that_dies_anywhere_goes_on_and_doubles_nothing(site: Copied, dies_at: int) -> None:
    recorded = long_recording(site)
    seal(site.plant, recorded)
    site.copying.step()  # the bucket is looked at
    before = len(site.rig.bucket.calls)

    def kill(_name: str) -> None:
        if len(site.rig.bucket.calls) == before + dies_at:
            raise refusal("InternalError")

    site.rig.bucket.before = kill
    site.steps(2)
    site.rig.bucket.before = lambda _name: None
    site.again()
    for _ in range(12):
        site.move(timedelta(minutes=1))
        site.steps(2)
    assert [one.data for one in site.rig.bucket.objects] == [recorded.path.read_bytes()]
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    assert len(site.told("recordings.copy.verified")) == 1
    assert site.rig.bucket.uploads == {}


def test_an_upload_of_what_nobody_wants_is_given_up_by_the_next_start(site: Copied) -> None:
    site.rig.archive().store.begin("rec_06ew000000000000000000000h")
    site.steps(1)
    assert site.rig.bucket.uploads == {}


def test_a_recording_that_broke_off_is_copied_when_its_end_is_marked(site: Copied) -> None:
    recorded = site.archive.recorded(broken=True)
    site.steps()
    assert site.copy(recorded.recording_id).problem == "unfinished"
    assert site.rig.bucket.objects == []


def test_a_file_that_is_gone_before_its_copy_is_an_alarm(site: Copied) -> None:
    recorded = site.archive.recorded()
    recorded.path.unlink()
    site.steps()
    (told,) = site.told("recordings.copy.failed")
    assert (told.subject, told.params["reason"]) == (recorded.recording_id, "missing")


def test_a_receipt_of_another_key_lets_nothing_go(site: Copied) -> None:
    recorded = site.archive.recorded()
    object.__setattr__(site.copying._terms, "receipts_public", lambda: bytes(32))
    site.steps()
    assert site.copy(recorded.recording_id).problem == "forged_receipt"
    site.move(KEEP_LOCAL * 2)
    site.steps()
    assert site.sent == []


def test_a_receipt_of_another_object_lets_nothing_go(site: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    other = verified(site)
    line = site.rig.archive().verify(*_object_and_facts(site, other))
    recorded = site.archive.recorded()
    monkeypatch.setattr(type(site.client), "verify", lambda *_: line)
    site.steps()
    assert site.copy(recorded.recording_id).problem == "forged_receipt"


def _object_and_facts(site: Copied, recording_id: str) -> tuple[Stored, Facts]:
    stored = site.copy(recording_id).stored
    assert stored is not None
    recording = site.plant.recordings.details(recording_id).recording
    return stored, Facts(recording.signing_public, recording.head_sha256, None, site.rig.now)


def test_a_store_that_is_full_is_an_alarm_and_costs_nothing(site: Copied) -> None:
    recorded = site.archive.recorded()

    def full(name: str) -> None:
        if name == "upload_part":
            raise refusal("QuotaExceeded")

    site.rig.bucket.before = full
    site.steps()
    assert site.copy(recorded.recording_id).problem == "no_space"
    assert recorded.path.exists()
    site.rig.bucket.before = lambda _name: None
    site.move(timedelta(days=1))
    site.steps()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    assert len(site.rig.bucket.objects) == 1


# -- holds and purges -----------------------------------------------------------------------------------------------


def test_a_hold_is_the_objects_legal_hold_before_the_file_may_go(site: Copied) -> None:
    recording_id = verified(site)
    hold = site.archive.holding.place_hold(site.archive.auditor.id, recording_id, "accident of 3 May")

    def forbidden(name: str) -> None:
        if name == "put_object_legal_hold":
            raise refusal("AccessDenied")

    site.rig.bucket.before = forbidden
    site.move(KEEP_LOCAL)
    site.steps()
    assert (site.sent, site.copy(recording_id).problem) == ([], "locked")
    site.rig.bucket.before = lambda _name: None
    site.move(timedelta(days=1))
    site.steps()
    assert site.rig.bucket.objects[0].held
    assert len(site.sent) == 1
    site.archive.holding.lift_hold(site.archive.security.id, hold.id, "the case is closed")
    site.steps()
    assert not site.rig.bucket.objects[0].held
    assert [one.params["is_held"] for one in site.told("recordings.copy.held")] == [True, False]


def test_a_purge_destroys_the_object_too_and_its_tombstone_stays(site: Copied) -> None:
    recording_id = released(site)
    site.move(timedelta(days=200))
    site.steps()
    purge_id, reviewed = site.archive.asked([recording_id])
    site.archive.purging.confirm_purge(site.archive.auditor.id, purge_id, reviewed)
    site.steps()
    assert site.rig.bucket.objects == []
    (told,) = site.told("recordings.copy.removed")
    assert (told.subject, told.params["purge_id"], told.params["objects"]) == (recording_id, purge_id, 1)
    details = site.plant.recordings.details(recording_id)
    assert (details.place, details.verification.finding) == (Place.GONE, Finding.PURGED)


def test_an_object_that_its_lock_still_keeps_stays_and_is_tried_until_it_goes(site: Copied) -> None:
    recording_id = released(site)
    site.rig.bucket.objects[0].retention = {
        "Mode": "COMPLIANCE",
        "RetainUntilDate": site.rig.bucket.now + timedelta(days=300),
    }
    site.move(timedelta(days=200))
    purge_id, reviewed = site.archive.asked([recording_id])
    site.archive.purging.confirm_purge(site.archive.auditor.id, purge_id, reviewed)
    site.steps()
    assert len(site.rig.bucket.objects) == 1
    assert site.copy(recording_id).problem == "locked"
    site.move(timedelta(days=101))
    site.steps()
    assert site.rig.bucket.objects == []


def test_a_recording_that_was_destroyed_while_its_copy_was_read_back_stays_destroyed(
    site: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = site.archive.recorded()
    site.copying.step()
    while site.copying.step():
        pass
    assert site.copy(recorded.recording_id).state is CopyState.STORED
    site.move(timedelta(days=200))
    real = type(site.client).verify

    def destroyed_meanwhile(client: ArchiveClient, stored: Stored, expected: Expected) -> bytes:
        line = real(client, stored, expected)
        purge_id, reviewed = site.archive.asked([recorded.recording_id])
        site.archive.purging.confirm_purge(site.archive.auditor.id, purge_id, reviewed)
        site.rig.bucket.objects[0].retention = None
        site.copying.step()
        return line

    monkeypatch.setattr(type(site.client), "verify", destroyed_meanwhile)
    site.copying.read_back()
    assert site.rig.bucket.objects == []
    assert site.told("recordings.copy.removed")
    assert not site.told("recordings.copy.verified")
    assert site.plant.recordings.details(recorded.recording_id).place is Place.GONE


def test_the_database_lets_no_file_go_without_a_receipt_and_no_receipt_change(site: Copied) -> None:
    recorded = site.archive.recorded()
    database = site.plant.world.database
    site.rig.bucket.drops_lock = True
    site.steps()
    for statement in (
        "UPDATE recording_copies SET state = 'released'",
        "UPDATE recording_copies SET state = 'verified'",
        "DELETE FROM recording_copies",
    ):
        with pytest.raises(IntegrityError), database.unit_of_work() as unit:
            unit.session.connection().execute(text(statement))
    site.rig.bucket.drops_lock = False
    site.move(timedelta(days=1))
    site.steps()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
    with pytest.raises(IntegrityError), database.unit_of_work() as unit:
        unit.session.connection().execute(text("UPDATE recording_copies SET version = 'other'"))


def test_the_thread_works_until_it_is_told_to_stop_whatever_a_step_does(site: Copied) -> None:
    recorded = site.archive.recorded()
    stop = threading.Event()
    steps = 0
    real = site.copying.step

    def step() -> bool:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise RuntimeError("a fault")
        real()
        if site.told("recordings.copy.verified"):
            stop.set()
        return True

    site.copying.step = step  # type: ignore[method-assign]
    thread = threading.Thread(target=site.copying.run, args=(stop,))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert site.copy(recorded.recording_id).state is CopyState.VERIFIED
