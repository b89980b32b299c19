"""A recording in the index, what closed it, and what its verification found."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from broker.recordings.copy_model import Copy, Place


class RecordingState(Enum):
    """`open → sealed` or `open → broken`; never back."""

    OPEN = "open"
    SEALED = "sealed"
    BROKEN = "broken"


class RecordingCommand(Enum):
    """How a recording ends: `seal` with a signed head, `break` with a gap that nobody can fill."""

    SEAL = "seal"
    BREAK = "break"


@dataclass(frozen=True)
class OpenedFacts:
    """What the gateway says of a recording that it has opened, before the session is live."""

    signing_public: bytes
    header_sha256: bytes

    def __post_init__(self) -> None:
        if len(self.signing_public) != 32 or len(self.header_sha256) != 32:
            raise ValueError("a signing key and a header hash have 32 bytes each")


@dataclass(frozen=True)
class ClosedFacts:
    """What the gateway says of a recording that it has closed."""

    state: RecordingState
    frames: int
    batches: int
    bytes_written: int
    head_sha256: bytes | None
    head_signature: bytes | None = field(repr=False)
    closed_at: datetime

    def __post_init__(self) -> None:
        if self.state is RecordingState.OPEN:
            raise ValueError("a closed recording is sealed or broken")
        if self.state is RecordingState.SEALED and (self.head_sha256 is None or self.head_signature is None):
            raise ValueError("a sealed recording has a signed head")
        if min(self.frames, self.batches, self.bytes_written) < 0:
            raise ValueError("a recording has no negative counts")


@dataclass(frozen=True)
class Recording:
    """A recording as the index holds it."""

    id: str
    session_id: str
    file_name: str
    state: RecordingState
    signing_public: bytes
    header_sha256: bytes
    opened_at: datetime
    closed_at: datetime | None
    head_sha256: bytes | None
    head_signature: bytes | None = field(repr=False)
    frames: int
    batches: int
    bytes_written: int


@dataclass(frozen=True)
class ShownHead:
    """How far a recording reaches by its own key's word: what is shown to whoever is to confirm it.

    `head` is the signed part of its last head (tag up to signature), empty with its `signature` while there is none to
    be had. `end`: `running`, `sealed` or `broken`.
    """

    signing_public: bytes
    header_sha256: bytes
    head: bytes
    signature: bytes
    end: str


class Finding(Enum):
    """What a verification found. `unreachable`: the store of objects does not answer, so nothing was found."""

    VERIFIED = "verified"
    UNFINISHED = "unfinished"
    INCOMPLETE = "incomplete"
    ALTERED = "altered"
    MISSING = "missing"
    UNREACHABLE = "unreachable"
    PURGED = "purged"


@dataclass(frozen=True)
class Verification:
    """The result of checking a recording's file against the trail and the index.

    `trail` is how the trail's records about it stand (`broker.recordings.trail.Standing`); `heads` is how many heads
    that the trail holds the file agrees with.

    `first_bad` is the number of the first batch that does not hold, None when none was found or none can be named.
    """

    finding: Finding
    checked_at: datetime
    first_bad: int | None = None
    kind: str | None = None
    trail: str = "not_witnessed"
    heads: int = 0


@dataclass(frozen=True)
class Details:
    """A recording with its verification, what its header and frames say, and where it lies."""

    recording: Recording
    verification: Verification
    duration_ms: int | None
    width: int | None
    height: int | None
    place: Place = Place.LOCAL
    copy: Copy | None = None


@dataclass(frozen=True)
class Marker:
    """A moment in a recording worth finding: a command, a blocked command, a resize, the end."""

    at_ms: int
    kind: str
    text: str
    rule_id: str | None
