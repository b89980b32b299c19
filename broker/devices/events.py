"""What happened to invites and devices."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class DeviceInvited(AuditEvent):
    """A one-use invite was made. Subject: the invite."""

    code: ClassVar[str] = "devices.invite.created"
    person_id: Public[str]
    certificate_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class InviteBurnt(AuditEvent):
    """An invite was used with a wrong code and is spent. Subject: the invite."""

    code: ClassVar[str] = "devices.invite.burnt"
    person_id: Public[str]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class DeviceEnrolled(AuditEvent):
    """A device used its invite and waits to be trusted. Subject: the device."""

    code: ClassVar[str] = "devices.device.enrolled"
    person_id: Public[str]
    invite_id: Public[str]
    name: Public[str]
    key_storage: Public[str]
    certificate_sha256: Public[str]
    short_code: Public[str]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class DeviceTrusted(AuditEvent):
    """The short code was compared and the device is trusted. Subject: the device."""

    code: ClassVar[str] = "devices.device.trusted"
    person_id: Public[str]
    invited_by: Public[str]


@dataclass(frozen=True, kw_only=True)
class DeviceRenewing(AuditEvent):
    """A device was given a new certificate and knock key; the old hold until it uses the new. Subject: the device."""

    code: ClassVar[str] = "devices.device.renewing"
    person_id: Public[str]
    certificate_sha256: Public[str]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class DeviceRenewed(AuditEvent):
    """A device used its new certificate: the old one and the old knock key are void. Subject: the device."""

    code: ClassVar[str] = "devices.device.renewed"
    person_id: Public[str]
    certificate_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class DevicePolicyChanged(AuditEvent):
    """What a device's knocks may leave open was changed. Subject: the device."""

    code: ClassVar[str] = "devices.device.policy_changed"
    person_id: Public[str]
    allow_header_address: Public[bool]
    loose_clock: Public[bool]


@dataclass(frozen=True, kw_only=True)
class SiteKeyRotated(AuditEvent):
    """A new site key takes over the gate; the one before stays until `overlap_until`. Subject: the site key."""

    code: ClassVar[str] = "devices.site_key.rotated"
    overlap_until: Public[str]


@dataclass(frozen=True, kw_only=True)
class DeviceSuspended(AuditEvent):
    """The device may do nothing until it is resumed. Subject: the device."""

    code: ClassVar[str] = "devices.device.suspended"
    person_id: Public[str]
    mark: Public[int]


@dataclass(frozen=True, kw_only=True)
class DeviceResumed(AuditEvent):
    """A suspended device is trusted again. Subject: the device."""

    code: ClassVar[str] = "devices.device.resumed"
    person_id: Public[str]
    mark: Public[int]


@dataclass(frozen=True, kw_only=True)
class DeviceRetired(AuditEvent):
    """The device is out of use for good; its knock key is erased. Subject: the device."""

    code: ClassVar[str] = "devices.device.retired"
    person_id: Public[str]
    mark: Public[int]
