"""How long a recording is kept, who may end that, and what stands in the way. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from broker.recordings import errors
from broker.recordings.model import Recording, RecordingState
from broker.recordings.retention_model import Barrier, Hold, Purge, PurgeCommand, PurgeState
from recorder.tombstone import LEAST_KEPT_DAYS

LEAST_KEPT: Final = timedelta(days=LEAST_KEPT_DAYS)
ASK_VALID: Final = timedelta(hours=72)
MOST_AT_ONCE: Final = 500
MOST_HOLDS: Final = 20
LONGEST_REASON: Final = 500

MOVES: Final[Mapping[tuple[PurgeState, PurgeCommand], PurgeState]] = MappingProxyType(
    {
        (PurgeState.ASKED, PurgeCommand.CONFIRM): PurgeState.CONFIRMED,
        (PurgeState.ASKED, PurgeCommand.DECLINE): PurgeState.DECLINED,
        (PurgeState.ASKED, PurgeCommand.WITHDRAW): PurgeState.WITHDRAWN,
        (PurgeState.ASKED, PurgeCommand.LAPSE): PurgeState.LAPSED,
    }
)


def moved(state: PurgeState, command: PurgeCommand) -> PurgeState:
    """The state after this command. Raises Conflict (`recordings.purge_not_in_state`)."""
    after = MOVES.get((state, command))
    if after is None:
        raise errors.purge_not_in_state(state.value, command.value)
    return after


def keep_until(recording: Recording, keep: timedelta) -> datetime | None:
    """Until when a recording is kept; None while it is being written.

    The moment of its end is the gateway's word, that of its beginning is control's own: whichever is later counts, so
    that a gateway that tells an end in the past shortens nothing.
    """
    if recording.state is RecordingState.OPEN or recording.closed_at is None:
        return None
    return max(recording.opened_at, recording.closed_at) + max(keep, LEAST_KEPT)


def barrier(recording: Recording, holds: Iterable[Hold], keep: timedelta, now: datetime) -> Barrier | None:
    """Why this recording may not be destroyed now, None when nothing stands in the way."""
    until = keep_until(recording, keep)
    if until is None:
        return Barrier.OPEN
    if now < until:
        return Barrier.TOO_YOUNG
    if any(hold.lifted_at is None for hold in holds):
        return Barrier.ON_HOLD
    return None


def list_sha256(recording_ids: Collection[str]) -> bytes:
    """The name of an exact list: SHA-256 over its ids in order, one a line."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(recording_ids)).encode()).digest()


def check_confirmer(purge: Purge, confirmer: str, reviewed: bytes, now: datetime) -> None:
    """Refuse whoever asked, whoever reviewed another list, and an ask that is over.

    Raises Conflict (`recordings.purge_not_in_state`, `recordings.purge_lapsed`, `recordings.another_list`) and
    Forbidden (`recordings.purge_own`).
    """
    moved(purge.state, PurgeCommand.CONFIRM)
    if confirmer == purge.asked_by:
        raise errors.purge_own()
    if now >= purge.expires_at:
        raise errors.purge_lapsed()
    if reviewed != purge.list_sha256:
        raise errors.another_list()


def checked_reason(reason: str) -> str:
    """A reason without blanks around it. Raises Invalid (`recordings.reason_missing`) when nothing is left."""
    said = reason.strip()
    if not said or len(said) > LONGEST_REASON:
        raise errors.reason_missing()
    return said
