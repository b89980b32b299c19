"""Replay by chunks: small recordings at once, large ones by a process of their own, kept sealed."""

import time
from pathlib import Path

import pytest

from broker.kernel.errors import Conflict, NotFound, SallyportError
from broker.recordings import replaying
from broker.recordings.replaying import Replaying
from recorder.frames import Frame, FrameKind
from tests.unit.broker.recordings.files import Recorded, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def a_long_recording(plant: Plant, count: int = 5_000) -> Recorded:
    recorded = open_recording_of(plant)
    for number in range(count):
        recorded.writer.append([Frame(FrameKind.OUTPUT, 0, 10_000 + number * 1_000, b"line %d\r\n" % number)])
    seal(plant, recorded)
    return recorded


def test_a_small_recording_is_ready_at_once_and_looking_is_in_the_trail(plant: Plant, tmp_path: Path) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    one = Replaying(plant.recordings, tmp_path / "replay")
    found = one.timeline("psn_a", recorded.recording_id)
    assert found.index is not None
    assert (found.index.columns, found.index.rows) == (100, 30)
    assert plant.codes()[-1] == "recordings.recording.replayed"
    chunk = one.chunk(recorded.recording_id, 0)
    assert [(event.at_us, event.text) for event in chunk.events] == [(2_000, "你好\r\n"), (6_000, "bye\r\n")]


def test_a_chunk_in_the_middle_begins_with_the_screen_of_that_moment(plant: Plant, tmp_path: Path) -> None:
    recorded = a_long_recording(plant)
    one = Replaying(plant.recordings, tmp_path / "replay")
    index = one.timeline("psn_a", recorded.recording_id).index
    assert index is not None
    chunk = one.chunk(recorded.recording_id, 1)
    assert "line 497" in chunk.keyframe.text
    assert "line 400" not in chunk.keyframe.text
    assert chunk.events[0].text == "line 498\r\n"
    assert len(chunk.events) == 500
    for wrong in (-1, len(index.keyframes)):
        with pytest.raises(NotFound):
            one.chunk(recorded.recording_id, wrong)


def test_a_large_recording_is_prepared_beside_and_its_index_is_kept_sealed(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "SMALL_BYTES", 1_000)
    recorded = a_long_recording(plant)
    one = Replaying(plant.recordings, tmp_path / "replay")
    assert one.timeline("psn_a", recorded.recording_id).index is None
    with pytest.raises(Conflict) as refusal:
        one.chunk(recorded.recording_id, 0)
    assert refusal.value.code == "recordings.not_prepared"
    deadline = time.monotonic() + 120
    while (found := one.timeline("psn_a", recorded.recording_id).index) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (kept,) = (tmp_path / "replay").iterdir()
    assert b"line" not in kept.read_bytes()
    again = Replaying(plant.recordings, tmp_path / "replay")
    assert again.timeline("psn_b", recorded.recording_id).index == found  # from its file, at once
    kept.write_bytes(b"altered")
    third = Replaying(plant.recordings, tmp_path / "replay")
    assert third.timeline("psn_b", recorded.recording_id).index is None


def test_a_large_recording_is_prepared_before_anybody_asks(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "SMALL_BYTES", 1_000)
    one = Replaying(plant.recordings, tmp_path / "replay")
    assert one.prepare() == 0
    recorded = a_long_recording(plant, 100)
    assert one.prepare() == 1
    deadline = time.monotonic() + 120
    while not list((tmp_path / "replay").glob("*.index")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert one.prepare() == 0
    assert one.timeline("psn_a", recorded.recording_id).index is not None
    assert plant.codes().count("recordings.recording.replayed") == 1  # preparing is no looking


def test_a_recording_that_nobody_knows_is_not_found(plant: Plant, tmp_path: Path) -> None:
    one = Replaying(plant.recordings, tmp_path / "replay")
    with pytest.raises(NotFound):
        one.timeline("psn_a", "rec_00000000000000000000000000")
    with pytest.raises(NotFound):
        one.chunk("rec_00000000000000000000000000", 0)


def test_nothing_is_kept_of_a_recording_that_is_forgotten(plant: Plant, tmp_path: Path) -> None:
    recorded, other = open_recording_of(plant), open_recording_of(plant)
    seal(plant, recorded, 1)
    seal(plant, other, 2)
    folder = tmp_path / "replay"
    one = Replaying(plant.recordings, folder)
    for each in (recorded, other):
        assert one.timeline("psn_a", each.recording_id).index is not None
    folder.mkdir(exist_ok=True)
    (folder / f"{recorded.recording_id}.index").write_bytes(b"a screen")
    one.forget(recorded.recording_id)
    one.forget(recorded.recording_id)
    recorded.path.unlink()
    assert list(folder.iterdir()) == []
    with pytest.raises(SallyportError):
        one.chunk(recorded.recording_id, 0)
    assert one.chunk(other.recording_id, 0).events
