"""Room on disk that is held before it is needed, on the real file system."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import room
from recorder.errors import RecordingError
from recorder.room import free_room, hold_room


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield opened
    os.close(opened)


def held_bytes(descriptor: int) -> int:
    return os.fstat(descriptor).st_blocks * 512


def test_room_is_held_without_a_change_of_size_and_given_back(descriptor: int) -> None:
    hold_room(descriptor, 0, 1 << 20)
    assert os.fstat(descriptor).st_size == 0
    assert held_bytes(descriptor) >= 1 << 20
    os.write(descriptor, b"x" * 5000)
    assert os.fstat(descriptor).st_size == 5000
    free_room(descriptor)
    assert os.fstat(descriptor).st_size == 5000
    assert held_bytes(descriptor) < 1 << 20


def test_more_than_the_disk_has_is_no_space_and_may_be_tried_again(descriptor: int) -> None:
    with pytest.raises(RecordingError) as refusal:
        hold_room(descriptor, 0, 1 << 60)
    assert (refusal.value.code, refusal.value.can_retry) == ("no_space", True)


def test_a_closed_file_is_no_question_of_space(descriptor: int, tmp_path: Path) -> None:
    reading = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        with pytest.raises(RecordingError) as refusal:
            hold_room(reading, 0, 4096)
        assert (refusal.value.code, refusal.value.can_retry) == ("write_failed", False)
    finally:
        os.close(reading)


def test_where_nothing_can_be_held_what_is_free_is_asked(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unable:
        def fallocate(self, *_: int) -> int:
            room.ctypes.set_errno(room.errno.EOPNOTSUPP)
            return -1

    monkeypatch.setattr(room, "_libc", Unable())
    hold_room(descriptor, 0, 4096)
    with pytest.raises(RecordingError, match="no room"):
        hold_room(descriptor, 0, 1 << 60)
