"""What passes between control and the guard, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.devices.model import RosterDevice


@dataclass(frozen=True)
class RosterGrant:
    """A live grant as the guard must know it: this device may knock at this door within this window."""

    grant_id: str
    device_id: str
    door: int
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class RosterFacts:
    """Everything a roster says. `site_keys` holds the site key, and during a rotation the next one."""

    audience_hex: str
    site_keys: tuple[bytes, ...] = field(repr=False)
    devices: tuple[RosterDevice, ...]
    grants: tuple[RosterGrant, ...]


class RosterSource(Protocol):
    """Where rosters come from; asked anew for each push."""

    def roster_facts(self) -> RosterFacts:
        """Who may knock now."""
        ...


@dataclass(frozen=True)
class KnockFact:
    """A knock that the guard accepted. `signed_knock` is the device's own signature over it: the evidence."""

    knock_id: str
    device_id: str
    door: int
    grant_id: str | None
    address: str
    window_seconds: int
    at: datetime
    signed_knock: bytes = field(repr=False)


@dataclass(frozen=True)
class LastRefusal:
    """Why a device's knocks were last refused, how often in a row, and what the last of them said.

    `named` is the address in the knock (None: it took the packet's), `source` the one it came from; `clock_off_seconds`
    is positive when the device's clock is ahead.
    """

    device_id: str
    reason: str
    count: int
    at: datetime
    source: str
    named: str | None
    clock_off_seconds: float | None


@dataclass(frozen=True)
class GuardStatus:
    """What the guard last said of itself. faults: what keeps it from accepting knocks; gate: `closed`, `keyed` or
    `length_only`, what the kernel lets through to it."""

    state: str
    roster_version: int
    counters: Mapping[str, int]
    ports: Sequence[int]
    received_at: datetime
    refusals: Sequence[LastRefusal] = ()
    faults: tuple[str, ...] = ()
    gate: str = ""


@dataclass(frozen=True)
class LinkHealth:
    """Whether the guard is there, what it last said, and the roster that it was last sent."""

    is_connected: bool
    status: GuardStatus | None
    sent_version: int
