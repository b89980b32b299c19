from pathlib import Path

import pytest

from recorder.errors import DamagedRecordingError
from recorder.purged import leave_tombstone, read_tombstone, remove_file, tombstone_path
from tests.unit.recorder.test_tombstone import LINE, PUBLIC, STONE


def test_a_tombstone_lies_beside_the_recording_and_replaces_a_torn_one(tmp_path: Path) -> None:
    recording = tmp_path / f"{STONE.recording_id}.sallyrec"
    place = tombstone_path(recording)
    assert place == tmp_path / f"{STONE.recording_id}.tombstone"
    place.write_bytes(LINE[:40])
    leave_tombstone(recording, LINE)
    leave_tombstone(recording, LINE)
    assert read_tombstone(place, PUBLIC) == STONE
    assert [one.name for one in tmp_path.iterdir()] == [place.name]


def test_a_file_is_removed_once_and_no_tombstone_with_it(tmp_path: Path) -> None:
    recording = tmp_path / f"{STONE.recording_id}.sallyrec"
    recording.write_bytes(b"x")
    leave_tombstone(recording, LINE)
    assert remove_file(recording)
    assert not remove_file(recording)
    assert tombstone_path(recording).exists()


def test_the_tombstone_of_another_recording_is_none(tmp_path: Path) -> None:
    place = tmp_path / "rec_1.tombstone"
    place.write_bytes(LINE)
    with pytest.raises(DamagedRecordingError) as refused:
        read_tombstone(place, PUBLIC)
    assert refused.value.code == "not_a_tombstone"
    with pytest.raises(FileNotFoundError):
        read_tombstone(tmp_path / "rec_2.tombstone", PUBLIC)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    recording = tmp_path / f"{STONE.recording_id}.sallyrec"
    aside = tmp_path / "aside"
    aside.write_bytes(b"other")
    tombstone_path(recording).with_name(f"{STONE.recording_id}.tombstone.new").symlink_to(aside)
    with pytest.raises(OSError, match=r"symbolic|loop|Too many"):
        leave_tombstone(recording, LINE)
    assert aside.read_bytes() == b"other"
