"""Marks the file that a crash left behind: an appended, signed `broken` trailer that states the gap. I/O.

Nothing that is in the file is changed or cut off: torn bytes stay where they are and the trailer fixes their digest.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from recorder.batches import Batch
from recorder.continuity import Continuity
from recorder.errors import DamagedRecordingError, RecordingError
from recorder.manifest import TAG_BROKEN, TAG_SEALED, BrokenMark, Sign, decode_sealed, encode_reason, valid_public_key
from recorder.room import free_room
from recorder.walk import (
    Ending,
    Front,
    Unreadable,
    digest_range,
    file_size,
    read_broken_mark,
    read_ending,
    read_front,
    read_records,
)


def mark_broken(path: Path, evidence_sign: Sign, reason: str, now_ms: int, *, evidence_public: bytes) -> BrokenMark:
    """Append the `broken` trailer behind whatever a dead writer left, and force it to disk.

    `evidence_sign` signs with the Ed25519 key whose public half is `evidence_public` (32 bytes); `reason` is a stable
    code. A file that this key already marked is left alone and its mark returned, so a start-up may call it for every
    unfinished file. A mark excuses only what a crash leaves: a file that is damaged in front of its end is marked where
    its whole records end, and `verify` still calls it damaged.

    Raises `RecordingError`: `still_open` (a writer holds the file), `already_sealed`, `trailing_data` (sealed, and
    something was put behind the seal), `no_header` (the crash came before the header was on disk: the file holds no
    frame), `other_mark`, `not_found`; `no_space` and `write_failed` may be tried again.
    """
    encode_reason(reason)
    valid_public_key(evidence_public)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise RecordingError("not_found", f"the recording cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordingError("still_open", "a writer still holds the recording") from error
        try:
            front = read_front(stream)
        except DamagedRecordingError as error:
            raise RecordingError("no_header", f"the file cannot be marked: {error}") from error
        size = file_size(stream)
        ending = read_ending(stream, size)
        earlier = _earlier_mark(stream, front, ending, evidence_public)
        if earlier is not None:
            return earlier
        mark = _measure(stream, front, size, reason, now_ms, evidence_public)
        _append(descriptor, mark.encode(front.header_sha256, evidence_sign), size)
        free_room(descriptor)  # what the dead writer held ahead
        return mark


def _earlier_mark(stream: BinaryIO, front: Front, ending: Ending, evidence_public: bytes) -> BrokenMark | None:
    """What an already finished file ends with; a trailer that does not verify is bytes like any other."""
    with contextlib.suppress(DamagedRecordingError):
        if ending.tag == TAG_SEALED:
            stream.seek(ending.start)
            decode_sealed(stream.read(), front.header_sha256, front.opening.signing_public)
            raise RecordingError("already_sealed", "the recording was sealed by its writer")
        if ending.tag == TAG_BROKEN:
            mark = read_broken_mark(stream, ending.start, front.header_sha256)
            if mark.evidence_public != evidence_public:
                raise RecordingError("other_mark", "the recording was marked broken under another evidence key")
            return mark
    return None


def _measure(stream: BinaryIO, front: Front, size: int, reason: str, now_ms: int, evidence_public: bytes) -> BrokenMark:
    followed = Continuity(front.opening, front.header_sha256, front.end)
    with contextlib.suppress(DamagedRecordingError):
        for _, record in read_records(stream, front.end, size):
            if isinstance(record, Unreadable):
                break
            if isinstance(record, Batch):
                followed.check_order(record)
                followed.take_batch(record)
            else:
                followed.take_signed(record.tag, record.data)
                if record.tag == TAG_SEALED:
                    # Bytes put behind a seal are tampering; a mark would make them look like a crash.
                    raise RecordingError("trailing_data", "the recording was sealed, and bytes were put behind it")
    counts = followed.counts
    return BrokenMark(
        counts,
        now_ms,
        reason,
        tail_bytes=size - counts.offset,
        tail_sha256=digest_range(stream, counts.offset, size),
        anchored_batches=followed.anchored_batches,
        evidence_public=evidence_public,
    )


def _append(descriptor: int, trailer: bytes, size: int) -> None:
    try:
        written = os.write(descriptor, trailer)
        if written != len(trailer):
            # Only the mark's own first bytes are taken back; what the writer left is not touched.
            os.ftruncate(descriptor, size)
            raise RecordingError("no_space", "the mark found no room", can_retry=True)
        os.fdatasync(descriptor)
    except OSError as error:
        raise RecordingError("write_failed", f"the mark was not written: {error.strerror}", can_retry=True) from error
