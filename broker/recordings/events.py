"""The audit events of recordings."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


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


@dataclass(frozen=True, kw_only=True)
class RecordingHoldPlaced(AuditEvent):
    """An auditor forbids that this recording is destroyed, until the hold is lifted. Subject: the recording."""

    code: ClassVar[str] = "recordings.hold.placed"
    hold_id: Public[str]
    session_id: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class RecordingHoldLifted(AuditEvent):
    """A security administrator lifted an auditor's hold. Subject: the recording."""

    code: ClassVar[str] = "recordings.hold.lifted"
    hold_id: Public[str]
    session_id: Public[str]
    placed_by: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PurgeAsked(AuditEvent):
    """A system administrator asks that recordings be destroyed; nothing is until an auditor confirms this very list.

    `list_sha256` is the SHA-256 over the recordings' ids in order, one a line.
    """

    code: ClassVar[str] = "recordings.purge.asked"
    recordings: Public[int]
    bytes: Public[int]
    list_sha256: Public[str]
    expires_at_ms: Public[int]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PurgeConfirmed(AuditEvent):
    """An auditor confirmed a purge; each recording's tombstone follows in the same transaction."""

    code: ClassVar[str] = "recordings.purge.confirmed"
    asked_by: Public[str]
    recordings: Public[int]
    bytes: Public[int]
    list_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class PurgeDeclined(AuditEvent):
    """An auditor refused a purge."""

    code: ClassVar[str] = "recordings.purge.declined"
    asked_by: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PurgeWithdrawn(AuditEvent):
    """A system administrator took a purge back."""

    code: ClassVar[str] = "recordings.purge.withdrawn"
    asked_by: Public[str]


@dataclass(frozen=True, kw_only=True)
class PurgeLapsed(AuditEvent):
    """Nobody confirmed a purge within 72 hours."""

    code: ClassVar[str] = "recordings.purge.lapsed"
    asked_by: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingPurged(AuditEvent):
    """A recording's tombstone, signed by the site's checkpoint key. Actor: who confirmed. Subject: the recording."""

    code: ClassVar[str] = "recordings.recording.purged"
    site: Public[str]
    session_id: Public[str]
    grant_id: Public[str]
    state: Public[str]
    opened_at_ms: Public[int]
    closed_at_ms: Public[int]
    frames: Public[int]
    batches: Public[int]
    bytes: Public[int]
    signing_key: Public[str]
    header_sha256: Public[str]
    head_sha256: Public[str | None]
    head_signature: Public[str | None]
    purge_id: Public[str]
    asked_by: Public[str]
    reason: Sensitive[str]
    purged_at_ms: Public[int]
    signature: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingRemoved(AuditEvent):
    """The gateway checked a recording's tombstone and removed its file; `was_there` is false when it was gone."""

    code: ClassVar[str] = "recordings.recording.removed"
    purge_id: Public[str]
    was_there: Public[bool]


@dataclass(frozen=True, kw_only=True)
class RecordingRemovalRefused(AuditEvent):
    """The gateway did not remove the file: tombstone, age or file are not as they should be. Look into it."""

    code: ClassVar[str] = "recordings.recording.removal_refused"
    purge_id: Public[str]
    reason: Public[str]


@dataclass(frozen=True, kw_only=True)
class StorageForecast(AuditEvent):
    """The outlook for the room of recordings changed. Subject: `site`. Looked at once an hour.

    `level`: `good`; `short` (the disk cannot hold recordings for as long as they are kept); `soon` (full within 30
    days); `full` (no session begins); `unknown` (nothing was recorded in the last weeks).
    """

    code: ClassVar[str] = "recordings.storage.forecast"
    level: Public[str]
    before: Public[str]
    bytes_per_day: Public[int]
    usable_bytes: Public[int]
    full_at_ms: Public[int | None]
    days_held: Public[int | None]
    keep_days: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingCopied(AuditEvent):
    """A recording's copy was read back whole from the store of objects, verified, and is locked until this moment."""

    code: ClassVar[str] = "recordings.copy.verified"
    session_id: Public[str]
    bucket: Public[str]
    version: Public[str]
    bytes: Public[int]
    sha256: Public[str]
    lock_mode: Public[str]
    locked_until_ms: Public[int]
    attempt: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingCopyFailed(AuditEvent):
    """A recording could not be copied or its copy is not what was sent; its file stays on this machine.

    `altered`: what came back is not the recording. `no_lock`: the store does not keep it locked.
    """

    code: ClassVar[str] = "recordings.copy.failed"
    session_id: Public[str]
    reason: Public[str]
    attempt: Public[int]


@dataclass(frozen=True, kw_only=True)
class RecordingCopyHeld(AuditEvent):
    """The legal hold of a recording's object was set or lifted, as the recording's own holds say."""

    code: ClassVar[str] = "recordings.copy.held"
    session_id: Public[str]
    version: Public[str]
    is_held: Public[bool]


@dataclass(frozen=True, kw_only=True)
class RecordingReleased(AuditEvent):
    """A recording's file left this machine after its copy was verified; `was_there` is false when it had gone."""

    code: ClassVar[str] = "recordings.copy.released"
    session_id: Public[str]
    version: Public[str]
    was_there: Public[bool]


@dataclass(frozen=True, kw_only=True)
class RecordingReleaseRefused(AuditEvent):
    """A gateway keeps a recording's file although its copy was verified, and says why."""

    code: ClassVar[str] = "recordings.copy.release_refused"
    session_id: Public[str]
    reason: Public[str]


@dataclass(frozen=True, kw_only=True)
class RecordingCopyRemoved(AuditEvent):
    """The objects of a destroyed recording are gone from the store."""

    code: ClassVar[str] = "recordings.copy.removed"
    purge_id: Public[str]
    objects: Public[int]


@dataclass(frozen=True, kw_only=True)
class ObjectStoreState(AuditEvent):
    """The store of objects can be used (`ok`) or not any more: recordings stay on this machine meanwhile."""

    code: ClassVar[str] = "recordings.store.state"
    state: Public[str]
    before: Public[str]
