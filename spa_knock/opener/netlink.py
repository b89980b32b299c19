"""Netlink as bytes (pure) and one small socket: no library and no tool is started at run time.

Layouts: linux/netlink.h (16-byte message header, 4-byte attribute header, 4-byte alignment) and
linux/netfilter/nfnetlink.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spa_knock.opener.errors import KernelError

NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12

REQUEST = 0x001
ACK = 0x004
DUMP = 0x300
CREATE = 0x400

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF
_NESTED = 0x8000
_RECEIVE_BYTES = 65_536
_RECEIVE_BUFFER_BYTES = 1 << 20
_WAIT_SECONDS = 2.0
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message without its header's length and port. `type` is the 16-bit message type."""

    type: int
    flags: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One message as it came from the kernel."""

    type: int
    flags: int
    sequence: int
    payload: bytes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to 4 bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *children: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(children))


def text(value: str) -> bytes:
    """A zero-terminated string as attribute value."""
    return value.encode("ascii") + b"\0"


def nfgenmsg(family: int, resource: int = 0) -> bytes:
    """The header of every netfilter message: family, version 0, resource id in network order."""
    return struct.pack(">BBH", family, 0, resource)


def parse_attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in `data` by type without the nested flag; the last of a repeated type wins.

    A truncated tail is left out: the kernel is trusted, so this is about robustness, not about hostile input.
    """
    return dict(each_attribute(data))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data` in order, as `parse_attributes` reads them, repeated types and all."""
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size or position + length > len(data):
            return
        yield kind & _TYPE_MASK, data[position + _ATTRIBUTE.size : position + length]
        position += length + -length % 4


def pack(messages: Sequence[Message], first_sequence: int) -> bytes:
    """The messages as one datagram, numbered from `first_sequence`."""
    return b"".join(
        _HEADER.pack(
            _HEADER.size + len(message.payload), message.type, message.flags, (first_sequence + index) & 0xFFFFFFFF, 0
        )
        + message.payload
        + bytes(-len(message.payload) % 4)
        for index, message in enumerate(messages)
    )


def unpack(datagram: bytes) -> list[Reply]:
    """The messages in one datagram from the kernel, up to the first malformed one."""
    replies: list[Reply] = []
    position = 0
    while position + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(datagram, position)
        if length < _HEADER.size or position + length > len(datagram):
            break
        replies.append(Reply(kind, flags, sequence, datagram[position + _HEADER.size : position + length]))
        position += length + -length % 4
    return replies


class Netlink:
    """One netlink socket, used by one thread. The kernel answers before `send` returns, so waits are short."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        self._socket.settimeout(_WAIT_SECONDS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._sequence = int.from_bytes(os.urandom(3), "big")

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def transact(self, messages: Sequence[Message], what: str) -> list[Reply]:
        """Send the messages as one datagram and wait until each that asks for an ACK has its answer, or one has failed.

        Returns the replies that are not acknowledgements. Raises KernelError with the first error; for a netfilter
        batch that means that nothing was done.
        """
        first = self._send(messages)
        waiting = {first + index for index, message in enumerate(messages) if message.flags & ACK}
        sent = range(first, first + len(messages))
        others: list[Reply] = []
        failed = 0
        while waiting:
            for reply in self._receive(what):
                if reply.sequence not in sent:
                    continue
                if reply.type != _NLMSG_ERROR:
                    others.append(reply)
                    continue
                waiting.discard(reply.sequence)
                failed = failed or _error_number(reply)
                if failed:
                    # Nothing else that may still come changes it; what does is passed over by its number.
                    waiting.clear()
        if failed:
            raise KernelError(failed, what)
        return others

    def dump(self, message: Message, what: str) -> list[Reply]:
        """Everything the kernel lists for `message`. Raises KernelError when it refuses."""
        first = self._send([message])
        replies: list[Reply] = []
        while True:
            for reply in self._receive(what):
                if reply.sequence != first:
                    continue
                if reply.type in (_NLMSG_DONE, _NLMSG_ERROR):
                    failed = _error_number(reply)
                    if failed:
                        raise KernelError(failed, what)
                    return replies
                replies.append(reply)

    def _send(self, messages: Sequence[Message]) -> int:
        first = self._sequence = (self._sequence + 1) & 0x3FFFFFFF
        self._sequence += len(messages)
        self._socket.send(pack(messages, first))
        return first

    def _receive(self, what: str) -> list[Reply]:
        try:
            return unpack(self._socket.recv(_RECEIVE_BYTES))
        except TimeoutError as error:
            raise KernelError(errno.ETIMEDOUT, what) from error
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, what) from error


def _error_number(reply: Reply) -> int:
    if len(reply.payload) < _ERROR.size:
        return 0 if reply.type == _NLMSG_DONE else errno.EIO
    return -int(_ERROR.unpack_from(reply.payload)[0])
