"""The connection proof: fits one knock and one door, and nothing else."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.errors import PacketError, ProofError
from spa_knock.wire.keys import DeviceKeys, expand
from spa_knock.wire.proof import check_proof, derive_proof_key, make_proof, proof_key, proof_nonce

K_DEV = bytes(range(32))
AUDIENCE = b"plant-01"
NONCE = b"twelve bytes"
KEY = proof_key(K_DEV, AUDIENCE, NONCE)


def test_a_proof_has_the_documented_bytes() -> None:
    base = DeviceKeys.derive(K_DEV, AUDIENCE).proof_base
    assert derive_proof_key(DeviceKeys.derive(K_DEV, AUDIENCE), NONCE) == KEY == expand(base, NONCE, 32)
    mac = hmac.digest(KEY, b"sallyport proof v1\0" + NONCE + b"\0\2", "sha256")
    assert make_proof(K_DEV, AUDIENCE, NONCE, 2) == NONCE + b"\0\2\0\0" + mac


def test_the_right_proof_passes() -> None:
    proof = make_proof(K_DEV, AUDIENCE, NONCE, 2)
    assert proof_nonce(proof) == NONCE
    check_proof(proof, KEY, NONCE, 2)


@given(st.integers(0, 47), st.integers(1, 255))
def test_a_proof_with_any_byte_changed_fails(position: int, change: int) -> None:
    proof = bytearray(make_proof(K_DEV, AUDIENCE, NONCE, 2))
    proof[position] ^= change
    with pytest.raises(ProofError):
        check_proof(bytes(proof), KEY, NONCE, 2)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_prove_nothing(data: bytes) -> None:
    with pytest.raises(ProofError):
        check_proof(data, KEY, NONCE, 2)


def test_a_proof_for_another_door_knock_or_key_fails() -> None:
    proof = make_proof(K_DEV, AUDIENCE, NONCE, 2)
    with pytest.raises(ProofError):
        check_proof(proof, KEY, NONCE, 1)
    with pytest.raises(ProofError):
        check_proof(proof, KEY, b"another one!", 2)
    with pytest.raises(ProofError):
        check_proof(proof, proof_key(K_DEV, AUDIENCE, b"another one!"), NONCE, 2)


def test_what_cannot_be_a_door_or_a_nonce_is_refused() -> None:
    with pytest.raises(ProofError):
        make_proof(K_DEV, AUDIENCE, NONCE, 0)
    with pytest.raises(PacketError):
        proof_key(K_DEV, AUDIENCE, b"short")
