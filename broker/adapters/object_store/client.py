"""Control's end of the archive's socket: copies are made, read and destroyed through it.

A question has its own connection and a bound; an archive that is not there is a store that does not answer.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.object_store.wire import MOST_BYTES, Heard, WireError, receive, send
from broker.kernel.clock import milliseconds
from recorder.errors import StoreError
from recorder.stores.port import Stored

_SECONDS: Final = 180
_WHOLE_SECONDS: Final = 3 * 3600  # reading a whole recording back; only other copies wait for it


@dataclass(frozen=True, slots=True)
class Expected:
    """What a copy must be: the recording's own key, the chain of its seal (None: it broke off), kept until then."""

    signing_public: bytes
    chain: bytes | None
    evidence_public: bytes | None
    keep_until: datetime


class ArchiveClient:
    """Every method raises StoreError: what the archive says, or `unreachable` when it does not answer."""

    def __init__(self, path: Path) -> None:
        """`path`: the archive's socket."""
        self._path = path

    def check(self) -> None:
        """That the bucket is there, keeps versions and can lock objects."""
        self._ask({"type": "check"})

    def advance(self, recording_id: str, descriptor: int, size: int | None, attempt: int) -> tuple[int, Stored | None]:
        """Have at most one more part sent: how many bytes the store has, and the object once it is complete."""
        fields = {"type": "advance", "recording_id": recording_id, "size": size, "attempt": attempt}
        heard = self._ask(fields, descriptor=descriptor)
        if "version" not in heard.message:
            return _number(heard, "uploaded"), None
        return _number(heard, "uploaded"), Stored(recording_id, _number(heard, "size"), _text(heard, "version"))

    def verify(self, stored: Stored, expected: Expected) -> bytes:
        """Have the object read back whole, judged and locked: the archive's receipt, as a line."""
        fields = {
            "signing_public": expected.signing_public.hex(),
            "chain": expected.chain.hex() if expected.chain is not None else None,
            "evidence_public": expected.evidence_public.hex() if expected.evidence_public is not None else None,
            "keep_until_ms": milliseconds(expected.keep_until),
        }
        return self._ask({"type": "verify", **_named(stored), **fields}, seconds=_WHOLE_SECONDS).payload

    def hold(self, stored: Stored, *, is_held: bool) -> None:
        """Set or lift the object's legal hold."""
        self._ask({"type": "hold", **_named(stored), "is_held": is_held})

    def remove(self, tombstone: bytes) -> int:
        """Have every object of a destroyed recording removed; how many there were."""
        return _number(self._ask({"type": "remove", "tombstone": tombstone.decode()}), "removed")

    def sweep(self, wanted: Sequence[str]) -> int:
        """Have unfinished uploads given up but those of these recordings, at most 1000; how many were."""
        return _number(self._ask({"type": "sweep", "wanted": list(wanted)}), "aborted")

    def find(self, recording_id: str) -> Stored:
        """The newest object of a recording. Raises `not_found`."""
        heard = self._ask({"type": "find", "recording_id": recording_id})
        return Stored(recording_id, _number(heard, "size"), _text(heard, "version"))

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        """As `RecordingStore.read`."""
        count = min(count, MOST_BYTES)
        data = self._ask({"type": "read", **_named(stored), "start": start, "count": count}).payload
        if len(data) > count:
            raise StoreError("altered", f"{stored.recording_id}: the archive gave more than was asked for")
        return data

    def _ask(self, message: Mapping[str, object], *, descriptor: int | None = None, seconds: float = _SECONDS) -> Heard:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(seconds)
                sock.connect(str(self._path))
                send(sock, message, descriptor=descriptor)
                heard = receive(sock)
        except (WireError, OSError) as error:
            raise StoreError("unreachable", f"the archive does not answer: {error}") from error
        if heard.message.get("type") != "done":
            raise StoreError(_text(heard, "code"), _text(heard, "message"))
        return heard


def _named(stored: Stored) -> dict[str, object]:
    return {"recording_id": stored.recording_id, "version": stored.version, "size": stored.size}


def _text(heard: Heard, name: str) -> str:
    try:
        return heard.text(name)
    except WireError as error:
        raise StoreError("failed", f"the archive's answer is none: {error}") from None


def _number(heard: Heard, name: str) -> int:
    try:
        return heard.number(name)
    except WireError as error:
        raise StoreError("failed", f"the archive's answer is none: {error}") from None
