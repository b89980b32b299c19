"""What the kernel has of our table: chains, counters and set elements, as netlink messages and parsed answers. Pure.

Layouts: linux/netfilter/nf_tables.h.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from spa_knock.opener.netlink import DUMP, REQUEST, Message, attribute, each_attribute, nfgenmsg, parse_attributes, text

Address = IPv4Address | IPv6Address

_SUBSYSTEM = 10 << 8
_GET_CHAIN = _SUBSYSTEM | 4
_GET_ELEMENT = _SUBSYSTEM | 13
_GET_OBJECT = _SUBSYSTEM | 19
_FAMILY_INET = 1
_NFGENMSG_BYTES = 4

_TABLE, _NAME = 1, 2
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_USE = 1, 3, 4, 5, 6
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_POLICY_DROP = 0
_OBJECT_TYPE, _OBJECT_DATA = 3, 4
_OBJECT_COUNTER = 1
_COUNTER_PACKETS = 2
_LIST_ELEMENTS = 3
_ELEMENT_KEY, _ELEMENT_EXPIRATION = 1, 5
_DATA_VALUE = 1


@dataclass(frozen=True, slots=True)
class FoundChain:
    """A base chain of our table in the kernel. rules: how many it has."""

    name: str
    hook: str
    priority: int
    drops: bool
    rules: int


@dataclass(frozen=True, slots=True)
class Element:
    """A set element. milliseconds_left: until it ends by itself; None when it does not."""

    key: bytes
    milliseconds_left: int | None


def list_chains() -> Message:
    """Ask for all chains of the inet family."""
    return Message(_GET_CHAIN, REQUEST | DUMP, nfgenmsg(_FAMILY_INET))


def list_counters(table: str) -> Message:
    """Ask for all named counters of a table."""
    payload = attribute(_TABLE, text(table)) + attribute(_OBJECT_TYPE, struct.pack(">I", _OBJECT_COUNTER))
    return Message(_GET_OBJECT, REQUEST | DUMP, nfgenmsg(_FAMILY_INET) + payload)


def list_elements(table: str, name: str) -> Message:
    """Ask for all elements of a set."""
    payload = attribute(_TABLE, text(table)) + attribute(_NAME, text(name))
    return Message(_GET_ELEMENT, REQUEST | DUMP, nfgenmsg(_FAMILY_INET) + payload)


def read_chain(payload: bytes, table: str) -> FoundChain | None:
    """A base chain of this table; None for anything else."""
    fields = parse_attributes(payload[_NFGENMSG_BYTES:])
    if fields.get(_CHAIN_TABLE) != text(table) or _CHAIN_HOOK not in fields:
        return None
    hook = parse_attributes(fields[_CHAIN_HOOK])
    number = int.from_bytes(hook.get(_HOOK_NUMBER, b"\xff"), "big")
    return FoundChain(
        name=fields.get(_CHAIN_NAME, b"").rstrip(b"\0").decode("ascii", "replace"),
        hook=_HOOKS[number] if number < len(_HOOKS) else str(number),
        priority=int.from_bytes(hook.get(_HOOK_PRIORITY, b""), "big", signed=True),
        drops=int.from_bytes(fields.get(_CHAIN_POLICY, b"\x01"), "big") == _POLICY_DROP,
        # A base chain is used by its rules alone: nothing jumps to it.
        rules=int.from_bytes(fields.get(_CHAIN_USE, b""), "big"),
    )


def read_counter(payload: bytes) -> tuple[str, int] | None:
    """A named counter and its packets."""
    fields = parse_attributes(payload[_NFGENMSG_BYTES:])
    data = parse_attributes(fields.get(_OBJECT_DATA, b""))
    if _COUNTER_PACKETS not in data:
        return None
    name = fields.get(_NAME, b"").rstrip(b"\0").decode("ascii", "replace")
    return name, int.from_bytes(data[_COUNTER_PACKETS], "big")


def read_elements(payload: bytes) -> Iterator[Element]:
    """The elements in one answer."""
    listed = parse_attributes(payload[_NFGENMSG_BYTES:]).get(_LIST_ELEMENTS, b"")
    for _kind, value in each_attribute(listed):
        fields = parse_attributes(value)
        key = parse_attributes(fields.get(_ELEMENT_KEY, b"")).get(_DATA_VALUE, b"")
        left = fields.get(_ELEMENT_EXPIRATION)
        yield Element(key, None if left is None else int.from_bytes(left, "big"))


def address_and_port(key: bytes) -> tuple[Address, int]:
    """What `sets.address_port_key` packed."""
    width = 4 if len(key) == 8 else 16
    return ip_address(key[:width]), int.from_bytes(key[width : width + 2], "big")
