"""What control must learn sooner or later: an append-only file of signed entries, kept until control has answered each.

Lines are JSON: `{"boot"}` the key of one start, `{"entry"}` one signed entry (`recorder.sequence`), `{"done": [boot_id,
seq]}` once it was answered, `{"last": {"boot_id", "seq", "link_hex"}}` what was the newest entry when a file without
any was written, so that the sequence goes on where it was. The first entry of a start says which entry it found as the
newest. A file of the release before (`{"boot_id", "seq", "message"}`) is taken over once, each message in an entry of
this start that names its old number.
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.sequence import ORIGIN, Boot, BootKey, Entry, read_boot, read_entry

MAX_BYTES: Final = 64 * 1024 * 1024
STARTED: Final = "started"
ADOPTED: Final = "adopted"
_ALTERED: Final = "gateway.spool.altered"
_COMPACT_BYTES: Final = 1024 * 1024


class SpoolError(Exception):
    """The spool cannot be read or written; no new session may start without it."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """An entry with the key that speaks for it."""

    boot: Boot
    entry: Entry

    def to_json(self) -> dict[str, object]:
        return {"boot": self.boot.to_json(), "entry": self.entry.to_json()}


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest entry that is known, control has answered it or not."""

    boot_id: str
    seq: int
    link: bytes


@dataclass
class _Found:
    """What a file held."""

    newest: _Newest | None = None
    waiting: dict[tuple[str, int], Spooled] = field(default_factory=dict)
    unsigned: dict[tuple[str, int], object] = field(default_factory=dict)


