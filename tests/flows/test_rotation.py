"""Keys change while somebody knocks all the time: registry, roster, the guard's judgement and the client, all real."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from broker.devices import rules
from broker.devices.testing import BuiltDevice
from broker.identities.model import Role
from broker.kernel.clock import milliseconds
from broker.knock_link.facts import DeviceRosterSource
from broker.knock_link.messages import roster_messages
from spa_knock.client.home import KnockState
from spa_knock.client.knocking import make_knock
from spa_knock.guard.roster import Assembly, KeyTable, Roster
from spa_knock.guard.rules import Accepted, Judgement, Stand, judge
from spa_knock.wire.keys import epoch_at
from tests.unit.broker.identities.world import World, a_world

SOURCE = ip_address("203.0.113.7")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = a_world(tmp_path)
    yield made
    made.database.close()


class Guard:
    """Judges by the roster it was last sent, as it comes out of control's own messages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._source = DeviceRosterSource(world.devices, list)
        self._table: KeyTable | None = None
        self._last_ms = 0

    def push(self) -> None:
        now, assembly = self._world.clock.now(), Assembly()
        roster: Roster | None = None
        for message in roster_messages(self._source.roster_facts(), milliseconds(now), now + timedelta(days=400)):
            roster = assembly.add(message)
        assert roster is not None
        self._table = KeyTable(roster)

    def judge(self, packet: bytes) -> Judgement:
        assert self._table is not None
        now_ms = milliseconds(self._world.clock.now())
        self._table.cover(epoch_at(now_ms // 1000))
        judged = judge(packet, SOURCE, Stand(self._table, {1, 2}, lambda _device: self._last_ms, 0, now_ms))
        if isinstance(judged, Accepted):
            self._last_ms = judged.body.stamp_ms
        return judged


class Laptop:
    """A client that knocks with what it has been given."""

    def __init__(self, world: World, built: BuiltDevice) -> None:
        self._world = world
        self._built = built
        self._number = 0
        self.knock_key = built.knock_key
        self.sign_in()

    def sign_in(self) -> None:
        self.day_keys = {one.day: one.key for one in self._world.devices.day_keys(self._world.clock.now())}

    def knock(self) -> bytes:
        self._number += 1
        self._world.clock.move(timedelta(milliseconds=50))
        return make_knock(
            KnockState(self.knock_key, self.day_keys),
            audience=bytes.fromhex(self._world.devices.facts.audience_hex),
            sign=self._built.private_key.sign,  # type: ignore[arg-type,call-arg]
            door=1,
            bind=b"b" * 32,
            grant=None,
            address=SOURCE,
            stamp_ms=milliseconds(self._world.clock.now()),
            nonce=self._number.to_bytes(12, "big"),
        ).packet


def a_laptop(world: World) -> tuple[BuiltDevice, Laptop]:
    built = world.device_of(world.somebody(), invited_by=world.somebody(Role.PLANT_ADMIN))
    return built, Laptop(world, built)


def test_no_knock_is_missed_while_the_site_key_changes(world: World) -> None:
    _, laptop = a_laptop(world)
    _, other = a_laptop(world)
    guards = Guard(world), Guard(world)

    def both_knock() -> None:
        for one, guard in zip((laptop, other), guards, strict=True):
            assert isinstance(guard.judge(one.knock()), Accepted)

    for guard in guards:
        guard.push()
    both_knock()
    world.devices.site_keys.rotate("system:host")
    laptop.sign_in()  # Before any guard has heard of it.
    both_knock()
    for guard in guards:
        guard.push()
    both_knock()
    world.clock.move(rules.SITE_KEY_LEAD)
    laptop.sign_in()
    both_knock()
    for _day in range(rules.DAYS_OF_GATE_KEYS - 1):  # The other one signs in once more on its last day.
        world.clock.move(timedelta(days=1))
        both_knock()
        laptop.sign_in()
    other.sign_in()
    world.clock.move(rules.SITE_KEY_OVERLAP - timedelta(days=rules.DAYS_OF_GATE_KEYS - 1))
    for guard in guards:
        guard.push()
    laptop.sign_in()
    both_knock()


def test_no_knock_is_missed_while_a_device_renews_itself_whatever_is_lost(world: World) -> None:
    built, laptop = a_laptop(world)
    guard = Guard(world)
    identity, old = built.device.id, built.device.certificate_der

    def knock() -> None:
        assert isinstance(guard.judge(laptop.knock()), Accepted)

    guard.push()
    knock()
    lost = world.devices.renew(identity, old, "x")
    guard.push()  # What the route waits for before it answers; the answer is lost.
    knock()
    renewal = world.devices.renew(identity, old, "x")
    assert renewal.knock_key == lost.knock_key
    guard.push()
    laptop.knock_key = renewal.knock_key  # Stored first; a crash before the certificate is stored changes nothing:
    knock()
    world.devices.verify_connection(identity, old)
    guard.push()
    knock()
    world.devices.verify_connection(identity, _leaf(renewal.certificate_pem))
    knock()  # The guard has not heard yet that the old key is void.
    guard.push()
    knock()
    laptop.knock_key = built.knock_key
    assert not isinstance(guard.judge(laptop.knock()), Accepted)


def _leaf(pem: str) -> bytes:
    from tests.unit.broker.devices.test_renewal import der_of

    return der_of(pem)
