"""A receipt says what its device signed, and nothing else reads as one."""

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import LINE_BYTES, Receipt, read
from spa_knock.wire.signature import DevicePrivateKey
from tests.unit.spa_knock.wire.receipts import (
    COUNTS,
    DEVICE_KEY,
    HEADER_SHA256,
    a_receipt,
    running_head,
    sealed_head,
    signed,
    spki,
)


@pytest.mark.parametrize("key", [DEVICE_KEY, generate_ec(SECP256R1())], ids=["ed25519", "p256"])
def test_what_a_device_signed_is_read_again(key: DevicePrivateKey) -> None:
    made = signed(a_receipt(), key)
    assert len(made.line) < LINE_BYTES
    again = read(made.line + b"\n")
    assert again == made
    assert (again.receipt, again.device_key) == (a_receipt(), spki(key))


@pytest.mark.parametrize(("head", "is_sealed"), [(running_head(), False), (sealed_head(), True)])
def test_a_head_states_how_far_the_recording_reached(head: tuple[str, str], *, is_sealed: bool) -> None:
    facts = a_receipt(head=head[0], head_signature=head[1]).head_facts()
    assert facts is not None
    assert facts.is_sealed is is_sealed
    assert (facts.batches, facts.frames, facts.offset, facts.at_us) == (7, 40, 9_000, 61_000_000)
    assert facts.chain_sha256 == COUNTS.chain_sha256


def test_a_recording_that_broke_off_early_has_no_head() -> None:
    receipt = read(signed(a_receipt(head="", head_signature="", end="broken", refusal="no_head")).line).receipt
    assert receipt.head_facts() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"header_sha256": "12" * 32},
        {"signing_key": Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()},
        {"head": "00" + sealed_head()[0][2:]},
        {"head": running_head()[0]},
        {"head_signature": "00" * 64},
        {"head": sealed_head()[0][:-2] + "78"},
    ],
)
def test_a_head_of_another_key_header_or_place_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ReceiptError) as caught:
        a_receipt(**changes).head_facts()
    assert caught.value.code == "head_not_signed"


@pytest.mark.parametrize(
    "changes",
    [
        {"site": ""},
        {"target": "press 01"},
        {"session_id": "s" * 81},
        {"signing_key": "00"},
        {"header_sha256": HEADER_SHA256.hex().upper().replace("1", "A")},
        {"head": ""},
        {"head": "00" * 10},
        {"end": "over"},
        {"refusal": "because"},
        {"began_ms": -1},
        {"heads_seen": 2**63},
    ],
)
def test_what_says_nothing_true_is_never_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"has|is|comes|one of|not negative"):
        a_receipt(**changes)


LINE = signed(a_receipt()).line


@given(st.integers(0, len(LINE) - 1), st.integers(1, 255))
def test_one_altered_byte_is_found(place: int, change: int) -> None:
    altered = bytearray(LINE)
    altered[place] ^= change
    with pytest.raises(ReceiptError):
        read(bytes(altered))


def _with(**changes: object) -> bytes:
    document = json.loads(LINE)
    document["receipt"].update(changes)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[" * 4000,
        b"{}",
        LINE + b" ",
        LINE.replace(b'"v":1', b'"v":2'),
        _with(more=1),
        _with(began_ms="1"),
        _with(began_ms=True),
        _with(target=None),
        b" " * (LINE_BYTES + 1),
    ],
)
def test_what_is_no_receipt_says_so(line: bytes) -> None:
    with pytest.raises(ReceiptError) as caught:
        read(line)
    assert caught.value.code == "not_a_receipt"


@pytest.mark.parametrize("forge", [lambda: _with(target="press-02"), lambda: _with(heads_seen=0)])
def test_a_receipt_that_was_rewritten_is_not_signed(forge: Callable[[], bytes]) -> None:
    with pytest.raises(ReceiptError) as caught:
        read(forge())
    assert caught.value.code == "not_signed"


def test_a_key_of_another_kind_signs_no_receipt() -> None:
    document = json.loads(LINE)
    document["device_key_b64"] = "AAAA"
    with pytest.raises(ReceiptError, match="cannot be read"):
        read(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def test_a_receipt_is_a_value() -> None:
    assert isinstance(a_receipt(), Receipt)
    assert a_receipt() == a_receipt()
