import ipaddress

import pytest

from broker.boundary.model import BrokerLeg, PlantZone
from broker.boundary.settings import BoundarySettings
from broker.kernel.errors import Conflict, Invalid
from broker.targets.testing import a_target, a_zone
from tests.unit.broker.identities.world import World

SETTINGS = BoundarySettings(
    broker=BrokerLeg("dmz0", (ipaddress.ip_address("10.1.0.2"),)),
    zones=(PlantZone("Press shop", "plant0", (ipaddress.ip_network("10.20.0.0/16"),)),),
)


def test_targets_become_endpoints_of_their_zone_and_equal_ones_are_one(world: World) -> None:
    zone = a_zone(world.database)
    for name in ("press-4", "press-4-service", "press-5"):
        a_target(world.database, name=name, zone=zone, address="10.20.0.5" if name == "press-5" else "10.20.0.4")
    (planned,) = SETTINGS.plan(world.targets.targets()).zones
    assert [(endpoint.name, str(endpoint.address), endpoint.port) for endpoint in planned.management] == [
        ("press-4 and 1 more", "10.20.0.4", 22),
        ("press-5", "10.20.0.5", 22),
    ]


def test_a_zone_with_targets_that_nobody_described_is_refused(world: World) -> None:
    a_target(world.database, zone=a_zone(world.database, "Paint shop"))
    with pytest.raises(Conflict) as refusal:
        SETTINGS.plan(world.targets.targets())
    assert (refusal.value.code, refusal.value.params) == ("boundary.zone_not_described", {"zone": "Paint shop"})


def test_a_target_outside_its_zones_prefixes_is_refused(world: World) -> None:
    a_target(world.database, zone=a_zone(world.database), address="10.30.0.4")
    with pytest.raises(Invalid):
        SETTINGS.plan(world.targets.targets())


def test_a_described_zone_without_targets_is_guarded_all_the_same() -> None:
    plan = SETTINGS.plan(())
    assert plan.guarded_in(plan.zones[0]) == {22, 23, 3306, 3389}
