import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import DamagedRecordingError
from recorder.receipt import Receipt, read_line, signed_line

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
DAY = 86_400_000
RECEIPT = Receipt(
    site="demo",
    recording_id="rec_06ew000000000000000000000g",
    bytes=1234,
    sha256="ab" * 32,
    bucket="recordings",
    version="v1",
    lock_mode="compliance",
    locked_until_ms=1_000 + 180 * DAY,
    verified_at_ms=1_000,
)


def code_of(line: bytes, public: bytes = PUBLIC) -> str:
    with pytest.raises(DamagedRecordingError) as refusal:
        read_line(line, public)
    return refusal.value.code


def test_a_receipt_is_read_as_it_was_signed() -> None:
    assert read_line(signed_line(RECEIPT, KEY.sign), PUBLIC) == RECEIPT


def test_another_keys_receipt_is_none() -> None:
    other = Ed25519PrivateKey.generate()
    assert code_of(signed_line(RECEIPT, other.sign)) == "forged_head"


@pytest.mark.parametrize(
    ("name", "value"),
    [("bytes", 1235), ("sha256", "cd" * 32), ("recording_id", "rec_other"), ("locked_until_ms", 2**60)],
)
def test_a_changed_field_is_noticed(name: str, value: object) -> None:
    document = json.loads(signed_line(RECEIPT, KEY.sign))
    document["receipt"][name] = value
    line = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert code_of(line) == "forged_head"


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"\xff", b'{"v":1}', b"x" * 5000, signed_line(RECEIPT, KEY.sign) + b" "],
)
def test_what_is_no_receipt_is_refused(line: bytes) -> None:
    assert code_of(line) == "not_a_receipt"


def test_a_field_more_or_of_another_kind_is_refused() -> None:
    for change in ({"more": 1}, {"bytes": "1"}, {"bytes": True}):
        document = json.loads(signed_line(RECEIPT, KEY.sign))
        document["receipt"].update(change)
        assert code_of(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()) == "not_a_receipt"


@pytest.mark.parametrize(
    "change",
    [
        {"locked_until_ms": 179 * DAY},
        {"lock_mode": "none"},
        {"sha256": "AB" * 32},
        {"sha256": ""},
        {"bytes": -1},
        {"site": ""},
        {"version": "x" * 201},
    ],
)
def test_no_archive_says_that(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(RECEIPT, **change)  # type: ignore[arg-type]
