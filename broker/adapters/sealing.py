"""Envelope encryption of secrets at rest: AES-256-GCM under a data key, that key under the site's key-encryption key.

A sealed value is `1 | key id (8) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext and tag`. Both layers
carry the same associated data, so a sealed value moved to another row, target or account does not open.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x01"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 8
_WRAPPED_BYTES: Final = _KEY_BYTES + 16
_HEAD_BYTES: Final = 1 + _KEY_ID_BYTES + _NONCE_BYTES + _WRAPPED_BYTES + _NONCE_BYTES


class SealBroken(Exception):
    """A sealed value does not open: another key, other associated data, or altered bytes."""


def associated_data(kind: str, fields: Mapping[str, str]) -> bytes:
    """The associated data of a secret: its kind and everything it must not be moved away from."""
    return json.dumps([kind, sorted(fields.items())], separators=(",", ":"), ensure_ascii=False).encode()


class Sealer:
    """Seals and opens under one key-encryption key of 32 bytes."""

    def __init__(self, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != _KEY_BYTES:
            raise ValueError(f"the key-encryption key must have {_KEY_BYTES} bytes")
        self._kek = AESGCM(key_encryption_key)
        self._key_id = hashlib.sha256(b"sallyport kek id\0" + key_encryption_key).digest()[:_KEY_ID_BYTES]

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Read the key from a file of exactly 32 bytes (a plain file or a systemd credential)."""
        return cls(path.read_bytes())

    def seal(self, plaintext: bytes, bound_to: bytes) -> bytes:
        """Encrypt; opening needs the same `bound_to`."""
        data_key = secrets.token_bytes(_KEY_BYTES)
        wrap_nonce, nonce = secrets.token_bytes(_NONCE_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapped = self._kek.encrypt(wrap_nonce, data_key, bound_to)
        ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, bound_to)
        return _VERSION + self._key_id + wrap_nonce + wrapped + nonce + ciphertext

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Decrypt.

        Raises SealBroken when it was sealed under another key or for something else, or was altered.
        """
        if len(sealed) < _HEAD_BYTES + 16 or sealed[:1] != _VERSION or sealed[1 : 1 + _KEY_ID_BYTES] != self._key_id:
            raise SealBroken("the sealed value is of another version or under another key")
        position = 1 + _KEY_ID_BYTES
        wrap_nonce = sealed[position : position + _NONCE_BYTES]
        position += _NONCE_BYTES
        wrapped = sealed[position : position + _WRAPPED_BYTES]
        position += _WRAPPED_BYTES
        nonce = sealed[position : position + _NONCE_BYTES]
        try:
            data_key = self._kek.decrypt(wrap_nonce, wrapped, bound_to)
            return AESGCM(data_key).decrypt(nonce, sealed[position + _NONCE_BYTES :], bound_to)
        except InvalidTag:
            raise SealBroken("the sealed value was altered or belongs to something else") from None
