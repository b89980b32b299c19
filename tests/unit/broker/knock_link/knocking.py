"""A device that knocks, as the guard would tell of it."""

import secrets
from ipaddress import IPv4Address

from broker.devices.testing import BuiltDevice
from broker.kernel.clock import from_milliseconds, milliseconds
from broker.kernel.ids import raw
from broker.knock_link.model import KnockFact
from spa_knock.wire.keys import DeviceKeys, day_at, day_key, epoch_at, gate_key
from spa_knock.wire.packet import Body, open_, seal
from spa_knock.wire.signature import signer
from tests.unit.broker.identities.world import SITE_KEY, World


def a_knock(
    world: World, built: BuiltDevice, *, door: int = 1, grant_id: str | None = None, address: str = "203.0.113.7"
) -> KnockFact:
    """A knock that this device signed, accepted now; it names its address."""
    now = int(world.clock.now().timestamp())
    audience = bytes.fromhex(world.devices.facts.audience_hex)
    keys = DeviceKeys.derive(built.knock_key, audience)
    body = Body(
        service=door,
        stamp_ms=milliseconds(world.clock.now()),
        address=IPv4Address(address),
        ttl_seconds=8,
        audience=audience,
        bind=bytes(32),
        grant=bytes(16) if grant_id is None else raw(grant_id),
    )
    nonce, epoch = secrets.token_bytes(12), epoch_at(now)
    gate = gate_key(day_key(SITE_KEY, day_at(now)), epoch)
    opened = open_(seal(body, keys, signer(built.private_key), gate, nonce, epoch), keys)
    return KnockFact(
        knock_id=nonce.hex(),
        device_id=built.device.id,
        door=door,
        grant_id=grant_id,
        address=address,
        window_seconds=8,
        at=from_milliseconds(body.stamp_ms),
        signed_knock=opened.signed_knock,
    )
