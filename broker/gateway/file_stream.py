"""Pure: what a channel that carries files asks of its protocol: a stream that reads both directions and tells facts.

The channel machine records and sends what a turn lets through, and nothing else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from broker.policy.file_rules import FileRules

MAX_SHOWN_CHARS: Final = 1_000


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class FileTransferred:
    """One file that was opened, moved and closed, or broken off.

    `complete`: closed, and each byte up to the end was acknowledged. `sequential`: moved
    in order, without a gap. `sha256` (hex) is that of the whole file, None when its bytes were not all seen in order
    from the first on.
    """

    direction: Direction
    path: str
    moved_bytes: int
    sha256: str | None
    complete: bool
    sequential: bool

    def note(self) -> bytes:
        """The recording's note, with a line of text for a list of events."""
        state = "complete" if self.complete else "not complete"
        text = f"{self.direction.value} {shown(self.path)} ({self.moved_bytes} bytes, {state})"
        fields = {
            "kind": "file",
            "text": text,
            "direction": self.direction.value,
            "path": shown(self.path),
            "bytes": self.moved_bytes,
            "sha256": self.sha256,
            "complete": self.complete,
            "sequential": self.sequential,
        }
        return json.dumps(fields, ensure_ascii=False).encode()

    def params(self) -> dict[str, str | int]:
        """The same for control; no hash is an empty text."""
        return {
            "direction": self.direction.value,
            "path": shown(self.path),
            "bytes": self.moved_bytes,
            "sha256": self.sha256 or "",
            "complete": self.complete,
            "sequential": self.sequential,
        }


@dataclass(frozen=True, slots=True)
class FileRefused:
    """A request that was answered by the broker and never reached the target; `text` says what was asked."""

    rule_id: str
    message: str
    text: str


FileFact = FileTransferred | FileRefused


@dataclass(frozen=True, slots=True)
class FileTurn:
    """What follows from some bytes: facts, what may be sent to either side, and perhaps why the channel must end."""

    facts: tuple[FileFact, ...] = ()
    to_target: bytes = b""
    to_client: bytes = b""
    broken: str = ""


class FileStream(Protocol):
    """The reader of one file channel. Its methods never raise for any bytes."""

    @property
    def waiting_bytes(self) -> int:
        """What the client sent and what waits for an answer of the target, not what only is no whole packet yet."""
        ...

    @property
    def drained(self) -> bool:
        """Whether nothing that the client sent still waits."""
        ...

    def client(self, data: bytes) -> FileTurn: ...
    def target(self, data: bytes) -> FileTurn: ...

    def end(self) -> FileTurn:
        """The channel is over: tells the transfers that were broken off."""
        ...


FileStreams = Callable[[FileRules], FileStream]


def shown(path: str) -> str:
    """A path for people: bounded, without control characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in path[:MAX_SHOWN_CHARS])
