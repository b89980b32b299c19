"""Socket diagnosis messages: find and destroy TCP sockets of this host. Pure bytes.

Layouts: linux/sock_diag.h and linux/inet_diag.h.
"""

import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from spa_knock.opener.conntrack import Flow
from spa_knock.opener.netlink import ACK, DUMP, REQUEST, Message

Address = IPv4Address | IPv6Address

_BY_FAMILY = 20
_DESTROY = 21
_TCP_TIME_WAIT = 6
_TCP_LISTEN = 10
_CONNECTED_STATES = 0xFFFFFFFF & ~(1 << _TCP_TIME_WAIT | 1 << _TCP_LISTEN)
_REQUEST = struct.Struct("=BBBBI")
_ID_PORTS = struct.Struct(">HH")
_ID_TAIL = struct.Struct("=III")
_NO_COOKIE = 0xFFFFFFFF
_REPLY_HEAD_BYTES = 4
_ADDRESS_BYTES = 16
_ID_BYTES = _ID_PORTS.size + 2 * _ADDRESS_BYTES + _ID_TAIL.size
_UID_AT = _REPLY_HEAD_BYTES + _ID_BYTES + 12


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected socket: its flow as we see it, the kernel's own name for it with its cookie, and whose it is."""

    flow: Flow
    family: int
    identity: bytes
    uid: int


def list_connections(family: int, local_port: int, remote_port: int) -> Message:
    """Ask for the connected TCP sockets of this family with these two ports (0: any), whatever their addresses."""
    identity = (
        _ID_PORTS.pack(local_port, remote_port) + bytes(2 * _ADDRESS_BYTES) + _ID_TAIL.pack(0, _NO_COOKIE, _NO_COOKIE)
    )
    return Message(_BY_FAMILY, REQUEST | DUMP, _head(family) + identity)


def destroy(connection: Connection) -> Message:
    """Destroy exactly this socket; its peer gets a reset. The kernel answers with an error when it is gone.

    Always by a listed socket's cookie: by addresses alone the kernel would fall back to the listener of that port, and
    destroy the door itself when the connection is gone already.
    """
    return Message(_DESTROY, REQUEST | ACK, _head(connection.family) + connection.identity)


def read_connection(payload: bytes) -> Connection | None:
    """A socket that the kernel listed; an IPv4 peer of an IPv6 socket has an IPv4 flow. None if unreadable."""
    identity = payload[_REPLY_HEAD_BYTES : _REPLY_HEAD_BYTES + _ID_BYTES]
    owner = payload[_UID_AT : _UID_AT + 4]
    if len(identity) != _ID_BYTES or len(owner) != 4:
        return None
    family = payload[0]
    width = 4 if family == socket.AF_INET else _ADDRESS_BYTES
    local_port, remote_port = _ID_PORTS.unpack_from(identity)
    start = _ID_PORTS.size
    local, remote = (identity[begin : begin + width] for begin in (start, start + _ADDRESS_BYTES))
    flow = Flow(_plain(local), local_port, _plain(remote), remote_port)
    return Connection(flow, family, identity, int.from_bytes(owner, sys.byteorder))


def _head(family: int) -> bytes:
    return _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _CONNECTED_STATES)


def _plain(packed: bytes) -> Address:
    address = ip_address(packed)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
