"""A vendor's workstation, an invite for one, and what others must give this domain."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol


class DeviceState(Enum):
    """`pending → trusted ⇄ suspended → retired`; a pending or trusted device may be retired at once."""

    PENDING = "pending"
    TRUSTED = "trusted"
    SUSPENDED = "suspended"
    RETIRED = "retired"


@dataclass(frozen=True)
class Device:
    """A workstation with exactly one owner. Its private keys never leave it; its knock key is not part of this value.

    `invited_by`, `trusted_by` and `resumed_by` (the last who let it in again after a suspension) are kept for the
    four-eyes rule: who let a device in does not approve its grants alone. `public_key` is DER SubjectPublicKeyInfo;
    `mark` is the connection mark of its flows, 1 to 2^31-1.
    """

    id: str
    person_id: str
    name: str
    state: DeviceState
    short_code: str
    key_storage: str
    operating_system: str
    public_key: bytes = field(repr=False)
    certificate_der: bytes = field(repr=False)
    certificate_not_after: datetime
    mark: int
    allow_header_address: bool
    loose_clock: bool
    renewal_pending: bool
    invited_by: str
    enrolled_at: datetime
    trusted_by: str | None
    trusted_at: datetime | None
    last_knock_at: datetime | None
    resumed_by: str | None = None

    @property
    def vouchers(self) -> frozenset[str]:
        """Everybody by whose word this device may connect."""
        return frozenset(one for one in (self.invited_by, self.trusted_by, self.resumed_by) if one is not None)


@dataclass(frozen=True)
class Invite:
    """What was handed to somebody so that they can enrol one device. `text` holds a private key: it is shown once."""

    id: str
    person_id: str
    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Posture:
    """What the client says of the device it runs on; claims, not proofs."""

    operating_system: str
    key_storage: str


@dataclass(frozen=True)
class EnrolmentRequest:
    """What a client sends to enrol, with what the gateway proved of its connection."""

    invite_id: str
    certificate_der: bytes = field(repr=False)
    source: str
    code: str = field(repr=False)
    csr_pem: str
    device_name: str
    posture: Posture


@dataclass(frozen=True)
class DayKey:
    """The gate key of one day (days since the epoch)."""

    day: int
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Enrolment:
    """What a device gets when it enrols. Shown once."""

    device: Device
    certificate_pem: str = field(repr=False)
    knock_key: bytes = field(repr=False)
    day_keys: tuple[DayKey, ...] = field(repr=False)


@dataclass(frozen=True)
class Renewal:
    """What a device gets when it renews itself: the same again until it has used it."""

    device: Device
    certificate_pem: str = field(repr=False)
    knock_key: bytes = field(repr=False)
    day_keys: tuple[DayKey, ...] = field(repr=False)


@dataclass(frozen=True)
class RosterDevice:
    """A device or invite as the guard must know it: it may knock until `not_after`.

    `next_knock_key` is in force beside the other while the device renews itself. `loose_clock`: it has no clock worth
    the name, and names its address instead.
    """

    device_id: str
    knock_key: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    mark: int
    allow_header_address: bool
    doors: tuple[int, ...]
    not_after: datetime
    next_knock_key: bytes | None = field(default=None, repr=False)
    loose_clock: bool = False


@dataclass(frozen=True)
class Endpoint:
    """A host and a port that clients reach."""

    host: str
    port: int


@dataclass(frozen=True)
class SiteFacts:
    """What a client must know of this site: pinned root, hidden doors, and how SSH checks the broker.

    `audience_hex` is the first 8 bytes of SHA-256 of the root certificate's SPKI, in hex; `vendor_face_name` is the
    name in the vendor face's certificate; `host_ca` is an OpenSSH public key line.
    """

    name: str
    audience_hex: str
    root_pem: str
    vendor_face: Endpoint
    vendor_face_name: str
    ssh: Endpoint
    knock_host: str
    knock_ports: tuple[int, ...]
    ssh_domain: str
    host_ca: str
    host_key_alias: str

    def __post_init__(self) -> None:
        if len(bytes.fromhex(self.audience_hex)) != 8:
            raise ValueError("the audience has 8 bytes")
        if not self.knock_ports:
            raise ValueError("a site needs a knock port")


class Owners(Protocol):
    """What devices must know of people; `app.wiring` passes the identities' service."""

    def able_owners(self, person_ids: Collection[str]) -> Collection[str]:
        """Those of these people who are vendors' engineers and not suspended."""
        ...

    def display_names(self, person_ids: Collection[str]) -> Mapping[str, str]:
        """The names of those of these people who exist."""
        ...
