"""Recordings as files in one folder of this machine. I/O.

`root/<last two characters of the id>/<id>.sallyrec`: a file is found by its id alone and no folder grows without end.
Nothing here deletes.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.errors import RecordingError
from recorder.walk import file_size, read_ending

SUFFIX: Final = ".sallyrec"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{2,64}\Z")


@dataclass(frozen=True, slots=True)
class LocalStore:
    """`least_free_bytes`: below this much free space no recording begins; zero asks for none."""

    root: Path
    least_free_bytes: int = 0

    def path_for_new(self, recording_id: str) -> Path:
        """Where a new recording goes; its folder (mode 0700) is made.

        Raises `RecordingError`: `bad_id`, `no_space` below `least_free_bytes`, `not_created`.
        """
        path = self._path(recording_id)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = self.free_bytes()
        except OSError as error:
            raise RecordingError("not_created", f"the folder for recordings is not usable: {error.strerror}") from error
        if free < self.least_free_bytes:
            raise RecordingError(
                "no_space", f"{free} bytes are free for recordings, {self.least_free_bytes} are needed"
            )
        return path

    def find(self, recording_id: str) -> Path:
        """The file of a recording. Raises `RecordingError`: `bad_id`, `not_found`."""
        path = self._path(recording_id)
        if path.is_symlink() or not path.is_file():
            raise RecordingError("not_found", f"there is no recording {recording_id} here")
        return path

    def unfinished(self) -> Iterator[Path]:
        """Files without a trailer: being written, or left by a crash (`broken.mark_broken` tells which)."""
        for path in sorted(self.root.glob(f"??/*{SUFFIX}")):
            with path.open("rb") as stream:
                if read_ending(stream, file_size(stream)).tag is None:
                    yield path

    def free_bytes(self) -> int:
        """Space that this process may still fill."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def _path(self, recording_id: str) -> Path:
        if not _ID.match(recording_id):
            raise RecordingError("bad_id", "a recording id is 2 to 64 letters, digits, '_' or '-'")
        return self.root / recording_id[-2:] / f"{recording_id}{SUFFIX}"
