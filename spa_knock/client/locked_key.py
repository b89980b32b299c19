"""The device key in a file that a passphrase locks: scrypt (RFC 7914), then ChaCha20-Poly1305 (RFC 8439) over D (pure).

    {"v": 1, "kdf": "scrypt", "n": …, "r": 8, "p": 1, "salt_b64": …, "nonce_b64": …, "box_b64": …}

Who copies the file has to guess the passphrase, at 64 MiB and some tenths of a second a guess.
"""

import base64
import hashlib
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from spa_knock.client.fields import FieldError, as_object, get_bytes, get_int, get_text
from spa_knock.client.language import tr

LEAST_PASSPHRASE = 8
MOST_PASSPHRASE = 1024
_COST = 1 << 16
_BLOCK = 8
_MOST_MEMORY = 256 << 20
_KEY_BYTES, _SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 16, 12, 16
_CONTEXT = b"sallyport device key v1"


class WrongPassphrase(ValueError):
    """The passphrase does not open the key, or the file was altered."""


def is_locked(content: bytes) -> bool:
    """Whether a key file's content needs a passphrase."""
    return content.lstrip().startswith(b"{")


def lock(key: Ed25519PrivateKey, passphrase: str, cost: int = _COST) -> bytes:
    """The file's content. `cost` is scrypt's N. Raises ValueError for a passphrase of fewer than 8 characters."""
    if not LEAST_PASSPHRASE <= len(passphrase) <= MOST_PASSPHRASE:
        raise ValueError(
            tr("a passphrase has {least} to {most} characters", least=LEAST_PASSPHRASE, most=MOST_PASSPHRASE)
        )
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    box = ChaCha20Poly1305(_stretched(passphrase, salt, cost)).encrypt(nonce, key.private_bytes_raw(), _CONTEXT)
    document = {
        "v": 1,
        "kdf": "scrypt",
        "n": cost,
        "r": _BLOCK,
        "p": 1,
        "salt_b64": base64.b64encode(salt).decode(),
        "nonce_b64": base64.b64encode(nonce).decode(),
        "box_b64": base64.b64encode(box).decode(),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def unlock(content: bytes, passphrase: str) -> Ed25519PrivateKey:
    """The key. Raises WrongPassphrase, and FieldError for a file that is none of ours."""
    try:
        source = as_object(json.loads(content))
    except (ValueError, RecursionError):
        raise FieldError(tr("the file is damaged")) from None
    if get_int(source, "v") != 1 or get_text(source, "kdf", most=20) != "scrypt":
        raise FieldError(tr("the file needs a newer client"))
    # Bounded, or a planted file could take all memory; a power of two, as scrypt wants it.
    cost = get_int(source, "n", least=2, most=1 << 17)
    if cost & (cost - 1) or get_int(source, "r") != _BLOCK or get_int(source, "p") != 1:
        raise FieldError(tr("the file needs a newer client"))
    salt, nonce = get_bytes(source, "salt_b64", length=_SALT_BYTES), get_bytes(source, "nonce_b64", length=_NONCE_BYTES)
    box = get_bytes(source, "box_b64", length=_KEY_BYTES + _TAG_BYTES)
    try:
        raw = ChaCha20Poly1305(_stretched(passphrase[:MOST_PASSPHRASE], salt, cost)).decrypt(nonce, box, _CONTEXT)
    except InvalidTag:
        raise WrongPassphrase(tr("the passphrase is wrong, or the file was altered")) from None
    return Ed25519PrivateKey.from_private_bytes(raw)


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=cost, r=_BLOCK, p=1, maxmem=_MOST_MEMORY, dklen=_KEY_BYTES)
