"""A stream that only one private key opens: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM in chunks.

    "sallyport sealed stream 1\\n" | recipient's public key (32) | ephemeral public key (32) | chunks

Each chunk holds 64 KiB of the content, the last one what is left (which may be nothing). Its nonce is its number and
whether it is the last, so that chunks cannot be moved, repeated, dropped or left off at the end; the bytes before the
chunks are the associated data of each. Every stream has a key of its own.
"""

from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MAGIC: Final = b"sallyport sealed stream 1\n"
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = len(_MAGIC) + 2 * _KEY_BYTES
CHUNK_BYTES: Final = 64 * 1024


class StreamBroken(Exception):
    """The stream does not open: another key, altered bytes, or it does not end where its writer ended it."""


class SealingWriter:
    """Encrypts what is written to it into `target`. Only `close` makes the stream whole; `target` stays open."""

    def __init__(self, target: BinaryIO, recipient: X25519PublicKey) -> None:
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        self._head = _MAGIC + recipient.public_bytes_raw() + public
        self._cipher = _cipher(ephemeral.exchange(recipient), self._head)
        self._target = target
        self._pending = bytearray()
        self._number = 0
        target.write(self._head)

    def write(self, data: bytes) -> int:
        """Take more content."""
        self._pending += data
        # One chunk stays back: it may turn out to be the last.
        while len(self._pending) > CHUNK_BYTES:
            self._seal(bytes(self._pending[:CHUNK_BYTES]), is_last=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._pending), is_last=True)
        self._pending.clear()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._number, is_last=is_last)
        self._target.write(self._cipher.encrypt(nonce, chunk, self._head))
        self._number += 1


class OpeningReader:
    """Decrypts `source`. What `read` gives is genuine; that nothing is missing is known when it has given its end."""

    def __init__(self, source: BinaryIO, private_key: X25519PrivateKey) -> None:
        """Raises StreamBroken when `source` is no sealed stream, or one for another key."""
        self._source = source
        self._head = source.read(_HEAD_BYTES)
        if len(self._head) != _HEAD_BYTES or not self._head.startswith(_MAGIC):
            raise StreamBroken("this is no sealed stream")
        recipient, ephemeral = self._head[len(_MAGIC) : -_KEY_BYTES], self._head[-_KEY_BYTES:]
        if recipient != private_key.public_key().public_bytes_raw():
            raise StreamBroken("the stream is sealed to another key")
        try:
            shared = private_key.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError:
            raise StreamBroken("the stream's beginning was altered") from None
        self._cipher = _cipher(shared, self._head)
        self._ahead = source.read(CHUNK_BYTES + _TAG_BYTES)
        self._open = b""
        self._number = 0
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer only at the end. Raises StreamBroken."""
        parts, wanted = [], size
        while wanted != 0 and (self._open or not self._is_over):
            if not self._open:
                self._open = self._next()
                continue
            part = self._open if wanted < 0 else self._open[:wanted]
            self._open = self._open[len(part) :]
            parts.append(part)
            wanted -= len(part) if wanted > 0 else 0
        return b"".join(parts)

    def finish(self) -> None:
        """Read to the end; raises StreamBroken when the stream does not end as its writer ended it."""
        while self.read(CHUNK_BYTES):
            pass

    def _next(self) -> bytes:
        chunk, self._ahead = self._ahead, self._source.read(CHUNK_BYTES + _TAG_BYTES)
        self._is_over = not self._ahead
        try:
            opened = self._cipher.decrypt(_nonce(self._number, is_last=self._is_over), chunk, self._head)
        except InvalidTag:
            raise StreamBroken("the stream was altered, or does not end where it ended") from None
        self._number += 1
        return opened


def _cipher(shared: bytes, head: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=_KEY_BYTES, salt=head, info=b"sallyport/sealed-stream/v1").derive(shared))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
