"""Key schedule of the knock: device keys, key ids, and the site's gate keys by day and epoch.

Everything is HKDF-SHA256 (RFC 5869) without salt. A client holds its own device key and day keys of the next month,
never the site key, so that a stolen client cannot pass the gate for ever.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spa_knock.wire.errors import PacketError

KEY_BYTES = 32
AUDIENCE_BYTES = 8
KID_BYTES = 8
GATE_KEY_BYTES = 8
EPOCH_SECONDS = 600
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """The keys that one device and the guard share for one site, derived from the device's knock key."""

    aead: bytes = field(repr=False)
    kid: bytes = field(repr=False)
    proof_base: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for key in (self.aead, self.kid, self.proof_base):
            require_length(key, KEY_BYTES, "derived key")

    @classmethod
    def derive(cls, k_dev: bytes, audience: bytes) -> "DeviceKeys":
        """Keys of the device with knock key `k_dev` (32 bytes) at the site with `audience` (8 bytes)."""
        require_length(k_dev, KEY_BYTES, "knock key")
        require_length(audience, AUDIENCE_BYTES, "audience")
        return cls(
            aead=expand(k_dev, b"sallyport/aead/v1" + audience, KEY_BYTES),
            kid=expand(k_dev, b"sallyport/kid/v1" + audience, KEY_BYTES),
            proof_base=expand(k_dev, b"sallyport/proof/v1" + audience, KEY_BYTES),
        )

    def key_id(self, epoch: int) -> bytes:
        """The 8 bytes that name this device in `epoch`; an observer cannot link them to another epoch's."""
        return hmac.digest(self.kid, epoch.to_bytes(8, "big"), "sha256")[:KID_BYTES]


def audience_of(root_spki_der: bytes) -> bytes:
    """The 8 bytes that name a site: the start of SHA-256 over its root certificate's DER SubjectPublicKeyInfo."""
    return hashlib.sha256(root_spki_der).digest()[:AUDIENCE_BYTES]


def epoch_at(unix_seconds: int) -> int:
    """The number of the ten-minute epoch that holds this second (UTC)."""
    return unix_seconds // EPOCH_SECONDS


def day_at(unix_seconds: int) -> int:
    """The number of the day (UTC, since 1970-01-01) that holds this second."""
    return unix_seconds // DAY_SECONDS


def day_of_epoch(epoch: int) -> int:
    """The day whose key derives the gate key of `epoch`; an epoch never spans two days."""
    return epoch * EPOCH_SECONDS // DAY_SECONDS


def day_key(site_key: bytes, day: int) -> bytes:
    """The 32-byte key that clients get for one day (number of the day since 1970-01-01, UTC)."""
    require_length(site_key, KEY_BYTES, "site key")
    return expand(site_key, b"sallyport/gate-day/v1" + day.to_bytes(4, "big"), KEY_BYTES)


def gate_key(day_key: bytes, epoch: int) -> bytes:
    """The 8-byte gate key of `epoch`. `day_key` must be that of `day_of_epoch(epoch)`; another gives a useless key."""
    require_length(day_key, KEY_BYTES, "day key")
    return expand(day_key, b"sallyport/gate/v1" + epoch.to_bytes(8, "big"), GATE_KEY_BYTES)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 without salt."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)


def require_length(value: bytes, length: int, name: str) -> None:
    """Raise PacketError unless `value` has exactly `length` bytes."""
    if len(value) != length:
        raise PacketError(f"a {name} of {len(value)} bytes; {length} are needed")
