"""Replay by chunks: the index of a recording, made once, and the screen and outputs from any moment on."""

import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from broker.kernel.errors import SallyportError
from broker.recordings import errors
from broker.recordings.service import RecordingService
from recorder.errors import DamagedRecordingError, StoreError
from recorder.frames import Frame
from recorder.indexing import make_index, open_index, seal_index
from recorder.keyframes import Event, Index, Keyframe, events_of
from recorder.replay import Recording as RecordingFile

SMALL_BYTES: Final = 1 << 20
"""A recording up to this size is indexed while its reader waits; a larger one in a process of its own."""

_MOST_KEPT: Final = 8
_MOST_EVENTS: Final = 50_000
_MAKING_SECONDS: Final = 1800
_MOST_PREPARED: Final = 50

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timeline:
    """What a player knows of a recording before it shows anything; None: its index is being made."""

    created_at_ms: int
    index: Index | None


@dataclass(frozen=True)
class Chunk:
    """The screen at a keyframe and what follows up to the next."""

    keyframe: Keyframe
    events: list[Event]


@dataclass
class _Open:
    file: RecordingFile
    index: Index


class Replaying:
    """Indexes of recordings: a few in memory, the others sealed in `folder`, any of them made again when it is lost."""

    def __init__(self, recordings: RecordingService, folder: Path) -> None:
        self._recordings = recordings
        self._folder = folder
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, bytes], _Open] = OrderedDict()
        self._latest: dict[str, tuple[str, bytes]] = {}
        self._making: set[tuple[str, bytes]] = set()
        self._tried: set[str] = set()

    def timeline(self, actor: str, recording_id: str) -> Timeline:
        """The index, or that it is being made. Looking is in the trail. Raises as `RecordingService.cast`."""
        file = self._recordings.opened(recording_id)
        found = self._found(recording_id, file)
        if found is not None:
            self._recordings.tell_replayed(actor, recording_id, "timeline")
        return Timeline(file.header.created_at_ms, found.index if found is not None else None)

    def chunk(self, recording_id: str, number: int) -> Chunk:
        """One chunk of a recording whose timeline was asked for. Raises NotFound, Conflict (`not_prepared`)."""
        with self._lock:
            known = self._latest.get(recording_id)
            kept = self._open.get(known) if known is not None else None
        if kept is None:
            kept = self._found(recording_id, self._recordings.opened(recording_id))
        if kept is None:
            raise errors.not_prepared(recording_id)
        keyframes = kept.index.keyframes
        if not 0 <= number < len(keyframes):
            raise errors.not_found(recording_id)
        begin = keyframes[number]
        end = keyframes[number + 1].first_frame if number + 1 < len(keyframes) else kept.index.frames + 1
        try:
            events = list(islice(events_of(_between(kept.file, begin, end), begin.programs), _MOST_EVENTS))
        except StoreError as error:
            raise errors.store_fails(recording_id, error.code) from None
        except (DamagedRecordingError, OSError):
            raise errors.not_readable(recording_id) from None
        return Chunk(begin, events)

    def forget(self, recording_id: str) -> None:
        """Keep nothing of a recording that was destroyed, in memory or on disk. Raises OSError."""
        with self._lock:
            for key in [key for key in self._open if key[0] == recording_id]:
                del self._open[key]
            self._latest.pop(recording_id, None)
        self._path(recording_id).unlink(missing_ok=True)

    def prepare(self) -> int:
        """Begin to make the index of the newest closed recording that is large and has none; returns 1 if one began.

        So that nobody waits who opens it. One at a time: the machine has sessions to carry.
        """
        with self._lock:
            if self._making:
                return 0
        for recording_id in self._recordings.closed_above(SMALL_BYTES, _MOST_PREPARED):
            if recording_id in self._tried or self._path(recording_id).exists():
                continue
            self._tried.add(recording_id)
            try:
                self._found(recording_id, self._recordings.opened(recording_id))
            except SallyportError as error:
                _log.warning("replay_not_prepared", recording=recording_id, code=error.code)
                continue
            return 1
        return 0

    def _found(self, recording_id: str, file: RecordingFile) -> _Open | None:
        key = (recording_id, file.report.chain_sha256)
        with self._lock:
            kept = self._open.get(key)
            if kept is not None or key in self._making:
                return kept
        index = self._stored(recording_id, file)
        if index is None and file.report.bytes <= SMALL_BYTES:
            try:
                index = make_index(file)
            except StoreError as error:
                raise errors.store_fails(recording_id, error.code) from None
        if index is not None:
            return self._keep(key, file, index)
        with self._lock:
            if key in self._making:
                return None
            self._making.add(key)
        threading.Thread(target=self._make, args=(key, file), name="replay-index", daemon=True).start()
        return None

    def _keep(self, key: tuple[str, bytes], file: RecordingFile, index: Index) -> _Open:
        kept = _Open(file, index)
        with self._lock:
            self._open[key] = kept
            self._latest[key[0]] = key
            while len(self._open) > _MOST_KEPT:
                old, _ = self._open.popitem(last=False)
                if self._latest.get(old[0]) == old:
                    del self._latest[old[0]]
        return kept

    def _stored(self, recording_id: str, file: RecordingFile) -> Index | None:
        try:
            data = self._path(recording_id).read_bytes()
        except OSError:
            return None
        return open_index(data, self._recordings.unseal_private, file)

    def _make(self, key: tuple[str, bytes], file: RecordingFile) -> None:
        recording_id = key[0]
        try:
            index = self._made_apart(recording_id, file)
            if index is None:  # or a running session has gone on meanwhile: its index is of a later state
                index = make_index(file)
            self._write(recording_id, seal_index(index, self._recordings.unseal_private, file))
            self._keep(key, file, index)
        except (subprocess.SubprocessError, OSError, StoreError) as error:
            _log.error("replay_index_failed", recording=recording_id, error=str(error))
        finally:
            with self._lock:
                self._making.discard(key)

    def _made_apart(self, recording_id: str, file: RecordingFile) -> Index | None:
        """From a process of its own; None for a recording that lies elsewhere: nothing but control may ask for it."""
        path = self._recordings.local_file(recording_id)
        if path is None:
            return None
        done = subprocess.run(
            [sys.executable, "-m", "recorder.indexing", str(path)],
            input=self._recordings.unseal_private,
            capture_output=True,
            timeout=_MAKING_SECONDS,
            check=True,
        )
        return open_index(done.stdout, self._recordings.unseal_private, file)

    def _write(self, recording_id: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path(recording_id).with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(self._path(recording_id))

    def _path(self, recording_id: str) -> Path:
        return self._folder / f"{recording_id}.index"


def _between(file: RecordingFile, begin: Keyframe, end_frame: int) -> Iterator[Frame]:
    number = begin.place.frame
    for frame in file.frames_from(begin.place):
        if number >= end_frame:
            return
        if number >= begin.first_frame:
            yield frame
        number += 1
