"""Batches: the frames of one turn as one encrypted record. Pure.

Layout in `docs/recording-format.md` §3: prelude 52 bytes | ciphertext with tag | digest 32 bytes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from recorder.errors import DamagedRecordingError
from recorder.frames import MAX_BATCH_BYTES, Frame, decode_frames, encode_frames
from recorder.packing import pack, unpack
from recorder.seal import TAG_BYTES, BatchCipher, batch_digest

TAG_BATCH: Final = 0x42
DIGEST_BYTES: Final = 32

_FIELDS: Final = Struct(">BBHIIIQQQQ")
_CHECK: Final = Struct(">I")
PRELUDE_BYTES: Final = _FIELDS.size + _CHECK.size

_COMPRESSED: Final = 1
_WORTH_TRYING_BYTES: Final = 256
"""Below this zstd's own frame eats the gain, and most turns are a keystroke."""


@dataclass(frozen=True, slots=True)
class Prelude:
    """The readable front of a batch: enough to check order and time without the data key.

    `number` and `first_frame` count from 1; `start_us` and `end_us` are the times of the first and last frame.
    """

    number: int
    first_frame: int
    frame_count: int
    start_us: int
    end_us: int
    body_bytes: int
    plain_bytes: int
    is_compressed: bool

    @property
    def record_bytes(self) -> int:
        return PRELUDE_BYTES + self.body_bytes + DIGEST_BYTES

    def encode(self) -> bytes:
        fields = _FIELDS.pack(
            TAG_BATCH,
            _COMPRESSED if self.is_compressed else 0,
            0,
            self.body_bytes,
            self.plain_bytes,
            self.frame_count,
            self.number,
            self.first_frame,
            self.start_us,
            self.end_us,
        )
        return fields + _CHECK.pack(zlib.crc32(fields))


def decode_prelude(data: bytes) -> Prelude:
    """Raises `DamagedRecordingError("flipped")` when the check sum fails or a field is outside its bounds.

    The check sum only tells damage from a torn write; against intent stand the chain and its signatures.
    """
    fields = data[: _FIELDS.size]
    tag, flags, zero, body_bytes, plain_bytes, count, number, first_frame, start_us, end_us = _FIELDS.unpack(fields)
    if _CHECK.pack(zlib.crc32(fields)) != data[_FIELDS.size :] or tag != TAG_BATCH or zero or flags & ~_COMPRESSED:
        raise DamagedRecordingError("flipped", "the front of a batch was altered")
    compressed = bool(flags & _COMPRESSED)
    content = body_bytes - TAG_BYTES
    fits = 0 < content < plain_bytes if compressed else content == plain_bytes
    if not fits or not 0 < plain_bytes <= MAX_BATCH_BYTES or not count or start_us > end_us:
        raise DamagedRecordingError("flipped", "the front of a batch has values that no writer wrote")
    return Prelude(number, first_frame, count, start_us, end_us, body_bytes, plain_bytes, compressed)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it stands in the file, its digest found correct."""

    prelude: Prelude
    front: bytes
    body: bytes
    digest: bytes

    def open(self, cipher: BatchCipher, chain_before: bytes) -> list[Frame]:
        """The frames. Raises `DamagedRecordingError` when it does not decrypt or does not hold what its front says."""
        prelude = self.prelude
        plain = cipher.decrypt(prelude.number, chain_before, self.front, self.body)
        if prelude.is_compressed:
            plain = unpack(plain, prelude.plain_bytes)
        frames = list(decode_frames(plain))
        told = (prelude.frame_count, prelude.start_us, prelude.end_us)
        if (len(frames), frames[0].at_us, frames[-1].at_us) != told:
            raise DamagedRecordingError("bad_frames", "a batch does not hold the frames that its front names")
        return frames


def seal_batch(
    frames: Sequence[Frame], number: int, first_frame: int, chain_before: bytes, cipher: BatchCipher
) -> tuple[bytes, bytes]:
    """The record of one batch and its digest. Raises `RecordingError` for frames that make no batch."""
    plain = encode_frames(frames)
    content = plain
    if len(plain) >= _WORTH_TRYING_BYTES:
        smaller = pack(plain)
        if len(smaller) < len(plain):
            content = smaller
    prelude = Prelude(
        number,
        first_frame,
        len(frames),
        frames[0].at_us,
        frames[-1].at_us,
        body_bytes=len(content) + TAG_BYTES,
        plain_bytes=len(plain),
        is_compressed=content is not plain,
    )
    front = prelude.encode()
    body = cipher.encrypt(number, chain_before, front, content)
    digest = batch_digest(front, body)
    return front + body + digest, digest
