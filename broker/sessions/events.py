"""The audit events of sessions, and those that the gateway reports."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class SessionAdmitted(AuditEvent):
    """Every proof held and the policy allowed it."""

    code: ClassVar[str] = "sessions.session.admitted"
    grant_id: Public[str]
    person_id: Public[str]
    device_id: Public[str]
    source: Sensitive[str]
    target_id: Public[str]
    account: Public[str]
    protocol: Public[str]
    permit_id: Public[str]
    recording_id: Public[str]
    knock_id: Public[str]
    certificate_serial: Public[str]
    rule_id: Public[str]
    policy_version: Public[str]
    not_after_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class SessionRefused(AuditEvent):
    """A connection was not admitted. Subject: the grant it named, as far as it is one of ours, else the device."""

    code: ClassVar[str] = "sessions.session.refused"
    device_id: Public[str]
    grant_id: Public[str]
    source: Sensitive[str]
    protocol: Public[str]
    knock_id: Public[str]
    refusal: Public[str]
    rule_id: Public[str]
    policy_version: Public[str]


@dataclass(frozen=True, kw_only=True)
class SessionStarted(AuditEvent):
    """The recording is open and the credential leased: the session is live."""

    code: ClassVar[str] = "sessions.session.started"
    recording_id: Public[str]
    lease_id: Public[str]


@dataclass(frozen=True, kw_only=True)
class SessionEndOrdered(AuditEvent):
    """The gateway was told to end a session."""

    code: ClassVar[str] = "sessions.session.end_ordered"
    reason: Public[str]
    order: Public[str]


@dataclass(frozen=True, kw_only=True)
class SessionCutOnHost(AuditEvent):
    """Root cut a session on the broker's own host, past the control plane. `operator` is what the command line says."""

    code: ClassVar[str] = "sessions.session.cut_on_host"
    reason: Public[str]
    operator: Public[str]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class SessionUnanswered(AuditEvent):
    """A gateway did not answer an order to end a session: the firewall has reset the session's connections."""

    code: ClassVar[str] = "sessions.session.unanswered"
    worker: Public[str]
    order: Public[str]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class SessionFrozen(AuditEvent):
    """The engineer's input is held; output goes on."""

    code: ClassVar[str] = "sessions.session.frozen"
    reason: Public[str]


@dataclass(frozen=True, kw_only=True)
class SessionThawed(AuditEvent):
    """The engineer's input is held no longer."""

    code: ClassVar[str] = "sessions.session.thawed"
    reason: Public[str]


@dataclass(frozen=True, kw_only=True)
class SessionMessaged(AuditEvent):
    """The plant wrote a line into the engineer's terminal; the recording holds it too."""

    code: ClassVar[str] = "sessions.session.messaged"
    text: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class SessionWatched(AuditEvent):
    """Somebody began to watch. `after_frame` is the number of the last frame that this viewer had already."""

    code: ClassVar[str] = "sessions.session.watched"
    watch_id: Public[str]
    recording_id: Public[str]
    after_frame: Public[int]


@dataclass(frozen=True, kw_only=True)
class SessionWatchEnded(AuditEvent):
    """Somebody watches no longer. `last_frame` is the last frame that was shown."""

    code: ClassVar[str] = "sessions.session.watch_ended"
    watch_id: Public[str]
    reason: Public[str]
    last_frame: Public[int]
    seconds: Public[int]


@dataclass(frozen=True, kw_only=True)
class SessionEnded(AuditEvent):
    """A session is over."""

    code: ClassVar[str] = "sessions.session.ended"
    grant_id: Public[str]
    device_id: Public[str]
    reason: Public[str]
    ended_at_ms: Public[int]
    exit_status: Public[int | None]
    commands_blocked: Public[int]


@dataclass(frozen=True, kw_only=True)
class CommandBlocked(AuditEvent):
    """A command was stopped before its first byte reached the target."""

    code: ClassVar[str] = "sessions.command.blocked"
    rule_id: Public[str]
    command: Sensitive[str]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class FileTransferred(AuditEvent):
    """A file was moved. `sha256` is that of the whole file, None when its bytes were not all seen in order.

    `complete`: it was closed, and every byte up to its end was acknowledged.
    """

    code: ClassVar[str] = "sessions.file.transferred"
    direction: Public[str]
    path: Sensitive[str]
    bytes: Public[int]
    sha256: Public[str | None]
    complete: Public[bool]
    sequential: Public[bool]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class ConnectionRefused(AuditEvent):
    """Somebody reached an open door without the proof that belongs to its knock. Subject: the device, if known."""

    code: ClassVar[str] = "gateway.connection.refused"
    reason: Public[str]
    door: Public[int | None]
    source: Sensitive[str]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class GatewayObserved(AuditEvent):
    """Something else the gateway reports, by its own code, with what it says about it as text."""

    code: ClassVar[str] = "gateway.event.reported"
    event: Public[str]
    details: Sensitive[str]
    at_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class ReportGap(AuditEvent):
    """Messages of a gateway are missing: its numbers are not without gaps. Subject: the worker."""

    code: ClassVar[str] = "gateway.report.gap"
    boot_id: Public[str]
    expected_seq: Public[int]
    got_seq: Public[int]


@dataclass(frozen=True, kw_only=True)
class GatewayStarted(AuditEvent):
    """A gateway worker started, and signs what it tells with this key. Subject: the worker.

    `previous_boot_id` and `previous_seq` are what was taken of its start before; null at its first.
    """

    code: ClassVar[str] = "gateway.worker.started"
    boot_id: Public[str]
    key: Public[str]
    previous_boot_id: Public[str | None]
    previous_seq: Public[int | None]


@dataclass(frozen=True, kw_only=True)
class SequenceCut(AuditEvent):
    """A gateway worker does not go on where this site knows that it was before: what it had kept at the end was lost or
    taken away, or this database is an older one. Subject: the worker.

    `known_boot_id` and `known_seq` are the newest entry that is known here; null when none is.
    """

    code: ClassVar[str] = "gateway.sequence.cut"
    boot_id: Public[str]
    known_boot_id: Public[str | None]
    known_seq: Public[int | None]


@dataclass(frozen=True, kw_only=True)
class EntryRefused(AuditEvent):
    """Something that claims to be told by a gateway was not taken: `forged`, `other_worker`, `other_key`, `forked`,
    `not_chained`, `boot_is_over`, `unsigned` or `adopted_late`. Subject: the worker."""

    code: ClassVar[str] = "gateway.entry.refused"
    boot_id: Public[str]
    seq: Public[int]
    reason: Public[str]
