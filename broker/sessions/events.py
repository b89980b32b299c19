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
