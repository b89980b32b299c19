"""Control's line to the opener: revoke a device's flows, close a window, lend the gateway a way to one target."""

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.kernel.errors import Unavailable
from spa_knock.link.framing import Decoder, FramingError, encode

_TIMEOUT_SECONDS: Final = 2.0
_NOBODY: Final = "192.0.2.1"
_NO_PORT: Final = 9
_MARKS_PER_MESSAGE: Final = 4_096


@dataclass(frozen=True)
class OpenWindow:
    """A door that is open for one address. knock_ids: those that hold it, the last to end first, at most four."""

    door: int
    address: str
    port: int
    milliseconds_left: int
    knock_ids: tuple[str, ...]


@dataclass(frozen=True)
class OpenWay:
    """A target that the gateway may reach."""

    address: str
    port: int
    milliseconds_left: int


@dataclass(frozen=True)
class OpenerStatus:
    """What the kernel counted, in packets by stage, and what it holds; of long lists the first 128."""

    rules_are_whole: bool
    counters: Mapping[str, int]
    windows: tuple[OpenWindow, ...]
    windows_total: int
    ways: tuple[OpenWay, ...]
    ways_total: int
    revoked_total: int
    used_nonces_total: int

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "OpenerStatus":
        """Raises KeyError, TypeError or ValueError for anything that is not complete."""
        return cls(
            rules_are_whole=answer["rules"] == "whole",
            counters={str(name): int(count) for name, count in dict(answer["counters"]).items()},
            windows=tuple(
                OpenWindow(
                    int(one["door"]),
                    str(one["address"]),
                    int(one["port"]),
                    int(one["milliseconds_left"]),
                    tuple(str(knock_id) for knock_id in one["knock_ids"]),
                )
                for one in answer["windows"]
            ),
            windows_total=int(answer["windows_total"]),
            ways=tuple(
                OpenWay(str(one["address"]), int(one["port"]), int(one["milliseconds_left"]))
                for one in answer["egress"]
            ),
            ways_total=int(answer["egress_total"]),
            revoked_total=int(answer["revoked_total"]),
            used_nonces_total=int(answer["used_nonces_total"]),
        )


class Opener:
    """A lazily connected, thread-safe client of the opener's control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._decoder = Decoder()

    def allow_egress(self, address: str, port: int, seconds: int) -> None:
        """Let the gateway connect to one address and port for some seconds; what runs then ends in the kernel.

        Raises Unavailable when the opener refuses or does not answer.
        """
        self._ask({"type": "egress", "address": address, "port": port, "seconds": seconds})

    def end_egress(self, address: str, port: int) -> None:
        """Stop the gateway's connections to one address and port, running ones too; raises Unavailable."""
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

    def restate_revoked(self, marks: Sequence[int]) -> None:
        """Have every one of these marks revoked that the kernel does not know of; raises Unavailable."""
        for start in range(0, len(marks), _MARKS_PER_MESSAGE):
            self._ask({"type": "restate", "marks": list(marks[start : start + _MARKS_PER_MESSAGE])})

    def status(self) -> OpenerStatus:
        """What the kernel counted and holds; raises Unavailable. At most two a second are answered."""
        answer = self._ask({"type": "status"})
        try:
            return OpenerStatus.from_json(answer)
        except (KeyError, TypeError, ValueError):
            raise Unavailable("opener.no_answer", "The firewall writer's status makes no sense.") from None

    def answers(self) -> bool:
        """Whether the opener is there and can write: asked to end what never was, towards an address of RFC 5737."""
        try:
            self.end_egress(_NOBODY, _NO_PORT)
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._drop()

    def _ask(self, message: dict[str, object]) -> Mapping[str, Any]:
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
        return answer

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
