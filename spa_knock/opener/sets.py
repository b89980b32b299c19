"""nftables set elements as netlink messages (linux/netfilter/nf_tables.h): pure bytes, one transaction a change."""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from spa_knock.opener.netlink import ACK, CREATE, REQUEST, Message, attribute, nested, nfgenmsg, text

Address = IPv4Address | IPv6Address

_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_SUBSYSTEM = 10
_GET_SET = _SUBSYSTEM << 8 | 10
_NEW_ELEMENT = _SUBSYSTEM << 8 | 12
_GET_ELEMENT = _SUBSYSTEM << 8 | 13
_DELETE_ELEMENT = _SUBSYSTEM << 8 | 14
_FAMILY_INET = 1

_LIST_TABLE = 1
_LIST_SET = 2
_LIST_ELEMENTS = 3
_LIST_ELEMENT = 1
_ELEMENT_KEY = 1
_ELEMENT_TIMEOUT = 4
_DATA_VALUE = 1
_SET_TABLE = 1
_SET_NAME = 2


def address_port_key(address: Address, port: int) -> bytes:
    """Key of a set of type `address . inet_service`; each part is padded to 4 bytes."""
    return address.packed + struct.pack(">H", port) + bytes(2)


def mark_key(mark: int) -> bytes:
    """Key of a set of type `mark`; the kernel compares marks in its own byte order."""
    return struct.pack("=I", mark)


def mark_of_key(key: bytes) -> int:
    """The mark that `mark_key` packed."""
    return int(struct.unpack("=I", key)[0])


def add(table: str, name: str, key: bytes, timeout_ms: int | None = None) -> Message:
    """Add an element; `timeout_ms` None means for ever. An existing one is no error and may keep its old timeout."""
    parts = [_key(key)]
    if timeout_ms is not None:
        parts.append(attribute(_ELEMENT_TIMEOUT, struct.pack(">Q", timeout_ms)))
    return Message(_NEW_ELEMENT, REQUEST | CREATE, _element(table, name, parts))


def delete(table: str, name: str, key: bytes) -> Message:
    """Delete an element; an absent one makes the whole transaction fail."""
    return Message(_DELETE_ELEMENT, REQUEST, _element(table, name, [_key(key)]))


def renew(table: str, name: str, key: bytes, timeout_ms: int) -> list[Message]:
    """Add an element or give an existing one a new timeout; adding alone would keep the old timeout."""
    fresh = add(table, name, key, timeout_ms)
    return [fresh, delete(table, name, key), fresh]


def discard(table: str, name: str, key: bytes, timeout_ms: int | None) -> list[Message]:
    """Delete an element that may be absent: nft 1.0.6 and older kernels have no `destroy`.

    timeout_ms: None for a set without timeouts, else any value.
    """
    return [add(table, name, key, timeout_ms), delete(table, name, key)]


def get(table: str, name: str, key: bytes) -> Message:
    """Ask for one element; the kernel answers with an error when it is absent."""
    return Message(_GET_ELEMENT, REQUEST | ACK, _element(table, name, [_key(key)]))


def get_set(table: str, name: str) -> Message:
    """Ask for a set's definition; the kernel answers with an error when it is absent."""
    payload = nfgenmsg(_FAMILY_INET) + attribute(_SET_TABLE, text(table)) + attribute(_SET_NAME, text(name))
    return Message(_GET_SET, REQUEST | ACK, payload)


def batch(messages: Sequence[Message]) -> list[Message]:
    """The messages, at least one, as one transaction: all or nothing.

    The last one's acknowledgement answers for all: the kernel sends it once the whole is carried out, and the error of
    an earlier one comes unasked.
    """
    frame = nfgenmsg(0, _SUBSYSTEM)
    *others, last = messages
    asking = Message(last.type, last.flags | ACK, last.payload)
    return [Message(_BATCH_BEGIN, REQUEST, frame), *others, asking, Message(_BATCH_END, REQUEST, frame)]


def _key(key: bytes) -> bytes:
    return nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key))


def _element(table: str, name: str, parts: list[bytes]) -> bytes:
    return (
        nfgenmsg(_FAMILY_INET)
        + attribute(_LIST_TABLE, text(table))
        + attribute(_LIST_SET, text(name))
        + nested(_LIST_ELEMENTS, nested(_LIST_ELEMENT, *parts))
    )
