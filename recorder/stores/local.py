"""Recordings as files in one folder of this machine: `folder/<id>.sallyrec`. I/O."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from recorder.errors import StoreError
from recorder.stores.port import SUFFIX, Stored

_ID: Final = re.compile(r"[A-Za-z0-9_-]{2,64}\Z")
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def checked_id(recording_id: str) -> str:
    """The id, when it can be part of a name. Raises `StoreError("bad_id")`."""
    if not _ID.match(recording_id):
        raise StoreError("bad_id", "a recording's id is 2 to 64 letters, digits, '_' or '-'")
    return recording_id


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A `RecordingStore` over a folder that exists. Links are no recordings."""

    folder: Path

    def put(self, recording_id: str, source: BinaryIO) -> Stored:
        """As the port says, for one caller at a time; one that is here already is not replaced (`exists`)."""
        path = self.path(recording_id)
        fresh = path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)  # of a put that was killed
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            with os.fdopen(descriptor, "wb") as stream:
                source.seek(0)
                shutil.copyfileobj(source, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
                size = stream.tell()
            os.link(fresh, path)  # fails when the name is taken, which a rename would not
        except OSError as error:
            raise self._failed(recording_id, error) from error
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink()
        self._sync_folder(recording_id)
        return Stored(recording_id, size)

    def find(self, recording_id: str) -> Stored:
        path = self.path(recording_id)
        if path.is_symlink() or not path.is_file():
            raise StoreError("not_found", f"there is no recording {recording_id} here")
        return Stored(recording_id, path.stat().st_size)

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        try:
            with self._open(stored.recording_id) as stream:
                return os.pread(stream.fileno(), count, start)
        except OSError as error:
            raise self._failed(stored.recording_id, error) from error

    def stored(self) -> Iterator[Stored]:
        try:
            names = sorted(path.stem for path in self.folder.glob(f"*{SUFFIX}") if not path.is_symlink())
        except OSError as error:
            raise self._failed("the folder", error) from error
        for name in names:
            with contextlib.suppress(StoreError):  # gone meanwhile, or no recording's name
                yield self.find(name)

    def remove(self, stored: Stored) -> None:
        try:
            self.path(stored.recording_id).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(stored.recording_id, error) from error
        self._sync_folder(stored.recording_id)

    def path(self, recording_id: str) -> Path:
        """Where the recording lies or would lie. Raises `bad_id`."""
        return self.folder / f"{checked_id(recording_id)}{SUFFIX}"

    def _open(self, recording_id: str) -> BinaryIO:
        return os.fdopen(os.open(self.path(recording_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")

    def _sync_folder(self, recording_id: str) -> None:
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._failed(recording_id, error) from error

    def _failed(self, recording_id: str, error: OSError) -> StoreError:
        match error:
            case FileExistsError():
                code = "exists"
            case FileNotFoundError():
                code = "not_found"
            case _ if error.errno in _NO_ROOM:
                code = "no_space"
            case _ if error.errno == errno.ELOOP:
                code = "not_found"
            case _:
                code = "failed"
        return StoreError(code, f"{recording_id} in {self.folder}: {error.strerror}")
