"""The copy of a recording in the store of objects, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from recorder.stores.port import Stored


class CopyState(Enum):
    """`growing → stored → verified → released`; back to `growing` when what was stored is not the recording."""

    GROWING = "growing"
    STORED = "stored"
    VERIFIED = "verified"
    RELEASED = "released"


class Place(Enum):
    """Where the bytes of a recording lie, for people."""

    LOCAL = "local"
    BOTH = "both"
    OBJECT_STORE = "object_store"
    GONE = "gone"


@dataclass(frozen=True)
class Copy:
    """A recording's copy. `problem` is why its last try failed, None when it did not.

    `stored` is the object once there is one; only a verified one is ever read. `attempt` counts objects from 1.
    """

    recording_id: str
    state: CopyState
    attempt: int
    uploaded_bytes: int
    stored: Stored | None
    is_held: bool
    problem: str | None
    locked_until: datetime | None
    verified_at: datetime | None
    released_at: datetime | None
    removed_at: datetime | None


@dataclass(frozen=True)
class StoreState:
    """The store of objects, for console, health and metrics. `problem` None: it answered and can lock."""

    bucket: str
    problem: str | None
    checked_at: datetime | None
    counts: dict[str, int]
    failing: int
    waiting_bytes: int


def place_of(copy: Copy | None, *, is_destroyed: bool) -> Place:
    """Where a recording lies."""
    if is_destroyed:
        return Place.GONE
    if copy is None or copy.state in {CopyState.GROWING, CopyState.STORED}:
        return Place.LOCAL
    return Place.OBJECT_STORE if copy.state is CopyState.RELEASED else Place.BOTH
