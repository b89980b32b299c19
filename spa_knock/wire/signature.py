"""The device's signature over a knock: 64 bytes, Ed25519 (RFC 8032) or ECDSA P-256 with SHA-256 as raw r || s.

Both lengths are equal, so that a device whose key sits in a TPM or smart card (P-256) uses the same packet.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from spa_knock.wire.errors import PacketError, SignatureError

SIGNATURE_BYTES = 64

DevicePublicKey = Ed25519PublicKey | EllipticCurvePublicKey
DevicePrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


def load_public_key(spki_der: bytes) -> DevicePublicKey:
    """A device's public key from DER SubjectPublicKeyInfo. Raises PacketError unless it is Ed25519 or P-256."""
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PacketError("a device's public key is not DER SubjectPublicKeyInfo") from error
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise PacketError("a device's public key is neither Ed25519 nor P-256")


def signer(private_key: DevicePrivateKey) -> Callable[[bytes], bytes]:
    """The function that signs with a key held in memory, in the packet's 64-byte form."""
    if isinstance(private_key, Ed25519PrivateKey):
        return private_key.sign
    ecdsa_key = private_key
    if not isinstance(ecdsa_key.curve, SECP256R1):
        raise PacketError("a device's private key is neither Ed25519 nor P-256")
    return lambda message: raw_from_der(ecdsa_key.sign(message, ECDSA(SHA256())))


def raw_from_der(signature_der: bytes) -> bytes:
    """A P-256 signature as r || s (64 bytes) from its DER form, as TPMs and libraries return it."""
    r, s = decode_dss_signature(signature_der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public_key: DevicePublicKey, signature: bytes, message: bytes) -> None:
    """Raise SignatureError unless `signature` (64 bytes) is this key's over `message`."""
    try:
        if len(signature) != SIGNATURE_BYTES:
            raise InvalidSignature
        if isinstance(public_key, Ed25519PublicKey):
            public_key.verify(signature, message)
        else:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public_key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureError("the signature is not this device's") from error
