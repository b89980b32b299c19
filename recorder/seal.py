"""The cryptography of a recording: data key, batches, hash chain, signatures. Pure; all randomness is passed in.

Data key: sealed to the recipient by ephemeral X25519 (RFC 7748), HKDF-SHA256 (RFC 5869) and AES-256-GCM.
Batches: AES-256-GCM (NIST SP 800-38D), nonce = batch number, so one key never sees one nonce twice.
Signatures: Ed25519 (RFC 8032), a new key for each recording. Formats in `docs/recording-format.md`.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recorder.errors import DamagedRecordingError

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
TAG_BYTES: Final = 16

_KEY_INFO: Final = b"sallyport/recording-key/v1"
_BATCH_DOMAIN: Final = b"sallyport recording batch v1\0"
_CHAIN_DOMAIN: Final = b"sallyport recording chain v1\0"

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A data key that only the recipient's private key opens."""

    recipient_public: bytes
    ephemeral_public: bytes
    sealed: bytes

    def __post_init__(self) -> None:
        lengths = (len(self.recipient_public), len(self.ephemeral_public), len(self.sealed))
        if lengths != (KEY_BYTES, KEY_BYTES, KEY_BYTES + TAG_BYTES):
            raise ValueError("a sealed key has parts of 32, 32 and 48 bytes")


def generate_recipient(random: Random = os.urandom) -> tuple[bytes, bytes]:
    """A new (private, public) X25519 pair, raw bytes: the key recordings are sealed to."""
    private = X25519PrivateKey.from_private_bytes(random(KEY_BYTES))
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def seal_data_key(data_key: bytes, recipient_public: bytes, recording_id: str, random: Random) -> SealedKey:
    """Seal `data_key` for one recording. Raises `ValueError` for a recipient key that is no usable X25519 point."""
    ephemeral = X25519PrivateKey.from_private_bytes(random(KEY_BYTES))
    ephemeral_public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient_public))
    wrapper = _wrapping_key(shared, ephemeral_public, recipient_public)
    # The wrapping key is fresh for every recording and encrypts this one message: a fixed nonce is safe.
    sealed = wrapper.encrypt(bytes(12), data_key, recording_id.encode())
    return SealedKey(recipient_public, ephemeral_public, sealed)


def open_data_key(sealed: SealedKey, unseal_private: bytes, recording_id: str) -> bytes:
    """The data key. Raises `DamagedRecordingError("wrong_key")` for another private key or another recording's id."""
    try:
        private = X25519PrivateKey.from_private_bytes(unseal_private)
    except ValueError as error:
        raise DamagedRecordingError("wrong_key", "an unseal key is 32 raw bytes") from error
    if private.public_key().public_bytes_raw() != sealed.recipient_public:
        raise DamagedRecordingError("wrong_key", "the recording is sealed to another unseal key")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(sealed.ephemeral_public))
        wrapper = _wrapping_key(shared, sealed.ephemeral_public, sealed.recipient_public)
        return wrapper.decrypt(bytes(12), sealed.sealed, recording_id.encode())
    except (InvalidTag, ValueError) as error:
        raise DamagedRecordingError("wrong_key", "the sealed data key does not open: it was altered") from error


def _wrapping_key(shared: bytes, ephemeral_public: bytes, recipient_public: bytes) -> AESGCM:
    derive = HKDF(SHA256(), length=KEY_BYTES, salt=ephemeral_public + recipient_public, info=_KEY_INFO)
    return AESGCM(derive.derive(shared))


class BatchCipher:
    """Encrypts and decrypts batches under one recording's data key, each bound to the header and to its predecessor."""

    def __init__(self, data_key: bytes, header_sha256: bytes) -> None:
        self._aead = AESGCM(data_key)
        self._bound = _BATCH_DOMAIN + header_sha256

    def encrypt(self, number: int, chain_before: bytes, prelude: bytes, plain: bytes) -> bytes:
        """Ciphertext and tag. The caller never encrypts two different batches under one number."""
        return self._aead.encrypt(_nonce(number), plain, self._bound + chain_before + prelude)

    def decrypt(self, number: int, chain_before: bytes, prelude: bytes, body: bytes) -> bytes:
        """The plain bytes. Raises `DamagedRecordingError("flipped")` when anything of it or before it was altered."""
        try:
            return self._aead.decrypt(_nonce(number), body, self._bound + chain_before + prelude)
        except InvalidTag as error:
            message = f"batch {number} does not decrypt: it, or what stands before it, was altered"
            raise DamagedRecordingError("flipped", message, batch=number) from error


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def batch_digest(prelude: bytes, body: bytes) -> bytes:
    """The digest stored behind a batch; shows accidental damage of this batch alone, without any key."""
    digest = hashlib.sha256(prelude)
    digest.update(body)
    return digest.digest()


def next_chain(chain: bytes, digest: bytes) -> bytes:
    """The chain after one more batch. The chain before the first batch is the header's SHA-256."""
    return hashlib.sha256(_CHAIN_DOMAIN + chain + digest).digest()


@dataclass(frozen=True, slots=True)
class Signer:
    """One recording's own signing key; the private half never leaves memory."""

    public: bytes
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, random: Random) -> "Signer":
        private = Ed25519PrivateKey.from_private_bytes(random(KEY_BYTES))
        return cls(private.public_key().public_bytes_raw(), private)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Raises `DamagedRecordingError("forged_head")` unless `signature` is `public`'s over `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise DamagedRecordingError("forged_head", "a signature does not match its key and text") from error
