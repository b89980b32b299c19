"""Ids as a knock carries them: the 16 bytes behind `<prefix>_<26 lower-case Crockford base32 digits>`."""

from spa_knock.wire.errors import PacketError

_DIGITS = {digit: value for value, digit in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}
_ID_BYTES = 16
_ID_DIGITS = 26
_PREFIX_CHARACTERS = 3


def raw_id(identifier: str) -> bytes:
    """The 16 bytes of an id such as a grant's. Raises PacketError when the text is no id."""
    prefix, separator, digits = identifier.partition("_")
    is_prefix = len(prefix) == _PREFIX_CHARACTERS and prefix.isascii() and prefix.isalpha() and prefix.islower()
    if not (separator and is_prefix and len(digits) == _ID_DIGITS and _DIGITS.keys() >= set(digits)):
        raise PacketError("not an id: <prefix>_<26 characters> is expected")
    number = 0
    for digit in digits:
        number = number << 5 | _DIGITS[digit]
    if number >> _ID_BYTES * 8:
        raise PacketError("not an id: its number is too large")
    return number.to_bytes(_ID_BYTES, "big")
