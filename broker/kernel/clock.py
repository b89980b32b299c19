"""Where now comes from. Code that decides receives a moment; only the edge asks a clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of aware UTC moments."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


class StandingClock:
    """A clock for tests: time stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """The moment that was set."""
        return self._at

    def move(self, by: timedelta) -> None:
        """Let this much time pass."""
        self._at += by


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch of an aware moment."""
    return int(moment.timestamp() * 1000)


def from_milliseconds(value: int) -> datetime:
    """The aware UTC moment of milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC)


def boot_seconds() -> float:
    """Seconds since boot, sleep included (CLOCK_BOOTTIME): moves only forward."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
