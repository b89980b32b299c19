"""What each peer may ask of the opener: requests parsed into typed verbs, with every ceiling applied. Pure.

Nothing is clamped: a request outside a ceiling is refused, because the peer that sent it is wrong or compromised.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from spa_knock.opener.config import Config, Peer
from spa_knock.opener.errors import Refusal

Address = IPv4Address | IPv6Address

MAX_MARK = (1 << 31) - 1
MAX_MARKS = 4_096
"""The most marks in one message; more come in several."""
MAX_EGRESS_SECONDS = 86_400
_KNOCK_ID = re.compile(r"[0-9a-f]{24}\Z")
_ENVELOPE = {"v", "type", "id"}


@dataclass(frozen=True, slots=True)
class Open:
    """Let one address start connections to one door for some seconds."""

    door: int
    address: Address
    seconds: int
    knock_id: str


@dataclass(frozen=True, slots=True)
class Shut:
    """One knock's connection is up: its share of the window is not needed any more."""

    door: int
    address: Address
    knock_id: str | None


@dataclass(frozen=True, slots=True)
class MarkFlow:
    """Put a device's mark on one connection of one door."""

    door: int
    address: Address
    port: int
    mark: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close one window at once, whoever opened it."""

    door: int
    address: Address


@dataclass(frozen=True, slots=True)
class Revoke:
    """Reset all flows with this mark and refuse the mark from now on."""

    mark: int


@dataclass(frozen=True, slots=True)
class Unrevoke:
    """Allow this mark again."""

    mark: int


@dataclass(frozen=True, slots=True)
class AllowEgress:
    """Let the gateway start connections to one address and port for some seconds."""

    address: Address
    port: int
    seconds: int


@dataclass(frozen=True, slots=True)
class EndEgress:
    """Stop the gateway's connections to one address and port."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset one connection of one door, and nothing else."""

    door: int
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class ResetEgress:
    """Stop new connections of the gateway to one address and port, and reset those that run."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Shed:
    """Drop every further packet with this knock's nonce in the kernel."""

    knock_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """Say whether the rule set in the kernel is whole, so that a knock could be opened."""


@dataclass(frozen=True, slots=True)
class Restate:
    """Every mark that is revoked: revoke those that the kernel does not know of."""

    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """Tell what the kernel counted and holds."""


Verb = (
    Open
    | Shed
    | Check
    | Shut
    | MarkFlow
    | Close
    | Revoke
    | Unrevoke
    | Restate
    | AllowEgress
    | EndEgress
    | Reset
    | ResetEgress
    | Status
)

PEER_OF_TYPE: Mapping[str, Peer] = {
    "open": Peer.GUARD,
    "shed": Peer.GUARD,
    "check": Peer.GUARD,
    "shut": Peer.GATEWAY,
    "mark": Peer.GATEWAY,
    "close": Peer.CONTROL,
    "revoke": Peer.CONTROL,
    "unrevoke": Peer.CONTROL,
    "restate": Peer.CONTROL,
    "status": Peer.CONTROL,
    "egress": Peer.CONTROL,
    "egress_close": Peer.CONTROL,
    "reset": Peer.CONTROL,
    "egress_reset": Peer.CONTROL,
}


def parse(peer: Peer, message: Mapping[str, object], config: Config) -> Verb:
    """The verb in `message` if `peer` may ask it.

    Raises Refusal with code `unknown_verb`, `not_yours`, `malformed`, `door_unknown`, `address_refused`,
    `seconds_refused` or `mark_refused`.
    """
    kind = message.get("type")
    owner = PEER_OF_TYPE.get(kind) if isinstance(kind, str) else None
    if owner is None:
        raise Refusal("unknown_verb")
    if owner is not peer:
        raise Refusal("not_yours")
    fields = _Fields(message, config)
    match kind:
        case "open":
            fields.are("door", "address", "seconds", "knock_id")
            return Open(fields.door(), fields.address(), fields.seconds(config.max_open_seconds), fields.knock_id())
        case "shed":
            fields.are("knock_id")
            return Shed(fields.knock_id())
        case "check":
            fields.are()
            return Check()
        case "status":
            fields.are()
            return Status()
        case "restate":
            fields.are("marks")
            return Restate(fields.marks())
        case "shut":
            fields.are("door", "address", optional="knock_id")
            knock_id = fields.knock_id() if message.get("knock_id") is not None else None
            return Shut(fields.door(), fields.address(), knock_id)
        case "mark":
            fields.are("door", "address", "port", "mark")
            return MarkFlow(fields.door(), fields.address(), fields.port(), fields.mark())
        case "close":
            fields.are("door", "address")
            return Close(fields.door(), fields.address())
        case "revoke":
            fields.are("mark")
            return Revoke(fields.mark())
        case "unrevoke":
            fields.are("mark")
            return Unrevoke(fields.mark())
        case "egress":
            fields.are("address", "port", "seconds")
            return AllowEgress(fields.address(), fields.port(), fields.seconds(MAX_EGRESS_SECONDS))
        case "reset":
            fields.are("door", "address", "port")
            return Reset(fields.door(), fields.address(), fields.port())
        case "egress_reset":
            fields.are("address", "port")
            return ResetEgress(fields.address(), fields.port())
        case _:
            fields.are("address", "port")
            return EndEgress(fields.address(), fields.port())


@dataclass(frozen=True, slots=True)
class _Fields:
    message: Mapping[str, object]
    config: Config

    def are(self, *names: str, optional: str | None = None) -> None:
        """Refuse unless exactly these fields are there."""
        given = self.message.keys() - _ENVELOPE - ({optional} if optional else set())
        if given != set(names):
            raise Refusal("malformed")

    def door(self) -> int:
        door = self._integer("door")
        if door not in self.config.doors:
            raise Refusal("door_unknown")
        return door

    def address(self) -> Address:
        value = self.message["address"]
        if not isinstance(value, str):
            raise Refusal("malformed")
        try:
            address = ip_address(value)
        except ValueError as error:
            raise Refusal("malformed") from error
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                raise Refusal("address_refused")
            address = address.ipv4_mapped or address
        broadcast = address.version == 4 and int(address) == 0xFFFFFFFF
        if address.is_unspecified or address.is_multicast or address.is_loopback or broadcast:
            raise Refusal("address_refused")
        return address

    def seconds(self, ceiling: int) -> int:
        seconds = self._integer("seconds")
        if not 1 <= seconds <= ceiling:
            raise Refusal("seconds_refused")
        return seconds

    def port(self) -> int:
        port = self._integer("port")
        if not 1 <= port <= 0xFFFF:
            raise Refusal("malformed")
        return port

    def mark(self) -> int:
        mark = self._integer("mark")
        if not 1 <= mark <= MAX_MARK:
            raise Refusal("mark_refused")
        return mark

    def marks(self) -> tuple[int, ...]:
        value = self.message["marks"]
        if not isinstance(value, list) or len(value) > MAX_MARKS:
            raise Refusal("malformed")
        if not all(type(mark) is int and 1 <= mark <= MAX_MARK for mark in value):
            raise Refusal("mark_refused")
        return tuple(value)

    def knock_id(self) -> str:
        value = self.message["knock_id"]
        if not isinstance(value, str) or not _KNOCK_ID.match(value):
            raise Refusal("malformed")
        return value

    def _integer(self, name: str) -> int:
        value = self.message[name]
        if type(value) is not int:
            raise Refusal("malformed")
        return value
