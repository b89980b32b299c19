"""Watches the free space of recordings: thresholds go to the audit trail, and nobody is let in when it is full."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from broker.gateway.recording_care import RecordingCare, RoomLevel

STORAGE: Final = "recordings.storage.level"
_LOOK_SECONDS: Final = 5.0

_log = structlog.get_logger("gateway.recordings")


class RecordingRoom:
    """The level of one folder's file system, looked at when asked and every few seconds by `run`."""

    def __init__(
        self, folder: Path, care: RecordingCare, report: Callable[[str, Mapping[str, str | int]], None]
    ) -> None:
        self._folder = folder
        self._care = care
        self._report = report
        self._level = RoomLevel.GOOD

    def look(self) -> RoomLevel:
        """The level now; a change is reported. A folder that cannot be asked counts as full."""
        try:
            state = os.statvfs(self._folder)
        except OSError as error:
            _log.error("recordings_folder_lost", error=str(error))
            used, free = 0, 0
        else:
            used, free = (state.f_blocks - state.f_bfree) * state.f_frsize, state.f_bavail * state.f_frsize
        level = self._care.level(used, free)
        if level is not self._level:
            (_log.info if level is RoomLevel.GOOD else _log.error)("recordings_room", level=str(level), free_bytes=free)
            self._report(STORAGE, {"level": str(level), "before": str(self._level), "free_bytes": free})
            self._level = level
        return level

    @property
    def admits(self) -> bool:
        """Whether a session may begin."""
        return self.look() is not RoomLevel.FULL

    async def run(self) -> None:
        """Looks every few seconds until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)
