"""Walks over a recording file record by record. Reads only; decides nothing about what an ending means.

`verify`, `replay`, `broken` and the store share it. Memory is bounded by one batch.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from recorder.batches import DIGEST_BYTES, PRELUDE_BYTES, TAG_BATCH, Batch, Prelude, decode_prelude
from recorder.errors import DamagedRecordingError
from recorder.manifest import (
    BROKEN_BYTES,
    FOOTER_BYTES,
    HEAD_BYTES,
    PREFIX_BYTES,
    SEALED_BYTES,
    TAG_BROKEN,
    TAG_HEAD,
    TAG_SEALED,
    BrokenMark,
    Opening,
    decode_broken,
    decode_opening,
    header_json_bytes,
    trailer_bytes,
)
from recorder.seal import SIGNATURE_BYTES, batch_digest

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Front:
    """The checked header of a file, what is bound to it, and where the records begin."""

    opening: Opening
    header_sha256: bytes
    end: int


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A running head or a sealed trailer, not yet checked."""

    tag: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Where whole records end. `is_torn`: what follows looks like a write that did not finish, not like damage.

    `prelude` is set when the front of a bad batch itself is sound.
    """

    is_torn: bool
    prelude: Prelude | None
    message: str


Record = Batch | SignedRecord | Unreadable


def read_front(stream: BinaryIO) -> Front:
    """The header. Raises `DamagedRecordingError`: `not_a_recording`, `truncated`, `flipped`, `unsupported`."""
    stream.seek(0)
    prefix = _exactly(stream, PREFIX_BYTES)
    signed = prefix + _exactly(stream, header_json_bytes(prefix))
    signature = _exactly(stream, SIGNATURE_BYTES)
    return Front(decode_opening(signed, signature), hashlib.sha256(signed).digest(), stream.tell())


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise DamagedRecordingError("truncated", "the file ends inside its header")
    return data


@dataclass(frozen=True, slots=True)
class Ending:
    """What stands at the very end of a file: the tag of an announced trailer (None: no trailer) and where it begins."""

    tag: int | None
    start: int


def read_ending(stream: BinaryIO, size: int) -> Ending:
    """Look at the footer only; the trailer is checked by whoever trusts it."""
    if size >= FOOTER_BYTES:
        stream.seek(size - FOOTER_BYTES)
        length = trailer_bytes(stream.read(FOOTER_BYTES))
        if length is not None and size >= length:
            stream.seek(size - length)
            tag = stream.read(1)[0]
            if tag == (TAG_SEALED if length == SEALED_BYTES else TAG_BROKEN):
                return Ending(tag, size - length)
    return Ending(None, size)


def read_broken_mark(stream: BinaryIO, start: int, header_sha256: bytes) -> BrokenMark:
    """The `broken` trailer that begins at `start` and reaches to the end of the file."""
    stream.seek(start)
    return decode_broken(stream.read(), header_sha256)


def file_size(stream: BinaryIO) -> int:
    """The size now; a file that is still being written may grow afterwards."""
    return stream.seek(0, os.SEEK_END)


def read_records(stream: BinaryIO, start: int, limit: int) -> Iterator[tuple[int, Record]]:
    """(offset, record) from `start` to `limit`; an `Unreadable` is always the last one."""
    offset = start
    stream.seek(offset)
    while offset < limit:
        record, length = _read_record(stream, offset, limit)
        yield offset, record
        if isinstance(record, Unreadable):
            return
        offset += length


def _read_record(stream: BinaryIO, offset: int, limit: int) -> tuple[Record, int]:
    left = limit - offset
    tag = stream.read(1)
    if tag[0] == TAG_BATCH:
        return _read_batch(stream, tag, left)
    if tag[0] in (TAG_HEAD, TAG_SEALED):
        length = HEAD_BYTES if tag[0] == TAG_HEAD else SEALED_BYTES
        if left < length:
            return Unreadable(is_torn=True, prelude=None, message="a signed record is cut short"), 0
        return SignedRecord(tag[0], tag + stream.read(length - 1)), length
    if tag[0] == TAG_BROKEN and left < BROKEN_BYTES:
        return Unreadable(is_torn=True, prelude=None, message="an earlier broken trailer is cut short"), 0
    torn = tag == b"\0" and _is_all_zero(stream, left - 1)
    return Unreadable(torn, prelude=None, message="no record begins here"), 0


def _read_batch(stream: BinaryIO, tag: bytes, left: int) -> tuple[Record, int]:
    if left < PRELUDE_BYTES:
        return Unreadable(is_torn=True, prelude=None, message="the front of a batch is cut short"), 0
    front = tag + stream.read(PRELUDE_BYTES - 1)
    try:
        prelude = decode_prelude(front)
    except DamagedRecordingError as error:
        return Unreadable(is_torn=False, prelude=None, message=str(error)), 0
    if left < prelude.record_bytes:
        return Unreadable(is_torn=True, prelude=prelude, message="a batch is cut short"), 0
    body = stream.read(prelude.body_bytes)
    digest = stream.read(DIGEST_BYTES)
    if batch_digest(front, body) != digest:
        return Unreadable(is_torn=False, prelude=prelude, message="a batch does not match its digest"), 0
    return Batch(prelude, front, body, digest), prelude.record_bytes


def _is_all_zero(stream: BinaryIO, left: int) -> bool:
    while left > 0:
        block = stream.read(min(left, _BLOCK))
        if not block or block.count(0) != len(block):
            return False
        left -= len(block)
    return True


def digest_range(stream: BinaryIO, start: int, end: int) -> bytes:
    """SHA-256 of the bytes from `start` to `end`."""
    stream.seek(start)
    digest = hashlib.sha256()
    left = end - start
    while left > 0:
        block = stream.read(min(left, _BLOCK))
        if not block:
            break
        digest.update(block)
        left -= len(block)
    return digest.digest()
