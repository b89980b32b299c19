"""The guard's idea of time: the wall clock, watched against a clock that cannot be set. Pure: the caller reads both."""

from dataclasses import dataclass

STEP_MS = 5_000
"""A jump of the wall clock by more than this makes the guard stop accepting for a while."""
UNSTEADY_MS = 10_000
"""How long after a jump nothing is accepted, so that a clock still being set settles."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading. went_back: the wall clock was set back just now, by more than `STEP_MS`."""

    now_ms: int
    is_steady: bool
    went_back: bool


class WatchedClock:
    """Compares the wall clock with the time since boot (which goes on while the machine sleeps)."""

    def __init__(self, wall_ms: int, boot_ms: int) -> None:
        self._offset_ms = wall_ms - boot_ms
        self._unsteady_until_boot_ms = boot_ms

    def read(self, wall_ms: int, boot_ms: int) -> Moment:
        """What to make of these two readings, taken together; call it often, since it sees steps between calls."""
        drift_ms = wall_ms - boot_ms - self._offset_ms
        self._offset_ms += drift_ms
        if abs(drift_ms) > STEP_MS:
            self._unsteady_until_boot_ms = boot_ms + UNSTEADY_MS
        return Moment(
            now_ms=wall_ms,
            is_steady=boot_ms >= self._unsteady_until_boot_ms,
            went_back=drift_ms < -STEP_MS,
        )
