"""What the guard's knocks tell the trail. Refused knocks are counted by the guard, not written one by one."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class KnockAccepted(AuditEvent):
    """A door was opened for a device's address. Subject: the device or invite."""

    code: ClassVar[str] = "knock.accepted"
    knock_id: Public[str]
    door: Public[int]
    grant_id: Public[str | None]
    address: Sensitive[str]
    window_seconds: Public[int]
    signed_knock_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class KnockSourceShared(AuditEvent):
    """Several parties come from one address: it is a translated network, not one neighbour. Subject: the site.

    `devices` and `strangers` count those of the last day.
    """

    code: ClassVar[str] = "knock.source.shared"
    address: Sensitive[str]
    devices: Public[int]
    strangers: Public[int]


@dataclass(frozen=True, kw_only=True)
class GuardDegraded(AuditEvent):
    """The guard accepts no knock, for these reasons, separated by spaces. Subject: the guard."""

    code: ClassVar[str] = "knock.guard.degraded"
    faults: Public[str]


@dataclass(frozen=True, kw_only=True)
class GuardArmed(AuditEvent):
    """The guard accepts knocks again, or for the first time since control started. Subject: the guard."""

    code: ClassVar[str] = "knock.guard.armed"


@dataclass(frozen=True, kw_only=True)
class KnockUnproved(AuditEvent):
    """The guard told of a knock that its device did not sign: the guard is faulty or not itself.

    Subject: the device named.
    """

    code: ClassVar[str] = "knock.unproved"
    knock_id: Public[str]
    door: Public[int]
    address: Sensitive[str]
    reason: Public[str]
