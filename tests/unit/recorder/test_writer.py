import asyncio
import errno
import os
import random as chance
import resource
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.broken import mark_broken
from recorder.errors import RecordingError
from recorder.frames import MAX_BATCH_BYTES, Frame, FrameKind
from recorder.manifest import check_head
from recorder.replay import open_recording
from recorder.report import Kind, State
from recorder.seal import Signer, generate_recipient
from recorder.testing import NOW_MS, FixedRandom, sample_header, write_sample
from recorder.verify import verify
from recorder.writer import RecordingWriter, WriterSettings, WriterState

PRIVATE, PUBLIC = generate_recipient(FixedRandom("recipient"))
EVIDENCE = Signer.generate(FixedRandom("evidence"))


def create(path: Path, **settings: float) -> RecordingWriter:
    return RecordingWriter.create(
        path,
        header=sample_header(),
        recipient_public=PUBLIC,
        now_ms=NOW_MS,
        random=os.urandom,
        settings=WriterSettings(**settings),  # type: ignore[arg-type]
    )


def frame(at_us: int, data: bytes = b"x") -> Frame:
    return Frame(FrameKind.OUTPUT, 0, at_us, data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sallyrec"


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of every write(2) since."""
    made: list[int] = []
    real = os.write

    def counted(descriptor: int, data: bytes) -> int:
        made.append(len(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    return made


def test_a_batch_is_on_file_when_append_returns(path: Path) -> None:
    writer = create(path)
    for i in range(5):
        writer.append([frame(i), frame(i)])
        report = verify(path, signing_public=writer.signing_public, unseal_private=PRIVATE)
        assert (report.state, report.kind) == (State.OPEN, Kind.MISSING_TRAILER)
        assert (report.batches, report.frames, report.bytes) == (i + 1, 2 * i + 2, writer.counts.offset)
    writer.close_broken()


def test_every_batch_is_one_write_also_when_a_head_is_due(path: Path, writes: list[int]) -> None:
    writer = create(path, head_every_batches=2)
    assert len(writes) == 1
    for i in range(6):
        writer.append([frame(i)])
    assert len(writes) == 7
    assert sum(writes) == path.stat().st_size
    writer.seal("session_ended", NOW_MS)
    assert len(writes) == 8


def test_a_turn_without_frames_writes_nothing(path: Path, writes: list[int]) -> None:
    writer = create(path)
    writer.append([])
    assert len(writes) == 1
    writer.close_broken()


def test_heads_are_signed_after_so_many_batches_or_so_much_time(path: Path) -> None:
    writer = create(path, head_every_batches=3, head_every_seconds=10)

    def anchored() -> int:
        return verify(path, signing_public=writer.signing_public).anchored_batches

    for i in range(3):
        assert anchored() == 0
        writer.append([frame(i)])
    assert anchored() == 3
    writer.append([frame(9_999_999)])
    assert anchored() == 3
    writer.append([frame(10_000_002)])
    assert anchored() == 5


def test_a_quiet_session_gets_its_head_from_the_clock(path: Path) -> None:
    writer = create(path, head_every_seconds=5)
    writer.append([frame(1_000)])
    writer.tick(4_999_999)
    assert verify(path, signing_public=None).anchored_batches == 0
    writer.tick(5_000_000)
    size = path.stat().st_size
    assert verify(path, signing_public=None).anchored_batches == 1
    writer.tick(60_000_000)
    assert path.stat().st_size == size


def test_syncs_come_at_their_interval(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    writer = create(path, sync_every_seconds=1)
    for at_us in (0, 999_999, 1_000_000, 1_500_000):
        writer.append([frame(at_us)])
    assert len(synced) == 2  # the header, and once
    writer.tick(2_000_000)
    assert len(synced) == 3
    writer.seal("session_ended", NOW_MS)
    assert len(synced) == 4


def test_without_an_interval_only_header_and_trailer_are_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    writer = create(path)
    writer.append([frame(10**9)])
    writer.seal("session_ended", NOW_MS)
    assert len(synced) == 2


def test_the_header_tells_the_wall_clock_of_time_zero(path: Path) -> None:
    create(path).close_broken()
    report = verify(path, signing_public=None)
    assert report.header is not None
    assert report.header.created_at_ms == NOW_MS


def test_the_same_frames_never_make_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = create(tmp_path / name)
        writer.append([frame(1, b"same" * 10)])
        writer.close_broken()
    one, two = ((tmp_path / name).read_bytes()[-80:] for name in ("a", "b"))
    assert one != two


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        ([frame(4)], "time_runs_back"),
        ([frame(9), frame(8)], "time_runs_back"),
        ([frame(9, bytes(MAX_BATCH_BYTES))], "batch_too_large"),
    ],
)
def test_a_turn_that_is_no_batch_is_refused_and_the_writer_goes_on(path: Path, turn: list[Frame], code: str) -> None:
    writer = create(path)
    writer.append([frame(5)])
    size = path.stat().st_size
    with pytest.raises(RecordingError) as refusal:
        writer.append(turn)
    assert (refusal.value.code, refusal.value.can_retry) == (code, False)
    assert path.stat().st_size == size
    writer.append([frame(5)])
    writer.seal("session_ended", NOW_MS)
    assert verify(path, signing_public=None, unseal_private=PRIVATE).batches == 2


def test_a_file_that_exists_is_never_opened_for_writing(path: Path) -> None:
    write_sample(path)
    before = path.read_bytes()
    with pytest.raises(RecordingError) as refusal:
        create(path)
    assert refusal.value.code == "not_created"
    assert path.read_bytes() == before


def test_a_recording_that_cannot_begin_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError):
        create(path.parent / "absent" / "a.sallyrec")
    with pytest.raises(RecordingError) as refusal:
        RecordingWriter.create(path, header=sample_header(), recipient_public=bytes(32), now_ms=0, random=FixedRandom())
    assert refusal.value.code == "bad_recipient"
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(RecordingError) as refusal:
        create(path)
    assert refusal.value.code == "not_created"
    assert list(path.parent.iterdir()) == []


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def short(count: int) -> Callable[[int, bytes], int]:
    real = os.write
    return lambda descriptor, data: real(descriptor, data[:count])


@pytest.mark.parametrize("count", [1, 30, 60, 116])
def test_a_short_write_blocks_the_writer_and_retry_completes_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    writer = create(path)
    writer.append([frame(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short(count))
        with pytest.raises(RecordingError) as refusal:
            writer.append([frame(2)])
    assert (refusal.value.code, refusal.value.can_retry) == ("short_write", True)
    assert writer.state is WriterState.BLOCKED
    assert writer.counts.batches == 1
    report = verify(path, signing_public=writer.signing_public, unseal_private=PRIVATE)
    assert (report.state, report.kind, report.batches, report.first_bad_batch) == (State.OPEN, Kind.TORN_TAIL, 1, 2)
    with pytest.raises(RecordingError) as refusal:
        writer.append([frame(3)])
    assert (refusal.value.code, refusal.value.can_retry) == ("blocked", True)
    writer.retry()
    writer.append([frame(3)])
    writer.seal("session_ended", NOW_MS)
    found = open_recording(path, PRIVATE, signing_public=writer.signing_public)
    assert found.report.state is State.SEALED
    assert [one.at_us for one in found.frames()] == [1, 2, 3]


def test_no_space_blocks_until_there_is_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing(errno.ENOSPC))
        for act in (lambda: writer.append([frame(1)]), writer.retry, lambda: writer.seal("x", 0)):
            with pytest.raises(RecordingError) as refusal:
                act()
            assert (refusal.value.code, refusal.value.can_retry) == ("no_space", True)
        writer.tick(10**9)
    writer.retry()
    writer.retry()
    assert writer.counts.batches == 1
    writer.seal("session_ended", NOW_MS)
    assert verify(path, signing_public=None).state is State.SEALED


def test_a_trailer_that_found_no_room_is_completed_by_sealing_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = create(path)
    writer.append([frame(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short(100))
        with pytest.raises(RecordingError):
            writer.seal("session_ended", NOW_MS)
    with pytest.raises(RecordingError):
        writer.append([frame(2)])
    head = writer.seal("another_reason", NOW_MS + 1)
    assert (head.reason, writer.seal("again", 0)) == ("session_ended", head)
    assert verify(path, signing_public=None).head == head


def test_room_is_held_before_the_first_frame_and_given_back_at_the_end(path: Path) -> None:
    writer = create(path, reserve_bytes=1 << 20)
    assert path.stat().st_blocks * 512 >= 1 << 20
    writer.append([frame(1)])
    writer.seal("session_ended", NOW_MS)
    assert path.stat().st_blocks * 512 < 1 << 20
    assert verify(path, signing_public=None).state is State.SEALED


def test_a_recording_that_cannot_hold_its_room_does_not_begin(path: Path) -> None:
    with pytest.raises(RecordingError, match="could not begin"):
        create(path, reserve_bytes=1 << 60)
    assert not path.exists()


class Disk:
    """Stands before `hold_room`: room up to `end`, and no further until that is moved."""

    def __init__(self, end: int) -> None:
        self.end = end

    def __call__(self, descriptor: int, start: int, end: int) -> None:
        if end > self.end:
            raise RecordingError("no_space", "full", can_retry=True)


def test_a_batch_without_room_leaves_no_byte_and_the_writer_goes_on_or_seals(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(20_000)
    monkeypatch.setattr("recorder.writer.hold_room", disk)
    writer = create(path, reserve_bytes=8_000)
    written = 0
    with pytest.raises(RecordingError) as refusal:
        while True:
            writer.append([frame(written, os.urandom(900))])
            written += 1
    assert (refusal.value.code, refusal.value.can_retry, writer.state) == ("no_space", True, WriterState.OPEN)
    assert written > 10  # it used what is left after a whole reserve does not fit any more
    size = path.stat().st_size
    with pytest.raises(RecordingError):
        writer.append([frame(written, os.urandom(900))])
    assert path.stat().st_size == size
    disk.end = 1 << 30
    writer.append([frame(written, b"again")])
    writer.seal("session_ended", NOW_MS)
    found = open_recording(path, PRIVATE)
    assert found.report.state is State.SEALED
    assert [one.at_us for one in found.frames()] == list(range(written + 1))


def test_the_trailer_finds_its_room_on_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.writer.hold_room", Disk(20_000))
    writer = create(path, reserve_bytes=8_000)
    with pytest.raises(RecordingError):
        while True:
            writer.append([frame(1, os.urandom(900))])
    writer.seal("recording_full", NOW_MS)
    assert path.stat().st_size <= 20_000
    assert verify(path, signing_public=None).state is State.SEALED


@pytest.mark.parametrize("bound", range(10_000, 10_130, 13))
def test_a_recording_never_grows_above_its_bound_and_is_sealed_below_it(path: Path, bound: int) -> None:
    writer = create(path, most_bytes=bound, reserve_bytes=4_000)
    with pytest.raises(RecordingError) as refusal:
        for _ in range(1_000):
            writer.append([frame(1, b"x")])  # so small that only a trailer's own room keeps every end below
    assert (refusal.value.code, refusal.value.can_retry) == ("over_budget", False)
    writer.seal("recording_budget", NOW_MS)
    assert 9_500 < path.stat().st_size <= bound
    assert verify(path, signing_public=None).state is State.SEALED


def test_the_newest_head_on_file_is_told(path: Path) -> None:
    writer = create(path, head_every_batches=2)
    assert writer.anchor is None
    for at in range(5):
        writer.append([frame(at)])
    assert writer.anchor is not None
    assert writer.anchor.batches == 4
    check_head(writer.anchor, writer.header_sha256, writer.signing_public)


def test_a_sync_by_another_hand_outlives_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    writer = create(path)
    writer.append([frame(1)])
    sync = writer.syncing()
    writer.close_broken()
    real = os.fdatasync
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), real(descriptor))
    )
    sync()
    assert synced == [path.stat().st_ino]
    with pytest.raises(RecordingError, match="closed"):
        writer.syncing()


def test_a_disk_error_ends_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(path)
    writer.append([frame(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing(errno.EIO))
        with pytest.raises(RecordingError) as refusal:
            writer.append([frame(2)])
    assert (refusal.value.code, refusal.value.can_retry) == ("write_failed", False)
    assert writer.state is WriterState.FAILED
    for act in (lambda: writer.append([frame(2)]), lambda: writer.seal("x", 0), writer.sync):
        with pytest.raises(RecordingError) as refusal:
            act()
        assert refusal.value.code == "not_open"
    writer.close_broken()
    assert verify(path, signing_public=None).batches == 1


def test_a_failed_sync_ends_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(path, sync_every_seconds=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(RecordingError) as refusal:
            writer.append([frame(2_000_000)])
    assert (refusal.value.code, writer.state) == ("sync_failed", WriterState.FAILED)
    writer.close_broken()


def test_a_closed_writer_never_touches_its_old_descriptor(path: Path) -> None:
    writer = create(path)
    writer.append([frame(1)])
    writer.close_broken()
    other = path.with_name("other")
    with other.open("wb"):  # takes the freed descriptor
        for act in (lambda: writer.append([frame(2)]), lambda: writer.seal("x", 0), writer.sync):
            with pytest.raises(RecordingError):
                act()
        writer.close_broken()
        writer.tick(10**9)
        writer.retry()
    assert other.read_bytes() == b""
    assert writer.state is WriterState.CLOSED


@pytest.mark.parametrize("wrong", [{"head_every_batches": 0}, {"head_every_seconds": 0}, {"sync_every_seconds": -1}])
def test_settings_that_sign_nothing_cannot_be_made(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="interval"):
        WriterSettings(**wrong)


async def test_a_turn_can_be_recorded_from_an_event_loop_without_a_thread(path: Path) -> None:
    writer = create(path)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for i in range(200):
        writer.append([frame(i, b"key")])
        await asyncio.sleep(0)
    assert loop.time() - started < 5
    writer.seal("session_ended", NOW_MS)
    assert verify(path, signing_public=None, unseal_private=PRIVATE).batches == 200


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a real child process and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of the parent's test run may happen in the child
        os._exit(1)


def test_a_file_size_limit_of_the_system_blocks_and_lifting_it_leaves_no_gap(path: Path) -> None:
    def fill() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        writer = create(path, head_every_batches=4)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        codes: list[str] = []
        for i in range(100):
            try:
                writer.append([frame(i, os.urandom(700))])
            except RecordingError as error:
                codes.append(error.code)
                while True:
                    try:
                        writer.retry()
                        break
                    except RecordingError as again:
                        codes.append(again.code)
                        assert path.stat().st_size == 20_000
                        report = verify(path, signing_public=writer.signing_public, unseal_private=PRIVATE)
                        assert (report.kind, report.batches) == (Kind.TORN_TAIL, i)
                        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        writer.seal("session_ended", NOW_MS)
        assert codes == ["short_write", "no_space"], codes

    assert os.waitpid(in_child(fill), 0)[1] == 0
    recording = open_recording(path, PRIVATE)
    assert recording.report.state is State.SEALED
    assert [one.at_us for one in recording.frames()] == list(range(100))


def test_every_byte_acknowledged_before_a_kill_is_in_the_file(tmp_path: Path) -> None:
    pace = chance.Random(7)
    for attempt in range(20):
        path = tmp_path / f"{attempt}.sallyrec"
        reading, writing = os.pipe()

        def work(path: Path = path, writing: int = writing) -> None:
            writer = create(path, head_every_batches=5)
            for i in range(1_000_000):
                writer.append([frame(i, struct.pack(">I", i) * (1 + i % 3000))])
                os.write(writing, struct.pack(">I", i))

        child = in_child(work)
        os.close(writing)
        with os.fdopen(reading, "rb") as acknowledgements:
            told = acknowledgements.read(4 * pace.randrange(1, 120))
            time.sleep(pace.random() * 0.003)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told += acknowledgements.read()
        last = struct.unpack(">I", told[-4:])[0]
        report = verify(path, signing_public=None, unseal_private=PRIVATE)
        assert report.state is State.OPEN
        assert report.batches in (last + 1, last + 2)
        mark = mark_broken(path, EVIDENCE.sign, "gateway_killed", NOW_MS, evidence_public=EVIDENCE.public)
        assert mark.counts.batches == report.batches
        recording = open_recording(path, PRIVATE, evidence_public=EVIDENCE.public)
        assert recording.report.state is State.BROKEN
        frames = list(recording.frames())
        assert len(frames) > last
        assert all(one.data == struct.pack(">I", i) * (1 + i % 3000) for i, one in enumerate(frames))
        path.unlink()
