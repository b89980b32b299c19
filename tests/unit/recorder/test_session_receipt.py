"""A receipt as the verifier reads it; the knock's own reader says the same of every line."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import DamagedRecordingError
from recorder.session_receipt import read_receipt
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import read
from spa_knock.wire.signature import DevicePrivateKey
from tests.unit.spa_knock.wire.receipts import (
    COUNTS,
    DEVICE_KEY,
    HEADER_SHA256,
    RECORDING_KEY,
    a_receipt,
    running_head,
    signed,
    spki,
)

LINE = signed(a_receipt()).line


@pytest.mark.parametrize("key", [DEVICE_KEY, generate_ec(SECP256R1())], ids=["ed25519", "p256"])
def test_what_the_device_vouches_for_is_read(key: DevicePrivateKey) -> None:
    found = read_receipt(signed(a_receipt(), key).line)
    assert (found.recording_id, found.session_id, found.refusal) == ("rec_1", "ses_1", "")
    assert (found.signing_public, found.header_sha256) == (RECORDING_KEY.public_key().public_bytes_raw(), HEADER_SHA256)
    assert (found.counts, found.is_sealed) == (COUNTS, True)
    assert found.device_key_sha256 == hashlib.sha256(spki(key)).digest()


def test_a_running_head_and_none() -> None:
    head, signature = running_head()
    found = read_receipt(signed(a_receipt(head=head, head_signature=signature, end="broken")).line)
    assert (found.counts, found.is_sealed) == (COUNTS, False)
    none = read_receipt(signed(a_receipt(head="", head_signature="", end="broken", refusal="no_head")).line)
    assert (none.counts, none.is_sealed, none.refusal) == (None, False, "no_head")


@pytest.mark.parametrize(
    "changes", [{"head_signature": "00" * 64}, {"signing_key": "00" * 32}, {"header_sha256": "00" * 32}]
)
def test_a_head_that_the_recording_did_not_sign_is_forged(changes: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordingError) as caught:
        read_receipt(signed(a_receipt(**changes)).line)
    assert caught.value.code == "forged_head"


@given(st.integers(0, len(LINE) - 1), st.integers(1, 255))
def test_one_altered_byte_is_found_by_both_readers(place: int, change: int) -> None:
    altered = bytearray(LINE)
    altered[place] ^= change
    with pytest.raises(ReceiptError):
        read(bytes(altered))
    with pytest.raises(DamagedRecordingError):
        read_receipt(bytes(altered))


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[" * 4000, b"{}", b'{"receipt":{},"v":1}', LINE + b"x" * 4096, LINE.replace(b'"v":1', b'"v":2')],
)
def test_what_is_no_receipt_says_so(line: bytes) -> None:
    with pytest.raises(DamagedRecordingError) as caught:
        read_receipt(line)
    assert caught.value.code == "not_a_receipt"


def test_a_device_key_of_another_kind_signs_no_receipt() -> None:
    other = generate_ec(SECP384R1())
    line = signed(a_receipt()).line
    forged = line.replace(_b64(spki(DEVICE_KEY)), _b64(spki(other)))
    assert forged != line
    with pytest.raises(DamagedRecordingError, match="neither Ed25519 nor P-256"):
        read_receipt(forged)


def _b64(data: bytes) -> bytes:

    return base64.b64encode(data)
