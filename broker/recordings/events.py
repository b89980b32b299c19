"""The audit events of recordings."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class RecordingOpened(AuditEvent):
    """A recording began: its signing key is in the trail before its session is live."""

    code: ClassVar[str] = "recordings.recording.opened"
    session_id: Public[str]
    signing_key: Public[str]
    header_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingSealed(AuditEvent):
    """A recording is complete; this is its signed head."""

    code: ClassVar[str] = "recordings.recording.sealed"
    session_id: Public[str]
    signing_key: Public[str]
    head_sha256: Public[str]
    head_signature: Public[str]
    frames: Public[int]
    batches: Public[int]
    bytes_written: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingBroken(AuditEvent):
    """A recording ended without its seal: what follows its last signed head cannot be proved complete."""

    code: ClassVar[str] = "recordings.recording.broken"
    session_id: Public[str]
    signing_key: Public[str]
    head_sha256: Public[str | None]
    frames: Public[int]
    batches: Public[int]
    bytes_written: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingAnchored(AuditEvent):
    """A running recording was whole up to here: a head signed by its own key, checked before it was written."""

    code: ClassVar[str] = "recordings.recording.anchored"
    session_id: Public[str]
    batches: Public[int]
    frames: Public[int]
    bytes: Public[int]
    at_us: Public[int]
    chain_sha256: Public[str]
    signature: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingAnchorRefused(AuditEvent):
    """A gateway told of a head that the recording's key did not sign: gateway or recording is not what it was."""

    code: ClassVar[str] = "recordings.recording.anchor_refused"
    session_id: Public[str]
    batches: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingStalled(AuditEvent):
    """A recording found no room: its session waits, and nothing passes in either direction."""

    code: ClassVar[str] = "recordings.recording.stalled"
    session_id: Public[str]
    error: Public[str]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingResumed(AuditEvent):
    """A recording found room again; nothing of it is missing."""

    code: ClassVar[str] = "recordings.recording.resumed"
    session_id: Public[str]
    held_ms: Public[int]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingNearlySpent(AuditEvent):
    """A recording has used four fifths of the room that one session may; at the bound its session ends."""

    code: ClassVar[str] = "recordings.recording.nearly_spent"
    session_id: Public[str]
    bytes: Public[int]
    most_bytes: Public[int]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class StorageLevel(AuditEvent):
    """The file system of recordings crossed a threshold: `good`, `filling` (80 %), `nearly_full` (90 %), `full`.

    `full`: 95 %, or less free than the site's least; no session begins. Subject: the gateway's worker.
    """

    code: ClassVar[str] = "recordings.storage.level"
    level: Public[str]
    before: Public[str]
    free_bytes: Public[int]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingUnmaskAsked(AuditEvent):
    """An auditor handed in one of the two parts that open the typed input which no screen showed."""

    code: ClassVar[str] = "recordings.recording.unmask_asked"
    session_id: Public[str]
    part: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingUnmasked(AuditEvent):
    """Two auditors read typed input which no screen showed. Actor: who read it now."""

    code: ClassVar[str] = "recordings.recording.unmasked"
    session_id: Public[str]
    with_auditor: Public[str]
    pieces: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingUnmaskRefused(AuditEvent):
    """Two parts were handed in that do not open this recording's masked input."""

    code: ClassVar[str] = "recordings.recording.unmask_refused"
    session_id: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingReplayed(AuditEvent):
    """Somebody looked into a recording; `what` is `cast`, `events` or `timeline`."""

    code: ClassVar[str] = "recordings.recording.replayed"
    session_id: Public[str]
    what: Public[str]
