"""Control's line to the opener: revoke a device's flows, close a window, lend the gateway a way to one target."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Final

from broker.kernel.errors import Unavailable
from spa_knock.link.framing import Decoder, FramingError, encode

_TIMEOUT_SECONDS: Final = 2.0


class Opener:
    """A lazily connected, thread-safe client of the opener's control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._decoder = Decoder()

    def allow_egress(self, address: str, port: int, seconds: int) -> None:
        """Let the gateway start connections to one address and port for some seconds.

        Raises Unavailable when the opener refuses or does not answer.
        """
        self._ask({"type": "egress", "address": address, "port": port, "seconds": seconds})

    def end_egress(self, address: str, port: int) -> None:
        """Stop new connections of the gateway to one address and port; raises Unavailable."""
        self._ask({"type": "egress_close", "address": address, "port": port})

    def revoke(self, mark: int) -> None:
        """Reset every flow with this device mark and refuse the mark from now on; raises Unavailable."""
        self._ask({"type": "revoke", "mark": mark})

    def unrevoke(self, mark: int) -> None:
        """Allow this device mark again; raises Unavailable."""
        self._ask({"type": "unrevoke", "mark": mark})

    def close_door(self, door: int, address: str) -> None:
        """Close a window at once, whoever opened it; raises Unavailable."""
        self._ask({"type": "close", "door": door, "address": address})

    def reset(self, door: int, address: str, port: int) -> None:
        """Reset one connection of a door; raises Unavailable."""
        self._ask({"type": "reset", "door": door, "address": address, "port": port})

    def reset_egress(self, address: str, port: int) -> None:
        """Reset the gateway's connections to one address and port, and stop new ones; raises Unavailable."""
        self._ask({"type": "egress_reset", "address": address, "port": port})

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._drop()

    def _ask(self, message: dict[str, object]) -> None:
        with self._lock:
            try:
                answer = self._exchange(message)
            except (OSError, FramingError):
                # The opener may have been restarted since the last question; once more on a new connection.
                self._drop()
                try:
                    answer = self._exchange(message)
                except (OSError, FramingError) as error:
                    self._drop()
                    raise Unavailable(
                        "opener.no_answer", f"The firewall writer does not answer ({type(error).__name__})."
                    ) from None
        if answer.get("type") != "done":
            code = str(answer.get("code", "unknown"))
            raise Unavailable("opener.refused", f"The firewall writer refused: {code}.", {"reason": code})

    def _exchange(self, message: dict[str, object]) -> dict[str, object]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(_TIMEOUT_SECONDS)
            self._socket.connect(str(self._path))
            self._decoder = Decoder()
        self._socket.sendall(encode(message))
        while True:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionResetError("the opener closed the connection")
            for answer in self._decoder.feed(data):
                return answer

    def _drop(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
