from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import DamagedRecordingError
from recorder.frames import Frame, FrameKind
from recorder.manifest import SEALED_BYTES
from recorder.replay import open_recording
from recorder.report import State
from recorder.seal import generate_recipient
from recorder.testing import FixedRandom, sample_header, write_sample
from recorder.writer import RecordingWriter, WriterSettings
from tests.examples import examples


def test_a_recording_replays_exactly_what_was_written(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "a.sallyrec")
    recording = open_recording(sample.path, sample.unseal_private, signing_public=sample.signing_public)
    assert recording.header == sample_header()
    assert list(recording.frames()) == sample.frames
    assert list(recording.frames()) == sample.frames


steps = st.lists(
    st.lists(st.tuples(st.sampled_from(FrameKind), st.integers(0, 10**7), st.binary(max_size=2000)), max_size=4),
    max_size=12,
)


@examples(60)
@given(steps, st.integers(1, 5))
def test_any_turns_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, raw: list[list[tuple[FrameKind, int, bytes]]], every: int
) -> None:
    now = 0
    turns: list[list[Frame]] = []
    for turn in raw:
        turns.append([])
        for kind, later_us, data in turn:
            now += later_us
            turns[-1].append(Frame(kind, len(data) % 3, now, data))
    path = tmp_path_factory.mktemp("replay") / "a.sallyrec"
    sample = write_sample(path, turns, settings=WriterSettings(head_every_batches=every))
    recording = open_recording(path, sample.unseal_private, signing_public=sample.signing_public)
    assert recording.report.state is State.SEALED
    assert list(recording.frames()) == sample.frames


def test_a_wrong_unseal_or_signing_key_opens_nothing(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "a.sallyrec")
    with pytest.raises(DamagedRecordingError) as refusal:
        open_recording(sample.path, generate_recipient()[0])
    assert refusal.value.code == "wrong_key"
    with pytest.raises(DamagedRecordingError) as refusal:
        open_recording(sample.path, sample.unseal_private, signing_public=bytes(32))
    assert refusal.value.code == "wrong_key"


def test_a_damaged_recording_replays_up_to_the_damage_and_then_says_where(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "a.sallyrec")
    data = bytearray(sample.path.read_bytes())
    data[-SEALED_BYTES - 150] ^= 1
    sample.path.write_bytes(data)
    recording = open_recording(sample.path, sample.unseal_private)
    seen: list[Frame] = []
    with pytest.raises(DamagedRecordingError) as found:
        seen.extend(recording.frames())
    frames = recording.frames()
    good = [next(frames) for _ in range(recording.report.frames)]
    assert good == sample.frames[: len(good)]
    assert found.value.batch == recording.report.first_bad_batch
    assert len(good) == 9


def test_a_recording_that_is_being_written_replays_as_far_as_it_was_opened(tmp_path: Path) -> None:
    random = FixedRandom()
    private, public = generate_recipient(random)
    path = tmp_path / "a.sallyrec"
    writer = RecordingWriter.create(path, header=sample_header(), recipient_public=public, now_ms=0, random=random)
    first, second = Frame(FrameKind.OUTPUT, 0, 1, b"one"), Frame(FrameKind.OUTPUT, 0, 2, b"two")
    writer.append([first])
    recording = open_recording(path, private, signing_public=writer.signing_public)
    writer.append([second])
    assert recording.report.state is State.OPEN
    assert list(recording.frames()) == [first]
    assert list(open_recording(path, private).frames()) == [first, second]
    writer.close_broken()


def test_a_file_swapped_after_it_was_opened_is_not_replayed(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "a.sallyrec")
    recording = open_recording(sample.path, sample.unseal_private)
    other = write_sample(tmp_path / "b.sallyrec", header=sample_header("rec_other"))
    other.path.rename(sample.path)
    with pytest.raises(DamagedRecordingError):
        list(recording.frames())
