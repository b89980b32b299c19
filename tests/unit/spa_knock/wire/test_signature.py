"""Signatures of device keys: both kinds in 64 bytes, nothing else."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.errors import PacketError, SignatureError, WireError
from spa_knock.wire.signature import DevicePrivateKey, DevicePublicKey, load_public_key, signer, verify

KEYS: list[DevicePrivateKey] = [Ed25519PrivateKey.from_private_bytes(bytes(range(32))), generate_ec(SECP256R1())]


def public_of(key: DevicePrivateKey) -> DevicePublicKey:
    return load_public_key(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_a_signature_has_64_bytes_and_verifies(key: DevicePrivateKey) -> None:
    signature = signer(key)(b"message")
    assert len(signature) == 64
    verify(public_of(key), signature, b"message")


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_a_wrong_signature_is_refused(key: DevicePrivateKey, signature: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(public_of(key), signature, b"message")


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_a_signature_over_something_else_is_refused(key: DevicePrivateKey) -> None:
    with pytest.raises(SignatureError):
        verify(public_of(key), signer(key)(b"message"), b"massage")


@pytest.mark.parametrize("key", [generate_ec(SECP384R1()), X25519PrivateKey.generate()])
def test_other_kinds_of_keys_are_refused(key: object) -> None:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    with pytest.raises(PacketError):
        load_public_key(spki)


def test_a_private_key_of_another_curve_cannot_sign() -> None:
    with pytest.raises(PacketError):
        signer(generate_ec(SECP384R1()))


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_no_key(data: bytes) -> None:
    with pytest.raises(WireError):
        load_public_key(data)
