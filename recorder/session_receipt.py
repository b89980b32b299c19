"""A device's receipt of a session, as the stand-alone verifier reads it: what a recording must still hold. Pure.

The other reader of this format is the knock's (`spa_knock.wire.receipt`); neither package knows the other, and the
tests hold them against each other. `docs/recording-format.md`, section 10.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from recorder.errors import DamagedRecordingError
from recorder.manifest import TAG_SEALED, Counts, decode_head_statement

LINE_BYTES: Final = 4096
_LABEL: Final = b"sallyport session receipt v1\0"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ReceiptedRecording:
    """What a device vouches for. `counts` None: it got no head. `refusal`: it did not confirm what it was told."""

    recording_id: str
    session_id: str
    signing_public: bytes
    header_sha256: bytes
    counts: Counts | None
    is_sealed: bool
    refusal: str
    device_key_sha256: bytes


def read_receipt(line: bytes) -> ReceiptedRecording:
    """The recording of a receipt whose device and whose recording have signed it.

    Raises `DamagedRecordingError`: `not_a_receipt`, or `forged_head` when one of the two signatures is not right.
    Whose key `device_key_sha256` is the hash of (over DER SubjectPublicKeyInfo), is the caller's check.
    """
    try:
        document = json.loads(line) if len(line) <= LINE_BYTES else None
        if not isinstance(document, dict) or document.get("v") != _VERSION or not isinstance(document["receipt"], dict):
            raise ValueError("this is no receipt of version 1")
        receipt, device_key = document["receipt"], _unb64(document["device_key_b64"])
        _check(device_key, _unb64(document["signature_b64"]), _LABEL + _canonical(receipt))
        texts = {name: receipt[name] for name in ("recording_id", "session_id", "refusal")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("a name is text")
        signing, header, head, signature = (
            bytes.fromhex(receipt[name]) for name in ("signing_key", "header_sha256", "head", "head_signature")
        )
    except InvalidSignature:
        raise DamagedRecordingError("forged_head", "the device key that the receipt names did not sign it") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedRecordingError("not_a_receipt", f"the receipt cannot be read: {error}") from None
    tag, counts = decode_head_statement(head, signature, header, signing) if head else (0, None)
    return ReceiptedRecording(
        **texts,
        signing_public=signing,
        header_sha256=header,
        counts=counts,
        is_sealed=tag == TAG_SEALED,
        device_key_sha256=hashlib.sha256(device_key).digest(),
    )


def _check(device_key: bytes, signature: bytes, message: bytes) -> None:
    try:
        key = load_der_public_key(device_key)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the device key is not DER SubjectPublicKeyInfo") from None
    if isinstance(key, Ed25519PublicKey):
        key.verify(signature, message)
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) and len(signature) == 64:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    else:
        raise ValueError("the device key is neither Ed25519 nor P-256, or the signature has not 64 bytes")


def _unb64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error:
        raise ValueError("binary is not valid base64") from None


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
