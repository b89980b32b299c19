import ipaddress
import itertools

from hypothesis import given
from hypothesis import strategies as st

from broker.boundary.canonical import (
    Action,
    Choice,
    Rule,
    Verdict,
    differences,
    host,
    in_words,
    names,
    networks,
    port_ranges,
)

ACCEPT = Action(Verdict.ACCEPT)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))), max_size=8))
def test_port_ranges_hold_the_same_ports_apart_from_each_other(ranges: list[tuple[int, int]]) -> None:
    merged = sorted(port_ranges(ranges))
    assert {p for low, high in merged for p in range(low, high + 1)} == {
        p for low, high in ranges for p in range(low, high + 1)
    }
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(merged))


def test_networks_of_both_versions_are_joined() -> None:
    found = networks(ipaddress.ip_network(text) for text in ("10.0.0.0/25", "10.0.0.128/25", "fd00::/64"))
    assert found == {ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::/64")}


def test_a_rule_belongs_to_an_ip_version_when_its_addresses_or_its_icmp_do() -> None:
    four, six = host(ipaddress.ip_address("10.0.0.1")), host(ipaddress.ip_address("fd00::1"))
    assert Rule(ACCEPT, source=four).family == 4
    assert Rule(ACCEPT, destination=six).family == 6
    assert Rule(ACCEPT, transport=names("icmp")).family == 4
    assert Rule(ACCEPT, transport=names("ipv6-icmp")).family == 6
    assert Rule(ACCEPT, transport=names("tcp")).family is None
    assert Rule(ACCEPT, source=Choice(four.values, negated=True)).family is None


def test_a_rule_is_told_in_one_line_with_everything_that_was_not_understood() -> None:
    rule = Rule(
        Action(Verdict.CALL, text="bypass"),
        inward=Choice(frozenset({"dmz0"}), negated=True),
        transport=names("tcp"),
        ports=Choice(frozenset({(22, 23), (3389, 3389)})),
        unread=("meta mark 1",),
    )
    assert in_words(rule) == "in not dmz0 tcp port 22-23,3389 and meta mark 1: jump bypass"
    assert in_words(Rule(ACCEPT)) == "every packet: accept"


def test_differences_name_the_conditions() -> None:
    assert differences(Rule(ACCEPT, inward=names("a")), Rule(Action(Verdict.DROP))) == ["inward", "action"]
    assert differences(Rule(ACCEPT), Rule(ACCEPT)) == []
