"""The rule against replayed, delayed and post-dated knocks, and where it starts again after a restart.

A knock is fresh when its stamp is newer than every stamp accepted from its device, newer than the start fence, and no
more than 30 s away from the guard's clock. So a packet can be accepted once, and only now.
"""

from enum import Enum, auto

WINDOW_MS = 30_000
"""How far a stamp may lie from the guard's clock, in either direction."""


class StampVerdict(Enum):
    """What the rule says of one stamp."""

    FRESH = auto()
    REPLAYED = auto()
    FENCED = auto()
    TOO_OLD = auto()
    TOO_NEW = auto()


class History(Enum):
    """What is known of the stamps accepted before this start."""

    COMPLETE = auto()
    """Clean stop, or a crash within the same boot: every accepted stamp is in the store."""
    DOUBTFUL = auto()
    """No store, a damaged one, or a machine that went down without a clean stop: stamps may be missing."""


def judge_stamp(stamp_ms: int, *, last_ms: int, now_ms: int, fence_ms: int, window_ms: int = WINDOW_MS) -> StampVerdict:
    """Whether a knock stamped `stamp_ms` may be accepted at `now_ms`.

    last_ms: the newest stamp accepted from the device, 0 when none. fence_ms: see `start_fence_ms`. window_ms: wider
    only for a device whose clock is known to be wrong; a knock that was held back then stays good for so long, or until
    the device's next one.
    """
    if stamp_ms < now_ms - window_ms:
        return StampVerdict.TOO_OLD
    if stamp_ms > now_ms + window_ms:
        return StampVerdict.TOO_NEW
    if stamp_ms <= last_ms:
        return StampVerdict.REPLAYED
    if stamp_ms <= fence_ms:
        return StampVerdict.FENCED
    return StampVerdict.FRESH


def start_fence_ms(started_ms: int, history: History) -> int:
    """The stamp up to which nothing is accepted after a start at `started_ms`.

    With doubtful history, whatever could have been accepted before the start lies at most one window in its future;
    so no knock is accepted until clients stamp later than that.
    """
    match history:
        case History.COMPLETE:
            return started_ms - WINDOW_MS
        case History.DOUBTFUL:
            return started_ms + WINDOW_MS
