"""The audit events of grants."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class GrantIssued(AuditEvent):
    """An approved request became a grant."""

    code: ClassVar[str] = "grants.grant.issued"
    request_id: Public[str]
    person_id: Public[str]
    device_id: Public[str]
    target_id: Public[str]
    account: Public[str]
    not_before_ms: Public[int]
    not_after_ms: Public[int]


@dataclass(frozen=True, kw_only=True)
class GrantRevoked(AuditEvent):
    """Somebody took a grant back before its end."""

    code: ClassVar[str] = "grants.grant.revoked"
    person_id: Public[str]
    device_id: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class GrantFinished(AuditEvent):
    """The vendor gave the rest of the window back."""

    code: ClassVar[str] = "grants.grant.finished"
    device_id: Public[str]


@dataclass(frozen=True, kw_only=True)
class GrantExpired(AuditEvent):
    """A grant's window ended."""

    code: ClassVar[str] = "grants.grant.expired"
    person_id: Public[str]
    device_id: Public[str]


@dataclass(frozen=True, kw_only=True)
class CertificateIssued(AuditEvent):
    """A short-lived SSH certificate was handed to the vendor's agent; the serial is written in decimal."""

    code: ClassVar[str] = "grants.certificate.issued"
    serial: Public[str]
    device_id: Public[str]
    key_sha256: Public[str]
    source: Sensitive[str]
    valid_before_ms: Public[int]
