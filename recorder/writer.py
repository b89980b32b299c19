"""Writes a recording: one batch, one `write(2)`, before the send that depends on it. I/O.

Made for a synchronous call from an asyncio loop: every call does one small write to a local file and returns.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from recorder.batches import DIGEST_BYTES, PRELUDE_BYTES, seal_batch
from recorder.errors import RecordingError
from recorder.frames import FRAME_HEAD_BYTES, MAX_BATCH_BYTES, Frame
from recorder.manifest import BROKEN_BYTES, HEAD_BYTES, Counts, Head, Opening, RecordingHeader, sign_head, sign_sealed
from recorder.masking import Mask
from recorder.room import free_room, hold_room
from recorder.seal import KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES, BatchCipher, Random, Signer, next_chain, seal_data_key

_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRAILER_ROOM: Final = BROKEN_BYTES + HEAD_BYTES


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """When a running head is signed, and when the file is forced to disk.

    A head is signed after `head_every_batches` batches or `head_every_seconds` of recording time, whichever is first.
    `sync_every_seconds` zero leaves the disk to the kernel: a killed process loses nothing, a power cut may. A sync
    blocks the caller for as long as the disk takes; `syncing` gives the same work to a thread.

    `reserve_bytes`: so much room is held on disk ahead of what is written, from the first byte on; zero holds none.
    `most_bytes`: the recording grows no further, its trailer included; zero sets no bound.
    """

    head_every_batches: int = 64
    head_every_seconds: float = 5.0
    sync_every_seconds: float = 0.0
    reserve_bytes: int = 0
    most_bytes: int = 0

    def __post_init__(self) -> None:
        if self.head_every_batches < 1 or self.head_every_seconds <= 0 or self.sync_every_seconds < 0:
            raise ValueError("heads need a positive interval, syncs one that is not negative")
        if self.reserve_bytes < 0 or self.most_bytes < 0:
            raise ValueError("room to hold and the most that is written are not negative")


class WriterState(Enum):
    """`BLOCKED`: a record is partly on file and the writer holds the rest. `FAILED`: only `close_broken` is left."""

    OPEN = "open"
    BLOCKED = "blocked"
    FAILED = "failed"
    SEALED = "sealed"
    CLOSED = "closed"


class RecordingWriter:
    """One recording being written. Not for use by two threads at once.

    `append` either returns with every frame in the file (the kernel has it: killing this process loses nothing) or
    raises `RecordingError`; then nothing that depends on these frames may be sent.
    """

    def __init__(
        self, descriptor: int, front: bytes, signer: Signer, data_key: bytes, settings: WriterSettings
    ) -> None:
        self._descriptor = descriptor
        self._header_sha256 = hashlib.sha256(front[:-SIGNATURE_BYTES]).digest()
        self._signing_public = signer.public
        self._signer: Signer | None = signer
        self._cipher: BatchCipher | None = BatchCipher(data_key, self._header_sha256)
        self._settings = settings
        self._state = WriterState.OPEN
        self._counts = Counts(0, 0, 0, 0, self._header_sha256)
        self._pending = memoryview(front)
        self._counts_then = replace(self._counts, offset=len(front))
        self._anchored = self._counts
        self._last_head: Head | None = None
        self._anchor: Head | None = None
        self._synced_us = 0
        self._held_to = 0  # file offset up to which room is held on disk

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        header: RecordingHeader,
        recipient_public: bytes,
        now_ms: int,
        random: Random,
        settings: WriterSettings | None = None,
        mask: Mask | None = None,
    ) -> "RecordingWriter":
        """Make the file (mode 0600, it must not exist) with its header, forced to disk together with its folder.

        `now_ms` is the wall clock at frame time zero and becomes the header's `created_at_ms`. `random` gives the
        signing key, the data key and the ephemeral key and is `os.urandom` outside tests. `mask`: the
        header carries its parts; its frames are sealed by the caller. The file stays locked while it is written.
        Raises `RecordingError` (`not_created`, `bad_recipient`, `header_too_large`) and then leaves no file behind.
        """
        signer = Signer.generate(random)
        data_key = random(KEY_BYTES)
        try:
            sealed_key = seal_data_key(data_key, recipient_public, header.recording_id, random)
        except ValueError as error:
            raise RecordingError("bad_recipient", "the key to seal the recording to is not usable") from error
        front = Opening(
            replace(header, created_at_ms=now_ms), signer.public, sealed_key, None if mask is None else mask.parts
        ).encode(signer.sign)
        try:
            # The group may read: the folder gives the file the group of whoever replays it.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise RecordingError("not_created", f"the recording could not begin: {error.strerror}") from error
        writer = cls(descriptor, front, signer, data_key, settings or WriterSettings())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            writer._make_room(len(front))
            writer._flush()
            writer.sync()
            _sync_folder(path.parent)
        except (OSError, RecordingError) as error:
            writer.close_broken()
            path.unlink(missing_ok=True)
            raise RecordingError("not_created", f"the recording could not begin: {error}") from error
        return writer

    @property
    def signing_public(self) -> bytes:
        """The recording's own Ed25519 public key, raw: to be audited before the session is live."""
        return self._signing_public

    @property
    def header_sha256(self) -> bytes:
        """SHA-256 of the header: the start of the hash chain."""
        return self._header_sha256

    @property
    def state(self) -> WriterState:
        return self._state

    @property
    def counts(self) -> Counts:
        """What is wholly on file. A record that is only partly written does not count."""
        return self._counts

    @property
    def anchor(self) -> Head | None:
        """The newest running head that is on file."""
        return self._anchor

    def append(self, frames: Sequence[Frame]) -> None:
        """Write one batch (and a head, when one is due) with one `write(2)`. No frames: nothing is done.

        Raises `RecordingError`. `batch_too_large`, `time_runs_back`, `over_budget` (it would grow above `most_bytes`)
        and, while the writer stays open, `no_space`: nothing was written, the writer goes on and can be sealed.
        `no_space` and `short_write` with the state `BLOCKED`: it holds the rest of this batch; the frames count as
        recorded only when `retry()` has returned. `write_failed` and `sync_failed`: the writer is done.
        """
        if not frames:
            return
        cipher, signer = self._require_open()
        before = self._counts
        if frames[0].at_us < before.at_us:
            message = f"a frame at {frames[0].at_us} us follows one at {before.at_us} us"
            raise RecordingError("time_runs_back", message)
        plain_bytes = sum(FRAME_HEAD_BYTES + len(frame.data) for frame in frames)
        if plain_bytes <= MAX_BATCH_BYTES:
            # Before the batch is encrypted: a batch that finds no room must not have used its number.
            self._make_room(before.offset + PRELUDE_BYTES + plain_bytes + TAG_BYTES + DIGEST_BYTES + HEAD_BYTES)
        record, digest = seal_batch(frames, before.batches + 1, before.frames + 1, before.chain_sha256, cipher)
        counts = Counts(
            before.batches + 1,
            before.frames + len(frames),
            before.offset + len(record),
            frames[-1].at_us,
            next_chain(before.chain_sha256, digest),
        )
        if self._is_head_due(counts, counts.at_us):
            self._put_head(counts, signer, record)
        else:
            self._put(record, counts)
        self._sync_when_due(counts.at_us)

    def tick(self, now_us: int) -> None:
        """Sign a head and sync when their time has come though nothing happens. `now_us` is on the frames' clock.

        Does nothing while the writer is blocked. Raises `RecordingError` like `append`.
        """
        if self._state is not WriterState.OPEN:
            return
        _, signer = self._require_open()
        if self._is_head_due(self._counts, now_us):
            self._make_room(self._counts.offset + HEAD_BYTES)
            self._put_head(self._counts, signer, b"")
        self._sync_when_due(now_us)

    def retry(self) -> None:
        """Write the rest of the record that blocked the writer. Raises `RecordingError` while there is no room."""
        if self._state is WriterState.BLOCKED:
            self._flush()

    def seal(self, reason: str, now_ms: int) -> Head:
        """Write the `sealed` trailer, force the file to disk and close it. `reason` is a stable code.

        Raises `RecordingError`; when it `can_retry`, call `seal` again. Otherwise `close_broken` is what is left.
        """
        if self._state is WriterState.SEALED and self._last_head is not None:
            return self._last_head
        self.retry()
        if self._last_head is None:
            _, signer = self._require_open()
            head, record = sign_sealed(self._counts, reason, now_ms, self._header_sha256, signer.sign)
            self._last_head = head
            self._put(record, replace(self._counts, offset=self._counts.offset + len(record)))
        self.sync()
        self._close(WriterState.SEALED)
        return self._last_head

    def close_broken(self) -> None:
        """Close the file as it is, without a trailer; `broken.mark_broken` tells of it later. Never raises."""
        if self._state not in (WriterState.SEALED, WriterState.CLOSED):
            self._close(WriterState.CLOSED)

    def sync(self) -> None:
        """Force what is written to disk. Blocks as long as the disk takes.

        Raises `RecordingError`: `sync_failed`, after which the writer is done; `not_open`.
        """
        if self._state not in (WriterState.OPEN, WriterState.BLOCKED):
            raise RecordingError("not_open", "the recording is closed or has failed")
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            # After a failed sync the kernel may have dropped the pages: a later success would prove nothing.
            self._state = WriterState.FAILED
            raise RecordingError(
                "sync_failed", f"the recording could not be forced to disk: {error.strerror}"
            ) from error

    def syncing(self) -> Callable[[], None]:
        """What another thread calls once to force to disk what is written now; the writer may go on and even close.

        The call raises `OSError`; then the caller must write no more: what the kernel dropped it does not tell again.
        """
        if self._state not in (WriterState.OPEN, WriterState.BLOCKED):
            raise RecordingError("not_open", "the recording is closed or has failed")
        descriptor = os.dup(self._descriptor)

        def sync() -> None:
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

        return sync

    def _is_head_due(self, counts: Counts, now_us: int) -> bool:
        unanchored = counts.batches - self._anchored.batches
        waited_us = now_us - self._anchored.at_us
        return unanchored >= self._settings.head_every_batches or (
            unanchored > 0 and waited_us >= self._settings.head_every_seconds * 1e6
        )

    def _put_head(self, counts: Counts, signer: Signer, record: bytes) -> None:
        told, head = sign_head(counts, self._header_sha256, signer.sign)
        self._anchored = counts
        self._put(record + head, replace(counts, offset=counts.offset + len(head)))
        self._anchor = told

    def _make_room(self, end: int) -> None:
        """Hold room up to `end` and for a trailer behind it, with a head start, or say that there is none."""
        settings = self._settings
        needed = end + _TRAILER_ROOM
        if settings.most_bytes and needed > settings.most_bytes:
            message = f"the recording has reached its bound of {settings.most_bytes} bytes"
            raise RecordingError("over_budget", message)
        if not settings.reserve_bytes or needed <= self._held_to:
            return
        ahead = needed + settings.reserve_bytes
        ahead = min(ahead, settings.most_bytes) if settings.most_bytes else ahead
        try:
            hold_room(self._descriptor, self._held_to, ahead)
        except RecordingError:
            if self._held_to == 0:
                raise  # a session does not begin on less than its reserve
            hold_room(self._descriptor, self._held_to, ahead := needed)
        self._held_to = ahead

    def _sync_when_due(self, now_us: int) -> None:
        interval = self._settings.sync_every_seconds
        if interval and now_us - self._synced_us >= interval * 1e6:
            self.sync()
            self._synced_us = now_us

    def _require_open(self) -> tuple[BatchCipher, Signer]:
        if self._state is WriterState.BLOCKED:
            raise RecordingError("blocked", "the recording waits for room for an earlier record", can_retry=True)
        if self._state is not WriterState.OPEN or self._cipher is None or self._signer is None or self._last_head:
            raise RecordingError("not_open", "the recording is closed or has failed; nothing more can be recorded")
        return self._cipher, self._signer

    def _put(self, record: bytes, counts_then: Counts) -> None:
        self._pending = memoryview(record)
        self._counts_then = counts_then
        self._flush()

    def _flush(self) -> None:
        try:
            written = os.write(self._descriptor, self._pending)
        except OSError as error:
            no_room = error.errno in _NO_ROOM
            self._state = WriterState.BLOCKED if no_room else WriterState.FAILED
            code = "no_space" if no_room else "write_failed"
            raise RecordingError(code, f"the recording was not written: {error.strerror}", can_retry=no_room) from error
        self._pending = self._pending[written:]
        if self._pending:
            self._state = WriterState.BLOCKED
            message = f"{len(self._pending)} bytes of the last record did not fit"
            raise RecordingError("short_write", message, can_retry=True)
        self._state = WriterState.OPEN
        self._counts = self._counts_then

    def _close(self, state: WriterState) -> None:
        self._state = state
        self._cipher = None
        self._signer = None
        if self._held_to:
            free_room(self._descriptor)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
