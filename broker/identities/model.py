"""People, their roles, and who stands behind a request on either face."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol


class Role(Enum):
    """What a person is to the plant. A person has exactly one role, so roles exclude each other."""

    SYSTEM_ADMINISTRATOR = "system_administrator"
    SECURITY_ADMINISTRATOR = "security_administrator"
    PLANT_ADMIN = "plant_admin"
    AUDITOR = "auditor"
    VENDOR_ENGINEER = "vendor_engineer"


class PersonState(Enum):
    """How far a person's account is: `invited → unconfirmed → active → suspended`, and from anywhere back to `invited`.

    `unconfirmed` is somebody of the plant who has chosen password and second factor, but of whom no second
    administrator has said yet that it was really this person. Such an account can do nothing.
    """

    INVITED = "invited"
    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Language(Enum):
    """The languages of the console."""

    CHINESE = "zh-CN"
    ENGLISH = "en"


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `company` is the vendor's name, or None for the plant's own people.

    `entered_by` made the account, `confirmed_by` vouched that the factors are this person's: two people, or
    `system:host` for those whom root on the broker's host made.
    """

    id: str
    username: str
    display_name: str
    role: Role
    state: PersonState
    company: str | None
    language: Language
    created_at: datetime
    entered_by: str
    confirmed_by: str | None


@dataclass(frozen=True)
class Principal:
    """Who is signed in at the console, and what this person may do."""

    person_id: str
    username: str
    display_name: str
    role: Role
    language: Language
    permissions: frozenset[str]
    session_id: str


@dataclass(frozen=True)
class VendorConnection:
    """One connection of the vendor face, as the gateway's preamble describes it.

    Device certificate proved, knock matched.
    """

    device_id: str
    knock_id: str
    source: str
    source_port: int
    certificate_der: bytes = field(repr=False)
    signed_knock: bytes = field(repr=False)


@dataclass(frozen=True)
class VendorPrincipal:
    """A vendor's engineer who is signed in from a trusted device of their own."""

    person_id: str
    username: str
    display_name: str
    device_id: str
    source: str
    knock_id: str
    signed_knock: bytes = field(repr=False)
    session_id: str


@dataclass(frozen=True)
class VendorWelcome:
    """What a client learns of the site when its engineer signs in; `day_keys` are pairs of day and gate key."""

    site_name: str
    ssh_domain: str
    host_ca: str
    host_key_alias: str
    server_time_ms: int
    day_keys: tuple[tuple[int, bytes], ...] = field(repr=False)


class DeviceRegistry(Protocol):
    """What identities must know of devices; `app.wiring` passes the devices' service."""

    def owner_of(self, device_id: str, certificate_der: bytes) -> str:
        """The id of the person who owns this device.

        Raises Forbidden with the code `device_not_trusted` unless the device is trusted now and this is its
        registered certificate.
        """
        ...
