from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import DamagedRecordingError, RecordingError
from recorder.manifest import (
    BROKEN_BYTES,
    HEAD_BYTES,
    MAX_HEADER_BYTES,
    PREFIX_BYTES,
    SEALED_BYTES,
    BrokenMark,
    Counts,
    Opening,
    RecordingHeader,
    decode_broken,
    decode_head,
    decode_opening,
    decode_sealed,
    header_json_bytes,
    sign_head,
    sign_sealed,
    trailer_bytes,
)
from recorder.seal import SealedKey, Signer
from recorder.testing import FixedRandom, sample_header
from tests.examples import examples

SIGNER = Signer.generate(FixedRandom())
KEY = SealedKey(bytes(32), bytes(32), bytes(48))
HEADER_SHA256 = b"h" * 32
COUNTS = Counts(3, 17, 900, 5_000_000, b"c" * 32)


def split(front: bytes) -> tuple[bytes, bytes]:
    length = PREFIX_BYTES + header_json_bytes(front[:PREFIX_BYTES])
    return front[:length], front[length:]


@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5),
    st.integers(0, 2**53),
    st.integers(0, 0xFFFF),
)
def test_a_header_comes_back_as_it_was(labels: dict[str, str], created_at_ms: int, width: int) -> None:
    header = replace(sample_header(), labels=labels, created_at_ms=created_at_ms, width=width)
    opening = Opening(header, SIGNER.public, KEY)
    assert decode_opening(*split(opening.encode(SIGNER.sign))) == opening


def test_a_header_over_the_limit_is_not_written() -> None:
    header = replace(sample_header(), labels={"much": "x" * MAX_HEADER_BYTES})
    with pytest.raises(RecordingError) as refusal:
        Opening(header, SIGNER.public, KEY).encode(SIGNER.sign)
    assert refusal.value.code == "header_too_large"


@pytest.mark.parametrize("length", [0, 1, MAX_HEADER_BYTES + 1, 2**32 - 1])
def test_a_header_length_outside_the_bounds_is_refused_before_it_is_read(length: int) -> None:
    with pytest.raises(DamagedRecordingError) as refusal:
        header_json_bytes(b"SALYREC1" + length.to_bytes(4, "big"))
    assert refusal.value.code == "flipped"


def test_another_file_is_not_a_recording() -> None:
    with pytest.raises(DamagedRecordingError) as refusal:
        header_json_bytes(b"\x7fELF01234567")
    assert refusal.value.code == "not_a_recording"


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"v":1}',
        b'{"v":1,"cipher":"AES-256-GCM","key":7}',
        b"[" * 5000,
        b"\xff\xfe",
    ],
)
def test_a_header_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(DamagedRecordingError):
        decode_opening(b"SALYREC1" + len(text).to_bytes(4, "big") + text, bytes(64))


def test_a_header_of_a_later_version_says_so() -> None:
    signed, signature = split(Opening(sample_header(), SIGNER.public, KEY).encode(SIGNER.sign))
    with pytest.raises(DamagedRecordingError) as refusal:
        decode_opening(signed.replace(b'"v":1', b'"v":3'), signature)
    assert refusal.value.code == "unsupported"


@pytest.mark.parametrize(
    ("field", "value"),
    [("recording_id", "../etc"), ("session_id", ""), ("protocol", "SSH"), ("width", -1), ("created_at_ms", -1)],
)
def test_a_header_with_a_bad_value_cannot_be_made(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"ids are|a protocol is|not negative"):
        replace(sample_header(), **{field: value})


def test_a_running_head_comes_back_and_no_byte_of_it_can_change() -> None:
    head, record = sign_head(COUNTS, HEADER_SHA256, SIGNER.sign)
    assert len(record) == HEAD_BYTES
    assert decode_head(record, HEADER_SHA256, SIGNER.public) == head
    assert (head.counts, head.sealed_at_ms, head.reason) == (COUNTS, None, None)
    for position in range(len(record)):
        with pytest.raises(DamagedRecordingError):
            decode_head(flipped(record, position), HEADER_SHA256, SIGNER.public)


def test_a_sealed_trailer_comes_back_and_no_byte_of_it_can_change() -> None:
    head, record = sign_sealed(COUNTS, "cut_by_operator", 123, HEADER_SHA256, SIGNER.sign)
    assert len(record) == SEALED_BYTES == trailer_bytes(record[-12:])
    assert decode_sealed(record, HEADER_SHA256, SIGNER.public) == head
    assert (head.sealed_at_ms, head.reason) == (123, "cut_by_operator")
    for position in range(len(record)):
        with pytest.raises(DamagedRecordingError):
            decode_sealed(flipped(record, position), HEADER_SHA256, SIGNER.public)


def test_a_broken_trailer_comes_back_and_no_byte_of_it_can_change() -> None:
    mark = BrokenMark(COUNTS, 456, "gateway_restarted", 7, b"t" * 32, 2, SIGNER.public)
    record = mark.encode(HEADER_SHA256, SIGNER.sign)
    assert len(record) == BROKEN_BYTES == trailer_bytes(record[-12:])
    assert decode_broken(record, HEADER_SHA256) == mark
    for position in range(len(record)):
        with pytest.raises(DamagedRecordingError):
            decode_broken(flipped(record, position), HEADER_SHA256)


def test_padding_that_no_writer_writes_is_refused_though_it_is_signed() -> None:
    signed = bytearray(sign_head(COUNTS, HEADER_SHA256, SIGNER.sign)[1][:-64])
    signed[2] = 1
    record = bytes(signed) + SIGNER.sign(b"sallyport recording signature v1\0" + HEADER_SHA256 + bytes(signed))
    with pytest.raises(DamagedRecordingError) as refusal:
        decode_head(record, HEADER_SHA256, SIGNER.public)
    assert refusal.value.code == "flipped"


def test_a_head_of_another_recording_or_key_is_forged() -> None:
    _, record = sign_head(COUNTS, HEADER_SHA256, SIGNER.sign)
    other = Signer.generate(FixedRandom("other"))
    for header_sha256, public in ((b"x" * 32, SIGNER.public), (HEADER_SHA256, other.public)):
        with pytest.raises(DamagedRecordingError) as refusal:
            decode_head(record, header_sha256, public)
        assert refusal.value.code == "forged_head"


@pytest.mark.parametrize("reason", ["", "Not A Code", "x" * 65, "a\0b", "über"])
def test_a_reason_is_a_code(reason: str) -> None:
    with pytest.raises(RecordingError) as refusal:
        sign_sealed(COUNTS, reason, 0, HEADER_SHA256, SIGNER.sign)
    assert refusal.value.code == "bad_reason"


@examples(50)
@given(st.binary(max_size=20))
def test_only_a_whole_footer_announces_a_trailer(footer: bytes) -> None:
    assert trailer_bytes(footer) is None


def test_header_labels_are_a_copy_for_every_header() -> None:
    assert RecordingHeader("a", "b", 0, "ssh", 0, 0).labels is not RecordingHeader("a", "b", 0, "ssh", 0, 0).labels


def flipped(record: bytes, position: int) -> bytes:
    return record[:position] + bytes([record[position] ^ 0x01]) + record[position + 1 :]
