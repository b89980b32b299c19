"""What control must learn sooner or later: an append-only file of messages, kept until control has answered each.

Every message carries this start's id (`boot_id`) and a number without gaps, so that control can drop repeats and see a
gap. Lines are JSON: `{"boot_id", "seq", "message"}` for a message, `{"done": [boot_id, seq]}` once it was answered.
"""

import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
_COMPACT_BYTES: Final = 1024 * 1024


class SpoolError(Exception):
    """The spool cannot be read or written; no new session may start without it."""


@dataclass(frozen=True, slots=True)
class Spooled:
    boot_id: str
    seq: int
    message: Mapping[str, object]


class Spool:
    """The file and what of it still waits. `add` writes at once; `sync` makes it survive a power cut."""

    def __init__(self, path: Path, boot_id: str) -> None:
        """Opens the file, or begins it. Raises SpoolError."""
        self._path = path
        self._boot_id = boot_id
        self._seq = 0
        self._waiting: deque[Spooled] = deque()
        try:
            self._load()
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._bytes = os.fstat(self._file).st_size
        except (OSError, ValueError) as error:
            raise SpoolError(f"the spool {path} cannot be opened: {error}") from error

    @property
    def is_full(self) -> bool:
        return self._bytes >= MAX_BYTES

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Mapping[str, object]) -> Spooled:
        """Keeps a message. Raises SpoolError; the message then waits in memory only."""
        self._seq += 1
        entry = Spooled(self._boot_id, self._seq, dict(message))
        self._waiting.append(entry)
        self._write({"boot_id": entry.boot_id, "seq": entry.seq, "message": entry.message})
        return entry

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
                os.ftruncate(self._file, 0)
            except OSError as error:
                raise SpoolError(f"the spool cannot be emptied: {error}") from error
            self._bytes = 0
            return
        self._write({"done": [entry.boot_id, entry.seq]})

    def sync(self) -> None:
        """Blocks until the file is on the disk. Raises SpoolError."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise SpoolError(f"the spool cannot be synced: {error}") from error

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: Mapping[str, object]) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise SpoolError(f"the spool cannot be written: {error}") from error
        self._bytes += written
        if written != len(data):
            raise SpoolError("the spool was written only in part")

    def _load(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        # A line that was cut short by a crash was never told to anybody as kept: it is dropped, also from the file.
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            os.truncate(self._path, len(whole))
        waiting: dict[tuple[str, int], Spooled] = {}
        for line in whole.splitlines():
            entry = json.loads(line)
            if "done" in entry:
                boot_id, seq = entry["done"]
                waiting.pop((boot_id, seq), None)
            else:
                waiting[entry["boot_id"], entry["seq"]] = Spooled(entry["boot_id"], entry["seq"], entry["message"])
        self._waiting.extend(waiting.values())
