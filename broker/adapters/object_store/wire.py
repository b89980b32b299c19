"""One question and one answer on a local socket: framed messages, an open file with one, bytes behind one."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from recorder.stores.port import WINDOW_BYTES
from spa_knock.link.framing import MAX_MESSAGE_BYTES, Decoder, FramingError, encode

_PREFIX_BYTES: Final = 4
_CHUNK: Final = 1 << 18
MOST_BYTES: Final = WINDOW_BYTES


class WireError(Exception):
    """The other side broke off, was too slow, or does not speak this protocol."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message with what came along: bytes behind it, or an open file that now is the receiver's to close."""

    message: Mapping[str, object]
    payload: bytes = b""
    descriptor: int | None = None

    def text(self, name: str) -> str:
        """A field that is text. Raises WireError."""
        value = self.message.get(name)
        if not isinstance(value, str):
            raise WireError(f"{name} is missing or no text")
        return value

    def number(self, name: str) -> int:
        """A field that is a whole number, not negative. Raises WireError."""
        value = self.message.get(name)
        if type(value) is not int or value < 0:
            raise WireError(f"{name} is missing or no number")
        return value


def send(
    sock: socket.socket, message: Mapping[str, object], payload: bytes = b"", descriptor: int | None = None
) -> None:
    """Send one message. Raises WireError."""
    try:
        data = encode({**message, "bytes": len(payload)}) + payload
        if descriptor is not None:
            data = data[socket.send_fds(sock, [data], [descriptor]) :]
        if data:  # whoever has it all may have answered and left by now
            sock.sendall(data)
    except (FramingError, OSError) as error:
        raise WireError(f"a message could not be sent: {error}") from error


def receive(sock: socket.socket) -> Heard:
    """The next message, whole. Raises WireError; then no file that came stays open."""
    files: list[int] = []
    try:
        prefix = _exactly(sock, _PREFIX_BYTES, files)
        length = int.from_bytes(prefix, "big")
        if length > MAX_MESSAGE_BYTES:
            raise WireError(f"a message announces {length} bytes")
        (message,) = Decoder().feed(prefix + _exactly(sock, length, files))
        behind = message.get("bytes")
        if type(behind) is not int or not 0 <= behind <= MOST_BYTES or len(files) > 1:
            raise WireError("what came with a message is not what may come")
        return Heard(message, _exactly(sock, behind, files), files[0] if files else None)
    except (FramingError, OSError, ValueError) as error:
        _close(files)
        raise WireError(str(error)) from error
    except WireError:
        _close(files)
        raise


def _exactly(sock: socket.socket, count: int, files: list[int]) -> bytes:
    data = bytearray()
    while len(data) < count:
        part, came, _, _ = socket.recv_fds(sock, min(count - len(data), _CHUNK), 2)
        files.extend(came)
        if not part:
            raise WireError("the peer closed the connection")
        data += part
    return bytes(data)


def _close(files: list[int]) -> None:
    for one in files:
        os.close(one)
