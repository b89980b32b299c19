"""When the disk is full of recordings, and for how many days it can hold them. Pure.

A forecast is a straight line: what the last weeks brought a day goes on, and nothing is ever removed to make room.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

WINDOW: Final = timedelta(days=28)
SOON: Final = timedelta(days=30)
_DAY: Final = timedelta(days=1)
_FULL_SHARE: Final = 0.05
_MOST_DAYS: Final = 36_500


class Level(StrEnum):
    """`SHORT`: the disk cannot hold recordings for as long as they are kept. `SOON`: full within 30 days.

    `UNKNOWN`: nothing was recorded in the last weeks. Each of the last three is an alarm.
    """

    UNKNOWN = "unknown"
    GOOD = "good"
    SHORT = "short"
    SOON = "soon"
    FULL = "full"


@dataclass(frozen=True)
class Space:
    """A file system. With less than `least_free_bytes` free, or 95 per cent used, no session begins."""

    total_bytes: int
    free_bytes: int
    least_free_bytes: int

    @property
    def usable_bytes(self) -> int:
        """What recordings may still take before no session begins."""
        return max(0, self.free_bytes - max(self.least_free_bytes, int(self.total_bytes * _FULL_SHARE)))


@dataclass(frozen=True)
class Recorded:
    """What was recorded: `recent_bytes` in the last 28 days, since `first_at` when that is later; `kept_bytes` now."""

    recent_bytes: int
    kept_bytes: int
    first_at: datetime | None


@dataclass(frozen=True)
class Forecast:
    """`full_at` and both numbers of days are None when nothing was recorded, or when they lie beyond a century."""

    level: Level
    observed_days: float
    bytes_per_day: int
    kept_bytes: int
    free_bytes: int
    usable_bytes: int
    days_until_full: int | None
    full_at: datetime | None
    days_held: int | None
    keep_days: int


def forecast(recorded: Recorded, space: Space, keep: timedelta, now: datetime) -> Forecast:
    """The outlook at this moment."""
    since = now - WINDOW if recorded.first_at is None else max(recorded.first_at, now - WINDOW)
    # A site of a few hours is not taken for one that works around the clock.
    observed = max((now - since) / _DAY, 1.0)
    rate = recorded.recent_bytes / observed
    until_full = _days(space.usable_bytes, rate)
    held = _days(recorded.kept_bytes + space.usable_bytes, rate)
    return Forecast(
        level=_level(space, until_full, held, keep, has_rate=rate > 0),
        observed_days=round(observed, 1),
        bytes_per_day=round(rate),
        kept_bytes=recorded.kept_bytes,
        free_bytes=space.free_bytes,
        usable_bytes=space.usable_bytes,
        days_until_full=until_full,
        full_at=now + timedelta(days=until_full) if until_full is not None else None,
        days_held=held,
        keep_days=keep.days,
    )


def _days(room_bytes: int, rate: float) -> int | None:
    if rate <= 0:
        return None
    days = room_bytes / rate
    return int(days) if days <= _MOST_DAYS else None


def _level(space: Space, until_full: int | None, held: int | None, keep: timedelta, *, has_rate: bool) -> Level:
    if space.usable_bytes == 0:
        return Level.FULL
    if not has_rate:
        return Level.UNKNOWN
    if until_full is not None and until_full < SOON.days:
        return Level.SOON
    if held is not None and held < keep.days:
        return Level.SHORT
    return Level.GOOD
