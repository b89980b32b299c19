"""A site with devices that knock, for the guard's tests."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spa_knock.guard.roster import Assembly, KeyTable, Roster
from spa_knock.guard.rules import Address
from spa_knock.wire.ids import raw_id
from spa_knock.wire.keys import DeviceKeys, day_key, day_of_epoch, epoch_at, gate_key
from spa_knock.wire.packet import NO_GRANT, Body, seal
from spa_knock.wire.signature import signer

NOW_MS = 1_795_200_000_000
AUDIENCE = b"plant-01"
SITE_KEY = bytes(range(100, 132))
GRANT_ID = "grt_0123456789abcdefghjkmnpqrs"
BIND = hashlib.sha256(b"key").digest()
_nonces = itertools.count(1)


@dataclass
class Workstation:
    """A device as it is in the vendor's hands."""

    number: int = 1
    private_key: Ed25519PrivateKey = field(init=False)
    knock_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.private_key = Ed25519PrivateKey.from_private_bytes(bytes([self.number]) * 32)
        self.knock_key = bytes([100 + self.number]) * 32

    @property
    def device_id(self) -> str:
        return f"dev_{self.number:026d}"

    def entry(self, **changes: Any) -> dict[str, Any]:
        """Its entry in a roster."""
        spki = self.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        grant = {"grant_id": GRANT_ID, "door": 2, "not_before_ms": NOW_MS - 60_000, "not_after_ms": NOW_MS + 60_000}
        return {
            "device_id": self.device_id,
            "knock_key_b64": base64.b64encode(self.knock_key).decode(),
            "public_key_b64": base64.b64encode(spki).decode(),
            "mark": self.number,
            "allow_header_address": True,
            "doors": [1, 2],
            "not_after_ms": NOW_MS + 3_600_000,
            "grants": [grant],
            "binds_hex": [],
            **changes,
        }

    def knock(
        self,
        *,
        door: int = 1,
        stamp_ms: int = NOW_MS,
        address: Address | None = None,
        ttl_seconds: int = 8,
        grant_id: str | None = None,
        audience: bytes = AUDIENCE,
        bind: bytes = BIND,
        site_key: bytes = SITE_KEY,
        signing_key: Ed25519PrivateKey | None = None,
        epoch: int | None = None,
        loose_clock: bool = False,
    ) -> bytes:
        """A packet; each has another nonce."""
        body = Body(
            service=door,
            stamp_ms=stamp_ms,
            address=address,
            ttl_seconds=ttl_seconds,
            audience=audience,
            bind=bind,
            grant=raw_id(grant_id) if grant_id else NO_GRANT,
            loose_clock=loose_clock,
        )
        epoch = epoch_at(stamp_ms // 1000) if epoch is None else epoch
        return seal(
            body,
            DeviceKeys.derive(self.knock_key, AUDIENCE),
            signer(signing_key or self.private_key),
            gate_key(day_key(site_key, day_of_epoch(epoch)), epoch),
            hashlib.sha256(next(_nonces).to_bytes(8, "big")).digest()[:12],
            epoch,
        )


def roster_message(*devices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A roster in one part."""
    return {
        "v": 1,
        "type": "roster",
        "version": 1,
        "expires_at_ms": NOW_MS + 600_000,
        "part": 1,
        "parts": 1,
        "audience_hex": AUDIENCE.hex(),
        "site_keys_b64": [base64.b64encode(SITE_KEY).decode()],
        "devices": list(devices),
        **changes,
    }


def a_roster(*devices: dict[str, Any], **changes: Any) -> Roster:
    roster = Assembly().add(roster_message(*devices, **changes))
    assert roster is not None
    return roster


def a_table(*devices: dict[str, Any], now_ms: int = NOW_MS, **changes: Any) -> KeyTable:
    table = KeyTable(a_roster(*devices, **changes))
    table.cover(epoch_at(now_ms // 1000))
    return table
