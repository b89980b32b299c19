"""The gate: a keyed hash over a packet's clear bytes that sheds junk before any real cryptography.

HalfSipHash-1-3 with a 64-bit key and a 32-bit result. It keeps outsiders' junk cheap and is never the authentication.
Words are read and written big-endian (the reference reads little-endian), because a classic-BPF socket filter loads
big-endian words and shall be able to compute the same value.
"""

import hmac
from typing import Literal

from spa_knock.wire.keys import GATE_KEY_BYTES, require_length

GATED_BYTES = 20
TAG_BYTES = 4
_MASK = 0xFFFFFFFF


def gate_tag(gate_key: bytes, clear: bytes) -> bytes:
    """The 4-byte gate tag over the 20 clear bytes (key id and nonce) that start a packet."""
    require_length(clear, GATED_BYTES, "gated header")
    return half_sip_hash(gate_key, clear, compression=1, finalization=3, byte_order="big")


def gate_matches(gate_key: bytes, packet: bytes) -> bool:
    """Whether the tag at bytes 20..23 fits the 20 bytes before it. `packet` has at least 24 bytes."""
    return hmac.compare_digest(gate_tag(gate_key, packet[:GATED_BYTES]), packet[GATED_BYTES : GATED_BYTES + TAG_BYTES])


def half_sip_hash(
    key: bytes, message: bytes, *, compression: int, finalization: int, byte_order: Literal["little", "big"]
) -> bytes:
    """HalfSipHash-`compression`-`finalization` with a 32-bit result (Aumasson and Bernstein, halfsiphash.c).

    key: 8 bytes. byte_order: "little" gives the reference function.
    """
    require_length(key, GATE_KEY_BYTES, "gate key")
    k0 = int.from_bytes(key[:4], byte_order)
    k1 = int.from_bytes(key[4:], byte_order)
    state = (k0, k1, 0x6C796765 ^ k0, 0x74656462 ^ k1)
    whole = len(message) - len(message) % 4
    words = [int.from_bytes(message[start : start + 4], byte_order) for start in range(0, whole, 4)]
    # The last word carries the length in its top byte and the left-over bytes below it.
    words.append((len(message) & 0xFF) << 24 | int.from_bytes(message[whole:], byte_order))
    for word in words:
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _rounds(v0, v1, v2, v3 ^ word, compression)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    _v0, v1, _v2, v3 = _rounds(v0, v1, v2 ^ 0xFF, v3, finalization)
    return (v1 ^ v3).to_bytes(TAG_BYTES, byte_order)


def _rounds(v0: int, v1: int, v2: int, v3: int, count: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        v0 = (v0 + v1) & _MASK
        v1 = (v1 << 5 & _MASK | v1 >> 27) ^ v0
        v0 = v0 << 16 & _MASK | v0 >> 16
        v2 = (v2 + v3) & _MASK
        v3 = (v3 << 8 & _MASK | v3 >> 24) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = (v3 << 7 & _MASK | v3 >> 25) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = (v1 << 13 & _MASK | v1 >> 19) ^ v2
        v2 = v2 << 16 & _MASK | v2 >> 16
    return v0, v1, v2, v3
