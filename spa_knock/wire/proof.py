"""The connection proof: the first 48 bytes of every TCP connection to a hidden door.

    0   12  nonce of the knock that opened the door
   12    2  door number
   14    2  zero
   16   32  HMAC-SHA256(K_proof, "sallyport proof v1\\0" || nonce || door)

A SYN carries no key, so a neighbour behind the same address can finish a handshake; without this proof no byte of his
reaches a TLS, SSH or RDP parser, and no byte is sent to him. The client speaks first; one knock admits one connection.
"""

import hmac

from spa_knock.wire.errors import ProofError
from spa_knock.wire.keys import KEY_BYTES, DeviceKeys, expand, require_length
from spa_knock.wire.packet import NONCE_BYTES

PROOF_BYTES = 48
_CONTEXT = b"sallyport proof v1\0"
_MAC_OFFSET = 16


def proof_key(k_dev: bytes, audience: bytes, nonce: bytes) -> bytes:
    """The 32-byte key that proves a connection to belong to the knock with this nonce; it is useless for any other."""
    return derive_proof_key(DeviceKeys.derive(k_dev, audience), nonce)


def derive_proof_key(device_keys: DeviceKeys, nonce: bytes) -> bytes:
    """As `proof_key`, from keys that are already derived."""
    require_length(nonce, NONCE_BYTES, "nonce")
    return expand(device_keys.proof_base, nonce, KEY_BYTES)


def make_proof(k_dev: bytes, audience: bytes, nonce: bytes, door: int) -> bytes:
    """The 48 bytes that the client sends first."""
    return _proof(proof_key(k_dev, audience, nonce), nonce, door)


def proof_nonce(proof: bytes) -> bytes:
    """The nonce that a proof claims, to look up its key. Raises ProofError unless it has exactly 48 bytes."""
    if len(proof) != PROOF_BYTES:
        raise ProofError(f"a proof has {PROOF_BYTES} bytes, not {len(proof)}")
    return proof[:NONCE_BYTES]


def check_proof(proof: bytes, key: bytes, nonce: bytes, door: int) -> None:
    """Raise ProofError unless `proof` was made with `key` for exactly this knock and door. Compares in constant time.

    Does not know whether the knock was used before: the caller must take its expectation away with the first match.
    """
    proof_nonce(proof)
    if not hmac.compare_digest(proof, _proof(key, nonce, door)):
        raise ProofError("the connection does not prove the knock it names")


def _proof(key: bytes, nonce: bytes, door: int) -> bytes:
    require_length(key, KEY_BYTES, "proof key")
    require_length(nonce, NONCE_BYTES, "nonce")
    if not 1 <= door <= 0xFFFF:
        raise ProofError(f"door {door} is not in 1..65535")
    door_bytes = door.to_bytes(2, "big")
    return nonce + door_bytes + bytes(2) + hmac.digest(key, _CONTEXT + nonce + door_bytes, "sha256")
