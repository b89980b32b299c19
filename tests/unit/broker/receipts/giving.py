"""A site that takes receipts, and a laptop that gives them."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from broker.receipts.model import Due
from broker.receipts.service import Receipts
from spa_knock.wire.receipt import Receipt, Signed, make
from spa_knock.wire.signature import DevicePrivateKey, signer
from tests.unit.broker.recordings.files import Recorded, leave_broken, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant
from tests.unit.spa_knock.wire.receipts import spki


@dataclass
class Giving:
    """Receipts on a plant; the laptop is the plant's own."""

    plant: Plant
    receipts: Receipts
    ended: int = 0

    def recorded(self, *, broken: bool = False) -> Recorded:
        """A session that has just ended."""
        one = open_recording_of(self.plant)
        self.ended += 1
        (leave_broken if broken else seal)(self.plant, one, self.ended)
        return one

    def due(self) -> list[Due]:
        device = self.plant.laptop.device
        return self.receipts.due(device.id, device.certificate_der)

    def signed(self, due: Due, key: DevicePrivateKey | None = None, **changes: Any) -> Signed:
        """What the laptop makes of what is due, with changes."""
        key = key or self.plant.laptop.private_key
        receipt = Receipt(**asdict(due), heads_seen=1, signed_at_ms=due.ended_ms + 1_000)
        return make(replace(receipt, **changes), spki(key), signer(key))

    def give(self, signed: Signed) -> str:
        device = self.plant.laptop.device
        return self.receipts.take(device.id, device.certificate_der, signed.line.decode()).state.value


def giving(plant: Plant) -> Giving:
    world = plant.world
    receipts = Receipts(
        world.database,
        world.clock,
        devices=world.devices,
        targets=world.targets,
        sessions=plant.sessions,
        recordings=plant.recordings,
        site=world.authorities.audience.hex(),
    )
    return Giving(plant, receipts)
