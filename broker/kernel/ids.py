"""Typed, prefixed, time-ordered ids: `<prefix>_<26 characters>`.

The 26 characters are 16 bytes in Crockford's base32 (lower case); the bytes are a UUID of version 7
(RFC 9562 section 5.7), so ids sort by the millisecond they were made in, and within one process by the order in which
they were made (section 6.2, method 2).
"""

import secrets
import threading
from datetime import datetime
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_RAW_BYTES: Final = 16
_TEXT_LENGTH: Final = 26
_TAIL_MASK: Final = (1 << 74) - 1


def new_id(prefix: str, at: datetime, random: bytes | None = None) -> str:
    """Make an id of this kind.

    `at` is the aware moment that orders it; `random` (10 bytes) is for tests, the operating system's otherwise.
    """
    milliseconds = int(at.timestamp() * 1000)
    number = _tails.next(milliseconds) if random is None else int.from_bytes(random, "big") & _TAIL_MASK
    high, low = number >> 62, number & (1 << 62) - 1
    tail = (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    return from_raw(prefix, milliseconds.to_bytes(6, "big") + tail.to_bytes(10, "big"))


class _Tails:
    """The 74 random bits of each id; in one millisecond each is a random step above the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = -1
        self._number = 0

    def next(self, milliseconds: int) -> int:
        with self._lock:
            stepped = self._number + 1 + secrets.randbits(32)
            if milliseconds != self._milliseconds or stepped > _TAIL_MASK:
                # The top bit stays free, so that a millisecond's steps have room.
                stepped = secrets.randbits(73)
            self._milliseconds, self._number = milliseconds, stepped
            return stepped


_tails: Final = _Tails()


def from_raw(prefix: str, raw_bytes: bytes) -> str:
    """The id of this kind whose 16 bytes these are."""
    if len(raw_bytes) != _RAW_BYTES:
        raise ValueError(f"an id has {_RAW_BYTES} bytes, not {len(raw_bytes)}")
    number = int.from_bytes(raw_bytes, "big")
    text = "".join(_ALPHABET[(number >> shift) & 31] for shift in range((_TEXT_LENGTH - 1) * 5, -1, -5))
    return f"{prefix}_{text}"


def raw(identifier: str) -> bytes:
    """The 16 bytes of an id.

    Raises ValueError when the text is no id.
    """
    _, separator, text = identifier.partition("_")
    if not separator or len(text) != _TEXT_LENGTH:
        raise ValueError("not an id: expected <prefix>_<26 characters>")
    number = 0
    for character in text:
        if character not in _VALUES:
            raise ValueError("not an id: it holds a character outside the alphabet")
        number = number << 5 | _VALUES[character]
    if number >> (_RAW_BYTES * 8):
        raise ValueError("not an id: its number is too large")
    return number.to_bytes(_RAW_BYTES, "big")


def is_id(prefix: str, identifier: str) -> bool:
    """Whether the text is a well-formed id of this kind."""
    if not identifier.startswith(f"{prefix}_"):
        return False
    try:
        raw(identifier)
    except ValueError:
        return False
    return True
