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
class RecordingReplayed(AuditEvent):
    """Somebody looked into a recording; `what` is `cast` or `events`."""

    code: ClassVar[str] = "recordings.recording.replayed"
    session_id: Public[str]
    what: Public[str]
