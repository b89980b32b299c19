"""Where the bytes of recordings lie: in this machine's folder, else in the store of objects. Reads only."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from broker.recordings.files import file_name_of
from recorder.stores.port import Readable, Stored, opened

_BUFFER_BYTES: Final = 1 << 18


class Places:
    """Opens recordings wherever they lie, and looks anew each time: a file may go while its copy is there."""

    def __init__(
        self,
        folder: Path,
        store: Readable | None = None,
        copied: Callable[[str], Stored | None] = lambda _recording_id: None,
    ) -> None:
        """`copied` names the verified object of a recording, None when there is none."""
        self._folder = folder
        self._store = store
        self._copied = copied

    def path(self, recording_id: str) -> Path:
        """Where the file lies or would lie here. Raises ValueError for what is no recording's id."""
        return self._folder / file_name_of(recording_id)

    def open(self, recording_id: str) -> BinaryIO:
        """The recording's bytes. Raises FileNotFoundError when they are nowhere, OSError, StoreError."""
        try:
            return self.path(recording_id).open("rb", buffering=_BUFFER_BYTES)
        except FileNotFoundError:
            stored = self._copied(recording_id) if self._store is not None else None
            if self._store is None or stored is None:
                raise
            return opened(self._store, stored)
