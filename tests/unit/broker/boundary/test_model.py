import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given

from broker.boundary.model import BrokerLeg, Endpoint, OutsideNetwork, PlantZone, ZonePlan
from broker.boundary.testing import a_plan
from broker.kernel.errors import Invalid
from tests.examples import examples
from tests.unit.broker.boundary.plans import plans

ADDRESS, NETWORK = ipaddress.ip_address, ipaddress.ip_network


def a_zone(name: str = "press shop", interface: str = "plant0", prefix: str = "10.2.0.0/24") -> PlantZone:
    return PlantZone(name, interface, (NETWORK(prefix),))


def with_zones(*zones: PlantZone) -> ZonePlan:
    return replace(a_plan(), zones=zones)


@pytest.mark.parametrize(
    "name", ["", "lo", "eth 0", 'eth"0', "eth0*", "eth+", "-i", "a" * 16, "eth0;", "$x", "öö", "@x"]
)
def test_an_interface_that_could_mean_more_than_one_or_leave_its_quotes_is_refused(name: str) -> None:
    for build in (
        lambda: BrokerLeg(name, (ADDRESS("10.1.0.2"),)),
        lambda: a_zone(interface=name),
        lambda: OutsideNetwork("office", name),
    ):
        with pytest.raises(Invalid) as refusal:
            build()
        assert refusal.value.code == "boundary.unfit_plan"


@pytest.mark.parametrize("text", ["127.0.0.1", "224.0.0.1", "169.254.1.1", "fe80::1", "::", "::ffff:10.0.0.1"])
def test_an_address_that_is_no_single_machine_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        BrokerLeg("dmz0", (ADDRESS(text),))
    with pytest.raises(Invalid):
        Endpoint("press-4", ADDRESS(text), 22)


def test_zones_that_overlap_are_refused_also_behind_one_interface() -> None:
    with_zones(a_zone(), a_zone("paint", prefix="10.2.1.0/24"))
    for prefix in ("10.2.0.0/16", "10.2.0.128/25", "10.2.0.0/24"):
        with pytest.raises(Invalid, match="overlap"):
            with_zones(a_zone(), a_zone("paint", prefix=prefix))


def test_a_zone_that_holds_the_broker_or_everybody_is_refused() -> None:
    with pytest.raises(Invalid, match="lies in the zone"):
        with_zones(a_zone(prefix="10.1.0.0/16"))
    with pytest.raises(Invalid):
        a_zone(prefix="0.0.0.0/0")


def test_an_interface_that_leads_to_two_sides_is_refused() -> None:
    for changes in (
        {"zones": (a_zone(interface="dmz0"),)},
        {"zones": (a_zone(interface="off0"),)},
        {"outside": (OutsideNetwork("office", "dmz0"),)},
        {"outside": (OutsideNetwork("office", "off0"), OutsideNetwork("guests", "off0"))},
    ):
        with pytest.raises(Invalid):
            replace(a_plan(), **changes)


def test_a_target_outside_its_zone_or_listed_twice_is_refused() -> None:
    inside, outside = Endpoint("press-4", ADDRESS("10.2.0.5"), 22), Endpoint("x", ADDRESS("10.9.0.5"), 22)
    PlantZone("press shop", "plant0", (NETWORK("10.2.0.0/24"),), (inside,))
    for endpoints in ((outside,), (inside, replace(inside, name="again"))):
        with pytest.raises(Invalid):
            PlantZone("press shop", "plant0", (NETWORK("10.2.0.0/24"),), endpoints)


def test_a_target_that_the_broker_cannot_speak_to_is_refused() -> None:
    with pytest.raises(Invalid, match="IPv6"):
        replace(a_plan(), broker=BrokerLeg("dmz0", (ADDRESS("10.1.0.2"),)))


@pytest.mark.parametrize(
    "changes", [{"log_prefix": 'x"'}, {"log_prefix": "a" * 17}, {"guarded_ports": frozenset({0})}, {"zones": ()}]
)
def test_other_values_out_of_bounds_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        replace(a_plan(), **changes)  # type: ignore[arg-type]


def test_a_name_may_not_begin_a_new_line() -> None:
    for name in ("", " ", "a\nb", "a\u2028b", "x" * 81):
        with pytest.raises(Invalid):
            OutsideNetwork(name, "off0")


@examples(30)
@given(plans())
def test_the_ports_of_its_targets_are_always_guarded(plan: ZonePlan) -> None:
    for zone in plan.zones:
        assert plan.guarded_in(zone) >= {endpoint.port for endpoint in zone.management}
        assert zone.interface in plan.plant_interfaces
