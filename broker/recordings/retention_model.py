"""Legal holds, purges and what a purge leaves, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from broker.recordings.model import Recording


@dataclass(frozen=True)
class Hold:
    """A recording must not be destroyed, for this reason; `lifted_at` is None while the hold stands."""

    id: str
    recording_id: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None
    lift_reason: str | None


class PurgeState(Enum):
    """`asked → confirmed`, or to one of the three ends that destroy nothing."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class PurgeCommand(Enum):
    """What can be done about a purge that was asked for."""

    CONFIRM = "confirm"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"


class Barrier(Enum):
    """Why a recording cannot be destroyed now. Each is the end of a refusal's code: `recordings.purge_…`."""

    OPEN = "open"
    TOO_YOUNG = "too_young"
    ON_HOLD = "on_hold"
    PURGED = "already_purged"
    NOT_AS_RECORDED = "not_as_recorded"


@dataclass(frozen=True)
class Purge:
    """Somebody's wish to destroy these recordings, for this reason, until it lapses.

    `list_sha256` names the exact list; `total_bytes` is what its files hold together.
    """

    id: str
    state: PurgeState
    reason: str
    recording_count: int
    total_bytes: int
    list_sha256: bytes
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None


@dataclass(frozen=True)
class Destroyed:
    """What stays of a destroyed recording: its tombstone's line. `removed_at` is None until the gateway removed it."""

    recording_id: str
    purge_id: str
    line: bytes
    purged_at: datetime
    removed_at: datetime | None
    refusal: str | None


@dataclass(frozen=True)
class SessionWords:
    """What the list shows of a recording's session."""

    grant_id: str
    person_name: str
    target_name: str


@dataclass(frozen=True)
class Kept:
    """A recording with what bears on its retention. `keep_until` is None while it is being written.

    `waits_in` is the id of a purge that names it and may still be confirmed, None when there is none.
    """

    recording: Recording
    session: SessionWords | None
    keep_until: datetime | None
    holds: tuple[Hold, ...]
    destroyed: Destroyed | None
    waits_in: str | None
    barrier: Barrier | None
