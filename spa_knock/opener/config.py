"""The opener's configuration: written by root, parsed strictly, and the source of every ceiling.

A field that is absent, unknown, repeated or out of range stops the start: a firewall with a misread configuration is
worse than none.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

from spa_knock.opener.errors import ConfigError

Network = IPv4Network | IPv6Network
Item = TypeVar("Item", str, int, Network)

MAX_OPEN_SECONDS = 30
_MAX_LIST = 32
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}\Z")
_DOOR_NUMBER = re.compile(r"[1-9][0-9]{0,4}\Z")


class Peer(StrEnum):
    """Who may talk to the opener; each has its own socket and verbs."""

    GUARD = "guard"
    CONTROL = "control"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Uids:
    """The numeric user ids of the four processes; all differ and none is root."""

    opener: int
    guard: int
    gateway: int
    control: int

    def of(self, peer: Peer) -> int:
        """The user id that `peer` must have."""
        match peer:
            case Peer.GUARD:
                return self.guard
            case Peer.CONTROL:
                return self.control
            case Peer.GATEWAY:
                return self.gateway


@dataclass(frozen=True, slots=True)
class Management:
    """One interface of the plant's side and who may reach which ports there."""

    interface: str
    prefixes: tuple[Network, ...]
    tcp_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """The process that speaks to the store of objects: its user id, and the one endpoint that it may reach."""

    uid: int
    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True)
class Config:
    """What root decided. doors: TCP port by door number. max_open_seconds: 1..30."""

    table: str
    vendor_interfaces: tuple[str, ...]
    doors: Mapping[int, int]
    knock_ports: tuple[int, ...]
    management: tuple[Management, ...]
    uids: Uids
    max_open_seconds: int = field(default=MAX_OPEN_SECONDS)
    archive: Archive | None = None


def parse_config(text: str) -> Config:
    """The configuration in this JSON text. Raises ConfigError naming the first field that is not acceptable."""
    try:
        fields = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ConfigError("the configuration is not well-formed JSON without repeated names") from error
    top = _object(
        fields,
        "configuration",
        {"table", "vendor_interfaces", "doors", "knock_ports", "management", "uids"},
        optional={"max_open_seconds", "archive"},
    )
    vendor_interfaces = _distinct(
        [_interface(item, "vendor_interfaces") for item in _list(top["vendor_interfaces"], "vendor_interfaces")],
        "vendor_interfaces",
    )
    if not vendor_interfaces:
        raise ConfigError("vendor_interfaces is empty")
    management = tuple(_management(item) for item in _list(top["management"], "management"))
    managed = _distinct([entry.interface for entry in management], "management")
    if set(managed) & set(vendor_interfaces):
        raise ConfigError("management names a vendor interface; the two faces never share one")
    table = top["table"]
    if not isinstance(table, str) or not _TABLE_NAME.match(table):
        raise ConfigError("table is not a name of lower-case letters, digits and '_'")
    knock_ports = _ports(top["knock_ports"], "knock_ports")
    if not knock_ports:
        raise ConfigError("knock_ports is empty")
    uids = _uids(top["uids"])
    return Config(
        table=table,
        vendor_interfaces=vendor_interfaces,
        doors=_doors(top["doors"]),
        knock_ports=knock_ports,
        management=management,
        uids=uids,
        max_open_seconds=_integer(
            top.get("max_open_seconds", MAX_OPEN_SECONDS), "max_open_seconds", 1, MAX_OPEN_SECONDS
        ),
        archive=_archive(top["archive"], uids) if "archive" in top else None,
    )


def _archive(value: object, uids: Uids) -> Archive:
    fields = _object(value, "archive", {"uid", "address", "port"})
    uid = _integer(fields["uid"], "archive.uid", 1, (1 << 32) - 2)
    if uid in (uids.opener, uids.guard, uids.gateway, uids.control):
        raise ConfigError("archive.uid is another process's: only a process of its own reaches the store of objects")
    address = fields["address"]
    try:
        parsed = ip_address(address) if isinstance(address, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.is_unspecified or parsed.is_multicast:
        raise ConfigError("archive.address is no address of a host")
    return Archive(uid, parsed, _integer(fields["port"], "archive.port", 1, 0xFFFF))


def _doors(value: object) -> Mapping[int, int]:
    if not isinstance(value, dict) or not value or len(value) > _MAX_LIST:
        raise ConfigError("doors is not an object with at least one door")
    doors: dict[int, int] = {}
    for name, port in value.items():
        if not _DOOR_NUMBER.match(name) or int(name) > 0xFFFF:
            raise ConfigError("doors has a name that is no door number")
        doors[int(name)] = _integer(port, f"doors.{name}", 1, 0xFFFF)
    _distinct(list(doors.values()), "doors")
    return doors


def _management(value: object) -> Management:
    fields = _object(value, "management", {"interface", "prefixes", "tcp_ports"})
    prefixes = [_prefix(item) for item in _list(fields["prefixes"], "management.prefixes")]
    ports = _ports(fields["tcp_ports"], "management.tcp_ports")
    if not prefixes or not ports:
        raise ConfigError("management has an entry without prefixes or ports")
    return Management(
        interface=_interface(fields["interface"], "management.interface"),
        prefixes=_distinct(prefixes, "management.prefixes"),
        tcp_ports=ports,
    )


def _uids(value: object) -> Uids:
    names = ("opener", "guard", "gateway", "control")
    fields = _object(value, "uids", set(names))
    uids = {name: _integer(fields[name], f"uids.{name}", 1, (1 << 32) - 2) for name in names}
    _distinct(list(uids.values()), "uids")
    return Uids(**uids)


def _prefix(value: object) -> Network:
    if isinstance(value, str):
        try:
            return ip_network(value)
        except ValueError:
            pass
    raise ConfigError("management.prefixes has an item that is no network without host bits")


def _interface(value: object, name: str) -> str:
    if not isinstance(value, str) or not _INTERFACE_NAME.match(value) or value == "lo":
        raise ConfigError(f"{name} has an item that is no interface name")
    return value


def _ports(value: object, name: str) -> tuple[int, ...]:
    return _distinct([_integer(item, name, 1, 0xFFFF) for item in _list(value, name)], name)


def _integer(value: object, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ConfigError(f"{name} has a value that is no whole number in {low}..{high}")
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list) or len(value) > _MAX_LIST:
        raise ConfigError(f"{name} is not a list of at most {_MAX_LIST} items")
    return value


def _object(value: object, name: str, required: set[str], optional: set[str] | None = None) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is not an object")
    missing, unknown = required - value.keys(), value.keys() - required - (optional or set())
    if missing or unknown:
        raise ConfigError(f"{name} lacks {sorted(missing)} and has unknown {sorted(unknown)}")
    return value


def _distinct(items: list[Item], name: str) -> tuple[Item, ...]:
    if len(set(items)) != len(items):
        raise ConfigError(f"{name} names something twice")
    return tuple(items)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name appears twice")
    return fields
