"""A recording's place in a folder after its lawful end: its tombstone is written first, then its file goes. I/O."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from recorder.errors import DamagedRecordingError
from recorder.tombstone import LINE_BYTES, SUFFIX, Tombstone, read_line

RECORDING_SUFFIX: Final = ".sallyrec"


def tombstone_path(recording: Path) -> Path:
    """Where the tombstone of this recording's file lies: beside it."""
    return recording.with_name(recording.name.removesuffix(RECORDING_SUFFIX) + SUFFIX)


def read_tombstone(path: Path, public: bytes | None) -> Tombstone:
    """The tombstone in this file. Raises OSError, and `DamagedRecordingError` as `tombstone.read_line`.

    It must be the tombstone of the recording that its name says.
    """
    with path.open("rb") as stream:
        line = stream.read(LINE_BYTES + 2)
    tombstone = read_line(line.removesuffix(b"\n"), public)
    if path.name != tombstone.recording_id + SUFFIX:
        raise DamagedRecordingError("not_a_tombstone", "it is the tombstone of another recording")
    return tombstone


def leave_tombstone(recording: Path, line: bytes) -> None:
    """Have the tombstone on disk beside the recording, whole or not at all. Raises OSError."""
    path = tombstone_path(recording)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def remove_file(recording: Path) -> bool:
    """Take a recording's file away, for good once this returns; whether it was there. Raises OSError.

    The one place where this product removes a recording. The caller has left its tombstone, or has a receipt of
    a verified copy elsewhere.
    """
    try:
        recording.unlink()
    except FileNotFoundError:
        return False
    _sync_folder(recording.parent)
    return True


def _sync_folder(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
