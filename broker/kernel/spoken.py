"""Short codes that two people compare aloud: 40 bits in Crockford's base32, written 4-4."""

import hmac
from typing import Final

SPOKEN_BYTES: Final = 5
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREADINGS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_LONGEST_TYPED: Final = 40


def spoken(five_bytes: bytes) -> str:
    """The code of these 5 bytes, `XXXX-XXXX`.

    Raises ValueError for another length.
    """
    if len(five_bytes) != SPOKEN_BYTES:
        raise ValueError(f"a spoken code has {SPOKEN_BYTES} bytes, not {len(five_bytes)}")
    number = int.from_bytes(five_bytes, "big")
    characters = "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(35, -1, -5))
    return f"{characters[:4]}-{characters[4:]}"


def plain(typed: str) -> str:
    """A typed code without what does not matter: case, dashes, spaces, and the letters O, I, L for digits.

    What is longer than any code with its dashes and spaces becomes empty, which is no code.
    """
    return "" if len(typed) > _LONGEST_TYPED else typed.upper().translate(_MISREADINGS)


def same_spoken(expected: str, typed: str) -> bool:
    """Whether somebody typed this code, compared in constant time."""
    return hmac.compare_digest(plain(expected).encode(), plain(typed).encode())
