"""Connection-tracking messages: read and write the mark of one TCP flow. Pure bytes.

Layouts: linux/netfilter/nfnetlink_conntrack.h. A flow is named by its reply tuple, as our own sockets see it, so that
an address translation on the way in changes nothing.
"""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from spa_knock.opener.netlink import ACK, DUMP, REQUEST, Message, attribute, nested, nfgenmsg, parse_attributes

Address = IPv4Address | IPv6Address

_SUBSYSTEM = 1
_NEW = _SUBSYSTEM << 8 | 0
_GET = _SUBSYSTEM << 8 | 1
_TUPLE_REPLY = 2
_MARK = 8
_MARK_MASK = 21
_TUPLE_IP = 1
_TUPLE_PROTO = 2
_IP_ATTRIBUTES = {4: (1, 2), 6: (3, 4)}
_PROTO_NUMBER = 1
_PROTO_SOURCE_PORT = 2
_PROTO_DESTINATION_PORT = 3
_NFGENMSG_BYTES = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """One TCP connection as our socket sees it: our end first. Both addresses are of one family."""

    local: Address
    local_port: int
    remote: Address
    remote_port: int


def set_mark(flow: Flow, mark: int) -> Message:
    """Change the mark of an existing flow; the kernel answers with an error when there is none."""
    return Message(_NEW, REQUEST | ACK, _header(flow) + _tuple(flow) + attribute(_MARK, struct.pack(">I", mark)))


def get_flow(flow: Flow) -> Message:
    """Ask for one flow; the kernel answers with an error when there is none."""
    return Message(_GET, REQUEST | ACK, _header(flow) + _tuple(flow))


def list_flows_with_mark(mark: int) -> Message:
    """Ask for all flows, of both address families, that carry exactly this mark."""
    return Message(
        _GET,
        REQUEST | DUMP,
        nfgenmsg(socket.AF_UNSPEC)
        + attribute(_MARK, struct.pack(">I", mark))
        + attribute(_MARK_MASK, struct.pack(">I", 0xFFFFFFFF)),
    )


def read_mark(payload: bytes) -> int:
    """The mark in a flow that the kernel returned; 0 when it has none."""
    value = parse_attributes(payload[_NFGENMSG_BYTES:]).get(_MARK, b"")
    return int.from_bytes(value, "big")


def read_flow(payload: bytes) -> Flow | None:
    """The flow that the kernel returned, None when it is not TCP over IP."""
    reply = parse_attributes(parse_attributes(payload[_NFGENMSG_BYTES:]).get(_TUPLE_REPLY, b""))
    addresses = parse_attributes(reply.get(_TUPLE_IP, b""))
    protocol = parse_attributes(reply.get(_TUPLE_PROTO, b""))
    if protocol.get(_PROTO_NUMBER) != bytes([socket.IPPROTO_TCP]):
        return None
    for source, destination in _IP_ATTRIBUTES.values():
        if source in addresses and destination in addresses:
            return Flow(
                local=ip_address(addresses[source]),
                local_port=int.from_bytes(protocol.get(_PROTO_SOURCE_PORT, b""), "big"),
                remote=ip_address(addresses[destination]),
                remote_port=int.from_bytes(protocol.get(_PROTO_DESTINATION_PORT, b""), "big"),
            )
    return None


def _header(flow: Flow) -> bytes:
    return nfgenmsg(socket.AF_INET if flow.local.version == 4 else socket.AF_INET6)


def _tuple(flow: Flow) -> bytes:
    source, destination = _IP_ATTRIBUTES[flow.local.version]
    return nested(
        _TUPLE_REPLY,
        nested(_TUPLE_IP, attribute(source, flow.local.packed), attribute(destination, flow.remote.packed)),
        nested(
            _TUPLE_PROTO,
            attribute(_PROTO_NUMBER, bytes([socket.IPPROTO_TCP])),
            attribute(_PROTO_SOURCE_PORT, struct.pack(">H", flow.local_port)),
            attribute(_PROTO_DESTINATION_PORT, struct.pack(">H", flow.remote_port)),
        ),
    )
