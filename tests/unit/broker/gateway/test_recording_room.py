"""The free space of recordings: a threshold is told once, and nobody is let in when it is full."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from broker.gateway.recording_care import RecordingCare, RoomLevel
from broker.gateway.recording_room import RecordingRoom


class World:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 90
        self.told: list[tuple[str, Mapping[str, str | int]]] = []
        self.room = RecordingRoom(folder, RecordingCare(least_free_bytes=1), lambda *one: self.told.append(one))
        monkeypatch.setattr(
            os, "statvfs", lambda _: SimpleNamespace(f_blocks=100, f_bfree=self.free, f_bavail=self.free, f_frsize=1)
        )


def test_each_threshold_is_told_once_and_full_admits_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch)
    with capture_logs():
        for free in (90, 50, 19, 18, 9, 4, 3, 30):
            world.free = free
            assert world.room.admits == (free > 5)
    levels = [(params["before"], params["level"]) for _, params in world.told]
    assert levels == [("good", "filling"), ("filling", "nearly_full"), ("nearly_full", "full"), ("full", "good")]
    assert {code for code, _ in world.told} == {"recordings.storage.level"}


def test_a_folder_that_is_gone_counts_as_full(tmp_path: Path) -> None:
    room = RecordingRoom(tmp_path / "gone", RecordingCare(), lambda *_: None)
    with capture_logs():
        assert room.look() is RoomLevel.FULL
        assert not room.admits
