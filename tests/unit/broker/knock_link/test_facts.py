from dataclasses import replace

import pytest

from broker.devices.testing import BuiltDevice
from broker.identities.model import Role
from broker.identities.testing import NOON
from broker.kernel.ids import new_id
from broker.knock_link.facts import DeviceRosterSource, Knocks
from broker.knock_link.model import RosterGrant
from tests.unit.broker.identities.world import SITE_KEY, World
from tests.unit.broker.knock_link.knocking import a_knock


@pytest.fixture
def built(world: World) -> BuiltDevice:
    return world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))


def test_a_knock_that_the_device_signed_is_kept_and_told(world: World, built: BuiltDevice) -> None:
    knocks = Knocks(world.database, world.devices)
    fact = a_knock(world, built, door=2, grant_id=new_id("grt", NOON))
    assert knocks.record(fact)
    assert knocks.find(fact.knock_id) == fact
    with world.database.reading() as session:
        assert knocks.find_within(session, fact.knock_id) == fact
    assert world.devices.get(built.device.id).last_knock_at == fact.at
    (record,) = world.trail()
    assert (record.code, record.subject, record.params["knock_id"]) == (
        "knock.accepted",
        built.device.id,
        fact.knock_id,
    )


def test_a_knock_told_twice_is_kept_once(world: World, built: BuiltDevice) -> None:
    knocks = Knocks(world.database, world.devices)
    fact = a_knock(world, built)
    assert knocks.record(fact)
    assert knocks.record(fact)
    assert world.codes() == ["knock.accepted"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signed_knock": bytes(176)}, "signature"),
        ({"knock_id": "00" * 12}, "knock_id"),
        ({"door": 2}, "door"),
        ({"grant_id": new_id("grt", NOON)}, "grant"),
        ({"device_id": new_id("dev", NOON)}, "unknown_device"),
        ({"address": "198.51.100.9"}, "address"),
    ],
)
def test_what_the_device_did_not_sign_is_not_kept_and_told_as_such(
    world: World, built: BuiltDevice, changes: dict[str, str], reason: str
) -> None:
    knocks = Knocks(world.database, world.devices)
    fact = replace(a_knock(world, built), **changes)  # type: ignore[arg-type]
    assert not knocks.record(fact)
    assert knocks.find(fact.knock_id) is None
    (record,) = world.trail()
    assert (record.code, record.params["reason"]) == ("knock.unproved", reason)


def test_another_devices_signature_does_not_count(world: World, built: BuiltDevice) -> None:
    other = world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))
    fact = replace(a_knock(world, other), device_id=built.device.id)
    assert not Knocks(world.database, world.devices).record(fact)


def test_the_roster_is_made_of_the_registry_and_the_live_grants(world: World, built: BuiltDevice) -> None:
    grant = RosterGrant(new_id("grt", NOON), built.device.id, 2, NOON, NOON)
    facts = DeviceRosterSource(world.devices, lambda: [grant]).roster_facts()
    assert facts.site_keys == (SITE_KEY,)
    assert facts.audience_hex == world.authorities.audience.hex()
    assert [entry.device_id for entry in facts.devices] == [built.device.id]
    assert facts.grants == (grant,)
