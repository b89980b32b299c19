"""Whether a recording, as the plant hands it out, holds the head of a receipt. Reads `docs/recording-format.md`.

A reader of its own, so that whoever checks the plant's recording here does not need the plant's program for it. It
needs no key but those of the receipt: the chain binds every byte from the first on, encrypted as it is.
"""

import hashlib
import json
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, Final

from spa_knock.client.language import tr
from spa_knock.wire.receipt import HeadFacts, Receipt

MAGIC: Final = b"SALYREC1"
_HEADER_BYTES: Final = 65_536
_SIGNATURE_BYTES: Final = 64
_PRELUDE: Final = Struct(">BB2xIIIQQQQI")
_DIGEST_BYTES: Final = 32
_BODY_BYTES: Final = 1_048_676
_RUNNING_HEAD_BYTES: Final = 132
_SEALED_END: Final = (216).to_bytes(4, "big") + b"SALYEND1"
_CHAIN: Final = b"sallyport recording chain v1\0"


class OtherRecording(ValueError):
    """A recording is not the one that was confirmed; says in what."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The front of a recording: whose it says it is, its hash, and where its records begin."""

    recording_id: str
    header_sha256: bytes
    end: int


def read_opening(stream: BinaryIO) -> Opened:
    """The header. Raises OtherRecording when this is no recording."""
    stream.seek(0)
    prefix = stream.read(12)
    length = int.from_bytes(prefix[8:], "big")
    if prefix[:8] != MAGIC or not 2 <= length <= _HEADER_BYTES:
        raise OtherRecording(tr("it is not a recording"))
    text = stream.read(length)
    try:
        document = json.loads(text)
        recording_id = document["recording_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise OtherRecording(tr("its header cannot be read")) from None
    if len(text) != length or not isinstance(recording_id, str):
        raise OtherRecording(tr("its header cannot be read"))
    return Opened(recording_id[:80], hashlib.sha256(prefix + text).digest(), 12 + length + _SIGNATURE_BYTES)


def check_holds(stream: BinaryIO, receipt: Receipt) -> HeadFacts:
    """What the receipt's head states, when the recording holds exactly that head behind exactly that history.

    Raises ReceiptError when the recording's key did not sign the head, OtherRecording when the recording is another one
    than the device confirmed: rewritten, cut short, or continued behind its end.
    """
    head = receipt.head_facts()
    if head is None:
        raise OtherRecording(tr("the receipt names no head to look for"))
    opened = read_opening(stream)
    if opened.recording_id != receipt.recording_id:
        raise OtherRecording(tr("it is the recording {recording_id}", recording_id=opened.recording_id))
    if opened.header_sha256.hex() != receipt.header_sha256:
        raise OtherRecording(tr("it has another header, so it was written anew"))
    stream.seek(opened.end)
    reached = _walk(stream, opened, head.offset)
    if reached != (head.batches, head.frames, head.chain_sha256):
        raise OtherRecording(
            tr(
                "its history up to frame {frames} is another one: it was rewritten after the session",
                frames=head.frames,
            )
        )
    expected = bytes.fromhex(receipt.head) + bytes.fromhex(receipt.head_signature)
    if head.is_sealed:
        expected += _SEALED_END
    if stream.read(len(expected)) != expected:
        raise OtherRecording(tr("the head at frame {frames} is not in it", frames=head.frames))
    if head.is_sealed and stream.read(1):
        raise OtherRecording(tr("it goes on behind its end"))
    return head


def _walk(stream: BinaryIO, opened: Opened, until: int) -> tuple[int, int, bytes]:
    """Batches, frames and the chain of the records from the header up to this offset. Raises OtherRecording."""
    at, batches, frames, chain = opened.end, 0, 0, opened.header_sha256
    while at < until:
        tag = stream.read(1)
        if tag == b"H":
            at += 1 + len(stream.read(_RUNNING_HEAD_BYTES - 1))
            if at > until:
                raise _cut(frames)
            continue
        front = tag + stream.read(_PRELUDE.size - 1)
        if tag != b"B" or len(front) != _PRELUDE.size:
            raise _cut(frames)
        _, _, body_bytes, _, count, number, first_frame, *_ = _PRELUDE.unpack(front)
        at += _PRELUDE.size + body_bytes + _DIGEST_BYTES
        if body_bytes > _BODY_BYTES or at > until or (number, first_frame) != (batches + 1, frames + 1):
            raise _cut(frames)
        body, digest = stream.read(body_bytes), stream.read(_DIGEST_BYTES)
        if hashlib.sha256(front + body).digest() != digest:
            raise OtherRecording(tr("batch {number} is not what was written", number=number))
        chain = hashlib.sha256(_CHAIN + chain + digest).digest()
        batches, frames = number, frames + count
    return batches, frames, chain


def _cut(frames: int) -> OtherRecording:
    return OtherRecording(tr("behind frame {frames} it is cut short or not what was written", frames=frames))
