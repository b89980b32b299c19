"""Where finished recordings lie: one port, and what every store of them must do. Reading from a store has a bound.

`local` keeps files in one folder, `s3` objects in a bucket. A store knows bytes and nothing of their content; `opened`
makes of its ranges a stream that verifying and replaying read like a file.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from recorder.errors import StoreError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIX: Final = ".sallyrec"
WINDOW_BYTES: Final = 1 << 20
"""So much is read ahead of whoever reads a store's range."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One recording in a store. `version` names these very bytes where a store keeps several; elsewhere it is empty."""

    recording_id: str
    size: int
    version: str = ""


class Readable(Protocol):
    """What a recording is read through."""

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        """At most `count` bytes from `start` on; empty at the end and only there. Raises `StoreError`."""
        ...


class RecordingStore(Protocol):
    """Every method raises `StoreError`; a store that does not answer says so within a bounded time.

    Codes that every store knows: `bad_id`, `not_found`, `exists`, `no_space`, `failed`.
    """

    def put(self, recording_id: str, source: BinaryIO) -> Stored:
        """Keep what `source` holds from its start to its end; when this returns the store has it for good.

        A put that fails leaves nothing that `find` or `stored` shows.
        """
        ...

    def find(self, recording_id: str) -> Stored:
        """The newest bytes of this recording. Raises `not_found`."""
        ...

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        """At most `count` bytes from `start` on; empty at the end and only there. Raises `not_found`."""
        ...

    def stored(self) -> Iterator[Stored]:
        """Every recording here, by id."""
        ...

    def remove(self, stored: Stored) -> None:
        """Take exactly these bytes away; what is not there is removed. Who may ask is not the store's to judge.

        Raises `locked` where the store itself keeps them from everybody.
        """
        ...


def opened(store: Readable, stored: Stored) -> BinaryIO:
    """These bytes as a stream that can be sought; it holds about a window of them in memory.

    Reading raises `StoreError` when the store fails: never does a failure look like the end of a recording.
    """
    return io.BufferedReader(_Ranges(store, stored), WINDOW_BYTES)


class _Ranges(io.RawIOBase):
    def __init__(self, store: Readable, stored: Stored) -> None:
        self._store = store
        self._stored = stored
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readall(self) -> bytes:
        # Python's own asks for 8 KiB at a time, which for a store elsewhere is a request each.
        parts = []
        while part := self.read(WINDOW_BYTES):
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(self._stored.size - self._at, 0), WINDOW_BYTES)
        if wanted == 0:
            return 0
        data = self._store.read(self._stored, self._at, wanted)
        if not data or len(data) > wanted:
            message = f"{self._stored.recording_id} was to hold {self._stored.size} bytes and ends before"
            raise StoreError("altered", message)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
