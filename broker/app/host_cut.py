"""`sallyport cut`: root ends sessions at the gateway itself, whether or not the control plane runs."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spa_knock.link.framing import Decoder, FramingError, encode

_SECONDS: Final = 5.0
_READ_BYTES: Final = 65_536


class HostCutError(Exception):
    """The gateway did not do it: says what is in the way and what to do."""


@dataclass(frozen=True)
class RunningSession:
    """One session as the gateway shows it."""

    session_id: str
    person: str
    source: str
    target: str
    account: str
    protocol: str


def running(path: Path) -> list[RunningSession]:
    """Every session that the gateway holds. Raises HostCutError."""
    found: list[RunningSession] = []
    with _connected(path) as link:
        while True:
            after = found[-1].session_id if found else None
            answer = link.ask({"type": "list", "after": after})
            items = answer.get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise HostCutError("the gateway's answer cannot be read; is it of another release?")
            found += [_session(item) for item in items]
            if not answer.get("more") or not items:
                return found


def cut(path: Path, session_id: str | None, reason: str) -> list[str]:
    """End one session, or every one (None); returns the ids of those that ended. Raises HostCutError."""
    what: dict[str, object] = {"all": True} if session_id is None else {"session_id": session_id}
    with _connected(path) as link:
        answer = link.ask({"type": "cut", "reason": reason, "operator": _operator(), **what})
    ended = answer.get("sessions")
    return [str(one) for one in ended] if isinstance(ended, list) else []


def _operator() -> str:
    """Who sits behind root, as far as sudo says; for the trail, not for a decision."""
    return os.environ.get("SUDO_USER", "root")[:64]


def _session(item: Mapping[str, object]) -> RunningSession:
    return RunningSession(
        **{
            name: str(item.get(name, ""))
            for name in ("session_id", "person", "source", "target", "account", "protocol")
        }
    )


class _Link:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._decoder = Decoder()

    def ask(self, message: Mapping[str, object]) -> dict[str, object]:
        self._sock.sendall(encode(message))
        while True:
            data = self._sock.recv(_READ_BYTES)
            if not data:
                raise HostCutError("the gateway closed the connection: run this as root on the broker's host")
            for answer in self._decoder.feed(data):
                if answer.get("type") == "refused":
                    raise HostCutError(str(answer.get("message") or answer.get("code")))
                return answer


@contextmanager
def _connected(path: Path) -> Iterator[_Link]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_SECONDS)
            sock.connect(str(path))
            yield _Link(sock)
    except (OSError, FramingError) as error:
        raise HostCutError(
            f"the gateway does not answer at {path} ({error}). If it hangs, stop its process: that ends every session."
        ) from None
