import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from recorder.batches import DIGEST_BYTES, PRELUDE_BYTES, Batch, Prelude, decode_prelude, seal_batch
from recorder.errors import DamagedRecordingError
from recorder.frames import MAX_BATCH_BYTES, Frame, FrameKind, encode_frames
from recorder.seal import BatchCipher, batch_digest
from tests.unit.recorder.test_frames import turns

CIPHER = BatchCipher(bytes(32), bytes(32))
CHAIN = b"c" * 32
PRELUDE = Prelude(1, 1, 1, 5, 5, 17 + 16, 17, is_compressed=False)


def batch_of(record: bytes) -> Batch:
    front, body, digest = record[:PRELUDE_BYTES], record[PRELUDE_BYTES:-DIGEST_BYTES], record[-DIGEST_BYTES:]
    return Batch(decode_prelude(front), front, body, digest)


@given(turns, st.integers(1, 2**63), st.integers(1, 2**63))
def test_a_batch_comes_back_as_it_was(turn: list[Frame], number: int, first_frame: int) -> None:
    record, digest = seal_batch(turn, number, first_frame, CHAIN, CIPHER)
    batch = batch_of(record)
    assert batch.open(CIPHER, CHAIN) == turn
    assert (batch.prelude.number, batch.prelude.first_frame) == (number, first_frame)
    assert len(record) == batch.prelude.record_bytes
    assert batch.digest == digest == batch_digest(batch.front, batch.body)


def test_text_is_compressed_and_noise_is_not() -> None:
    text, _ = seal_batch([Frame(FrameKind.OUTPUT, 0, 0, b"same line again\r\n" * 500)], 1, 1, CHAIN, CIPHER)
    noise = b"".join(batch_digest(bytes([i]), b"") for i in range(200))
    raw, _ = seal_batch([Frame(FrameKind.OUTPUT, 0, 0, noise)], 1, 1, CHAIN, CIPHER)
    assert batch_of(text).prelude.is_compressed
    assert len(text) < 400
    assert not batch_of(raw).prelude.is_compressed


def test_no_plain_byte_of_a_batch_stands_in_its_record() -> None:
    record, _ = seal_batch([Frame(FrameKind.INPUT, 0, 0, b"the secret")], 1, 1, CHAIN, CIPHER)
    assert b"secret" not in record


@given(st.integers(0, PRELUDE_BYTES - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_prelude_is_found(position: int, change: int) -> None:
    data = bytearray(PRELUDE.encode())
    assert decode_prelude(bytes(data)) == PRELUDE
    data[position] ^= change
    with pytest.raises(DamagedRecordingError):
        decode_prelude(bytes(data))


@pytest.mark.parametrize(
    "wrong",
    [
        {"plain_bytes": MAX_BATCH_BYTES + 1, "body_bytes": MAX_BATCH_BYTES + 17},
        {"plain_bytes": 0, "body_bytes": 16},
        {"body_bytes": 2**32 - 1},
        {"body_bytes": 3},
        {"frame_count": 0},
        {"start_us": 6},
        {"is_compressed": True},
    ],
)
def test_a_prelude_with_values_that_no_writer_writes_is_refused_though_its_sum_is_right(wrong: dict[str, Any]) -> None:
    with pytest.raises(DamagedRecordingError):
        decode_prelude(replace(PRELUDE, **wrong).encode())


@pytest.mark.parametrize(("flags", "zero"), [(2, 0), (0x80, 0), (0, 1)])
def test_unknown_flags_and_padding_are_refused(flags: int, zero: int) -> None:
    fields = struct.pack(">BBHIIIQQQQ", 0x42, flags, zero, 33, 17, 1, 1, 1, 5, 5)
    with pytest.raises(DamagedRecordingError):
        decode_prelude(fields + struct.pack(">I", zlib.crc32(fields)))


def sealed_by_hand(content: bytes, plain_bytes: int, *, is_compressed: bool, frame_count: int = 1) -> Batch:
    prelude = Prelude(1, 1, frame_count, 5, 5, len(content) + 16, plain_bytes, is_compressed)
    front = prelude.encode()
    body = CIPHER.encrypt(1, CHAIN, front, content)
    return Batch(prelude, front, body, batch_digest(front, body))


def test_a_small_body_cannot_unpack_to_more_than_its_front_says() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    with pytest.raises(DamagedRecordingError, match="another size") as refusal:
        sealed_by_hand(bomb, MAX_BATCH_BYTES, is_compressed=True).open(CIPHER, CHAIN)
    assert refusal.value.code == "bad_frames"


def test_a_body_that_is_no_compressed_data_is_refused() -> None:
    with pytest.raises(DamagedRecordingError):
        sealed_by_hand(b"no zstd here", 100, is_compressed=True).open(CIPHER, CHAIN)


def test_a_front_that_names_other_frames_than_the_body_holds_is_refused() -> None:
    plain = encode_frames([Frame(FrameKind.OUTPUT, 0, 5, b"x")])
    with pytest.raises(DamagedRecordingError):
        sealed_by_hand(plain, len(plain), is_compressed=False, frame_count=2).open(CIPHER, CHAIN)
