"""Pure: one open file of an SFTP channel: what was moved in each direction, its hash, and whether it is whole."""

import hashlib
from dataclasses import dataclass, field

from broker.gateway.file_stream import Direction, FileTransferred
from broker.protocols.ssh.sftp_wire import CHANGING_FLAGS, OpenFlag


@dataclass(slots=True)
class Flow:
    """The content that went one way. Only content in order can be hashed: the rest of a file is not kept for later."""

    started: bool = False
    first: int = 0
    next: int = 0
    end: int = 0
    moved_bytes: int = 0
    sequential: bool = True
    failed: bool = False
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def at(self, offset: int) -> None:
        """Content follows that belongs at this offset."""
        if not self.started:
            self.started, self.first, self.next = True, offset, offset
        elif offset != self.next:
            self.sequential = False
            self.next = offset

    def content(self, data: bytes | bytearray) -> None:
        if self.sequential:
            self._hash.update(data)
        self.moved_bytes += len(data)
        self.next += len(data)
        self.end = max(self.end, self.next)

    @property
    def hexdigest(self) -> str | None:
        """Of the whole file up to `end`, None when that is not what was seen."""
        return self._hash.hexdigest() if self.sequential and self.first == 0 else None


@dataclass(slots=True)
class OpenFile:
    """A handle that the target gave out. `is_folder` handles move no content."""

    path: str
    flags: int = 0
    is_folder: bool = False
    up: Flow = field(default_factory=Flow)
    down: Flow = field(default_factory=Flow)
    unanswered_writes: int = 0
    size: int | None = None  # as the target told it
    cut_to: int | None = None  # by the client, through this handle
    ends_at: int | None = None  # where a READ was answered with the end of the file

    @property
    def was_opened_to_change(self) -> bool:
        return not self.is_folder and bool(self.flags & CHANGING_FLAGS)

    @property
    def was_opened_to_write(self) -> bool:
        return not self.is_folder and bool(self.flags & (OpenFlag.WRITE | OpenFlag.APPEND))

    def transfers(self, *, closed: bool) -> list[FileTransferred]:
        """What to tell of this file; `closed` = the target confirmed its close."""
        told = []
        emptied = bool(self.flags & (OpenFlag.TRUNC | OpenFlag.EXCL)) or self.cut_to == self.up.end
        if self.up.started or (self.was_opened_to_write and emptied):
            complete = closed and not self.up.failed and self.unanswered_writes == 0
            is_whole = complete and emptied and not self.flags & OpenFlag.APPEND
            digest = self.up.hexdigest if is_whole else None
            told.append(self._told(Direction.UP, self.up, digest, complete=complete))
        if self.down.started or self.ends_at == 0:
            down = self.down
            whole = down.end in (self.ends_at, self.size) and down.moved_bytes == down.end - down.first
            complete = closed and whole and not down.failed
            told.append(self._told(Direction.DOWN, down, down.hexdigest if complete else None, complete=complete))
        return told

    def _told(self, direction: Direction, flow: Flow, digest: str | None, *, complete: bool) -> FileTransferred:
        return FileTransferred(direction, self.path, flow.moved_bytes, digest, complete, flow.sequential)