class Spool:
    """The file and what of it still waits. `add` writes at once; `sync` makes it survive a power cut."""

    def __init__(self, path: Path, key: BootKey) -> None:
        """Reads the file, or begins it, and writes it anew with the first entry of this start. Raises SpoolError."""
        self._path = path
        self._key = key
        self._seq = 0
        self._file = -1
        self._bytes = 0
        self._unwritten: list[bytes] = []
        try:
            found = _read(path)
            self._newest = found.newest
            self._waiting = deque(found.waiting.values())
            before = {"boot_id": found.newest.boot_id, "seq": found.newest.seq} if found.newest is not None else None
            self._append({"type": STARTED, "at_ms": _now_ms(), "previous": before})
            for (boot_id, seq), message in found.unsigned.items():
                self._append({"type": ADOPTED, "boot_id": boot_id, "seq": seq, "message": message})
            self._write_anew()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SpoolError(f"the spool {path} cannot be opened: {error}") from error

    @property
    def is_full(self) -> bool:
        return self._bytes + sum(map(len, self._unwritten)) >= MAX_BYTES

    @property
    def newest_seq(self) -> int:
        """The number of this start's newest entry."""
        return self._seq

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Mapping[str, object]) -> Spooled:
        """Keeps a message. Raises SpoolError; the message then waits in memory and is written with the next one, but
        for one that is too long, which is not kept.

        A file that is not as it was left (cut, replaced, removed) is written anew from memory, and an entry says so.
        """
        try:
            added = self._append(message)
        except ValueError as error:
            raise SpoolError(f"the message cannot be kept: {error}") from error
        try:
            if not self._is_as_left():
                event = {"code": _ALTERED, "at_ms": _now_ms(), "params": {"waiting": len(self._waiting)}}
                self._append({"type": "report", "session_id": None, "events": [event]})
                self._write_anew()
                return added
        except OSError as error:
            self._unwritten.append(_line({"entry": added.entry.to_json()}))
            raise SpoolError(f"the spool cannot be written: {error}") from error
        self._write({"entry": added.entry.to_json()})
        return added

    def first(self) -> Spooled | None:
        """The oldest message that control has not answered."""
        return self._waiting[0] if self._waiting else None

    def done(self, entry: Spooled) -> None:
        """Control has answered this message; it must be the oldest. Raises SpoolError."""
        if not self._waiting or self._waiting[0] is not entry:
            raise SpoolError("only the oldest spooled message can be done")
        self._waiting.popleft()
        if not self._waiting and self._bytes > _COMPACT_BYTES:
            try:
                self._write_anew()
            except OSError as error:
                raise SpoolError(f"the spool cannot be emptied: {error}") from error
            return
        self._write({"done": [entry.entry.boot_id, entry.entry.seq]})

    def sync(self) -> None:
        """Blocks until the file is on the disk. Raises SpoolError."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise SpoolError(f"the spool cannot be synced: {error}") from error

    def close(self) -> None:
        os.close(self._file)

    def _append(self, message: Mapping[str, object]) -> Spooled:
        payload = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        previous = self._newest.link if self._newest is not None else ORIGIN
        entry = self._key.entry(self._seq + 1, previous, payload)
        self._seq += 1
        self._newest = _Newest(entry.boot_id, entry.seq, entry.link)
        spooled = Spooled(self._key.boot, entry)
        self._waiting.append(spooled)
        return spooled

    def _is_as_left(self) -> bool:
        state = os.fstat(self._file)
        return state.st_size == self._bytes and state.st_nlink == 1

    def _write(self, line: Mapping[str, object]) -> None:
        self._unwritten.append(_line(line))
        data = b"".join(self._unwritten)
        try:
            written = os.write(self._file, data)
            if written != len(data):
                os.ftruncate(self._file, self._bytes)
        except OSError as error:
            raise SpoolError(f"the spool cannot be written: {error}") from error
        if written != len(data):
            raise SpoolError("the spool was written only in part")
        self._bytes += written
        self._unwritten.clear()

    def _write_anew(self) -> None:
        """Puts a file of what waits in the old one's place: killed at any moment, one of both is there as a whole."""
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            data = b"".join(self._lines())
            if os.write(file, data) != len(data):
                raise OSError("it was written only in part")
            os.fsync(file)
            fresh.rename(self._path)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._bytes = file, len(data)
        self._unwritten.clear()
        _sync_folder(self._path.parent)

    def _lines(self) -> Iterator[bytes]:
        if self._newest is not None and not self._waiting:
            newest = {"boot_id": self._newest.boot_id, "seq": self._newest.seq, "link_hex": self._newest.link.hex()}
            yield _line({"last": newest})
        boots = {one.boot.boot_id: one.boot for one in self._waiting} | {self._key.boot.boot_id: self._key.boot}
        for boot in boots.values():
            yield _line({"boot": boot.to_json()})
        for one in self._waiting:
            yield _line({"entry": one.entry.to_json()})


def _read(path: Path) -> _Found:
    found = _Found()
    if not path.exists():
        return found
    data = path.read_bytes()
    # A line that was cut short by a crash was never told to anybody as kept: it is dropped.
    lines: Iterable[bytes] = data[: data.rfind(b"\n") + 1].splitlines()
    boots: dict[str, Boot] = {}
    for line in lines:
        match json.loads(line):
            case {"done": [str(boot_id), int(seq)]}:
                found.waiting.pop((boot_id, seq), None)
                found.unsigned.pop((boot_id, seq), None)
            case {"entry": values}:
                entry = read_entry(values)
                found.waiting[entry.boot_id, entry.seq] = Spooled(boots[entry.boot_id], entry)
                found.newest = _Newest(entry.boot_id, entry.seq, entry.link)
            case {"boot": values}:
                boot = read_boot(values)
                boots[boot.boot_id] = boot
            case {"last": {"boot_id": str(boot_id), "seq": int(seq), "link_hex": str(link)}}:
                found.newest = _Newest(boot_id, seq, bytes.fromhex(link))
            case {"boot_id": str(boot_id), "seq": int(seq), "message": message}:
                found.unsigned[boot_id, seq] = message
            case _:
                raise ValueError("a line is none of a spool")
    return found


def _line(values: Mapping[str, object]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
