"""A link to another daemon's Unix socket: reconnects with growing pauses, never blocks, bounds what it holds back."""

import contextlib
import logging
import socket
from collections.abc import Mapping
from pathlib import Path

from spa_knock.link.framing import Decoder, FramingError, encode

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
MAX_UNSENT_BYTES = 1 << 18
_RECEIVE_BYTES = 65_536

_log = logging.getLogger(__name__)


class Link:
    """One end of a Unix stream socket that another daemon listens on. `now` is in seconds of a monotonic clock."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._socket: socket.socket | None = None
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._pause = FIRST_PAUSE_SECONDS
        self._next_try = 0.0
        self._connected_at = 0.0

    @property
    def socket(self) -> socket.socket | None:
        """The connected socket, None while there is none."""
        return self._socket

    @property
    def is_up(self) -> bool:
        """Whether messages can be sent now."""
        return self._socket is not None

    @property
    def has_unsent(self) -> bool:
        """Whether the socket should be watched for room."""
        return bool(self._unsent)

    def keep_up(self, now: float) -> bool:
        """Connect if there is no connection and the pause is over. Returns whether a connection was just made."""
        if self._socket is not None or now < self._next_try:
            return False
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            sock.connect(str(self._path))
        except OSError:
            # Not listening, no such file, or a full backlog: all pass.
            sock.close()
            self._next_try = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            return False
        self._socket = sock
        self._connected_at = now
        self._decoder = Decoder()
        self._unsent.clear()
        _log.info("connected to %s", self.name)
        return True

    def send(self, message: Mapping[str, object], now: float) -> bool:
        """Hand a message over to the connection. Returns False when there is none, or it just broke."""
        if self._socket is None:
            return False
        frame = encode(message)
        if len(self._unsent) + len(frame) > MAX_UNSENT_BYTES:
            self.drop(now, "it does not take what it is sent")
            return False
        self._unsent += frame
        self.write(now)
        return self._socket is not None

    def write(self, now: float) -> None:
        """Send what is held back, as far as there is room."""
        if self._socket is None or not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.drop(now, str(error))
            return
        del self._unsent[:sent]

    def read(self, now: float) -> list[dict[str, object]]:
        """The messages that have come in; none when the connection broke, which `is_up` then tells."""
        if self._socket is None:
            return []
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                self.drop(now, "the other side closed")
                return []
            messages = self._decoder.feed(data)
        except BlockingIOError:
            return []
        except (FramingError, OSError) as error:
            self.drop(now, str(error))
            return []
        return messages

    def drop(self, now: float, why: str) -> None:
        """Close the connection; `keep_up` makes another after a pause."""
        if self._socket is None:
            return
        _log.warning("lost %s: %s", self.name, why)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._socket = None
        self._unsent.clear()
        if now - self._connected_at > LONGEST_PAUSE_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self._next_try = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
