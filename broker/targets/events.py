"""What happened to zones and targets."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class ZoneCreated(AuditEvent):
    """A zone was named. Subject: the zone."""

    code: ClassVar[str] = "targets.zone.created"
    name: Public[str]


@dataclass(frozen=True, kw_only=True)
class TargetCreated(AuditEvent):
    """A target was entered, with its host key pinned. Subject: the target."""

    code: ClassVar[str] = "targets.target.created"
    name: Public[str]
    zone_id: Public[str]
    address: Sensitive[str]
    port: Public[int]
    protocol: Public[str]
    host_key_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class TargetProbed(AuditEvent):
    """Somebody has a connection tested, up to the host key. Subject: the target, or the test for one not entered yet.

    The gateway's answer follows as `gateway.event.reported` with the test's id.
    """

    code: ClassVar[str] = "targets.target.probed"
    probe_id: Public[str]
    address: Sensitive[str]
    port: Public[int]


@dataclass(frozen=True, kw_only=True)
class TargetKeyMatched(AuditEvent):
    """A test found the pinned host key. Subject: the target."""

    code: ClassVar[str] = "targets.target.key_matched"
    probe_id: Public[str]
    host_key_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class TargetKeyDiffers(AuditEvent):
    """A test found another host key than the pinned one. Subject: the target."""

    code: ClassVar[str] = "targets.target.key_differs"
    probe_id: Public[str]
    pinned_sha256: Public[str]
    shown_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class TargetEndpointChanged(AuditEvent):
    """A target's address, port or host key was changed: its credentials are detached. Subject: the target."""

    code: ClassVar[str] = "targets.target.endpoint_changed"
    name: Public[str]
    address_before: Sensitive[str]
    address: Sensitive[str]
    port_before: Public[int]
    port: Public[int]
    host_key_sha256_before: Public[str]
    host_key_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class TargetRetired(AuditEvent):
    """A target was taken out of use for good: its sessions and grants end, its credentials go. Subject: the target."""

    code: ClassVar[str] = "targets.target.retired"
    name: Public[str]
    address: Sensitive[str]
    port: Public[int]
