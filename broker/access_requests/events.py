"""The audit events of access requests."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class AccessRequestSubmitted(AuditEvent):
    """Somebody asked for access."""

    code: ClassVar[str] = "access.request.submitted"
    device_id: Public[str]
    target_id: Public[str]
    account: Public[str]
    source: Sensitive[str]
    work_order: Public[str]
    reason: Sensitive[str]
    starts_at_ms: Public[int | None]
    duration_seconds: Public[int]


@dataclass(frozen=True, kw_only=True)
class AccessRequestEndorsed(AuditEvent):
    """One of several people who must approve has approved."""

    code: ClassVar[str] = "access.request.endorsed"
    person_id: Public[str]
    missing: Public[int]
    duration_seconds: Public[int]


@dataclass(frozen=True, kw_only=True)
class AccessRequestApproved(AuditEvent):
    """Enough people approved: a grant follows."""

    code: ClassVar[str] = "access.request.approved"
    person_id: Public[str]
    device_id: Public[str]
    target_id: Public[str]
    account: Public[str]
    not_before_ms: Public[int]
    not_after_ms: Public[int]
    approvals: Public[int]


@dataclass(frozen=True, kw_only=True)
class AccessRequestDenied(AuditEvent):
    """An approver refused."""

    code: ClassVar[str] = "access.request.denied"
    person_id: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class AccessRequestWithdrawn(AuditEvent):
    """The requester took it back."""

    code: ClassVar[str] = "access.request.withdrawn"


@dataclass(frozen=True, kw_only=True)
class AccessRequestLapsed(AuditEvent):
    """Nobody decided in time."""

    code: ClassVar[str] = "access.request.lapsed"
    person_id: Public[str]
