"""Pure: how recordings are cared for: what is held for each, how far one may grow, and when free space is an alarm."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recorder.writer import WriterSettings

HOLD_WHEN_FULL: Final = "hold_when_full"
"""The duty that holds a session while it cannot be recorded; without it such a session ends."""

_MIB: Final = 1 << 20
_NEARLY: Final = 0.8


class RoomLevel(StrEnum):
    """How full the file system of recordings is. At `FULL` no session begins."""

    GOOD = "good"
    FILLING = "filling"
    NEARLY_FULL = "nearly_full"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class RecordingCare:
    """What the site set. A recording reaches at most `most_bytes`; zero seconds never sync while the session runs.

    `reserve_bytes` are held on disk for a recording before its session starts, and again and again ahead of its end.
    A signed head goes to the audit trail every `anchor_seconds` in which something was recorded.
    """

    reserve_bytes: int = 8 * _MIB
    most_bytes: int = 4096 * _MIB
    sync_seconds: float = 5.0
    anchor_seconds: float = 30.0
    least_free_bytes: int = 64 * _MIB

    def writer_settings(self) -> WriterSettings:
        """The writer's part. Syncs are made by a thread of the gateway, not by the writer."""
        return WriterSettings(reserve_bytes=self.reserve_bytes, most_bytes=self.most_bytes)

    def is_nearly_spent(self, written_bytes: int) -> bool:
        """Whether a recording has used four fifths of what it may."""
        return bool(self.most_bytes) and written_bytes >= self.most_bytes * _NEARLY

    def level(self, used_bytes: int, free_bytes: int) -> RoomLevel:
        """The level of a file system: 80, 90 and 95 per cent used, or less free than `least_free_bytes`."""
        used = used_bytes / (used_bytes + free_bytes) if free_bytes > 0 else 1.0
        if used >= 0.95 or free_bytes < self.least_free_bytes:
            return RoomLevel.FULL
        if used >= 0.9:
            return RoomLevel.NEARLY_FULL
        return RoomLevel.FILLING if used >= 0.8 else RoomLevel.GOOD
