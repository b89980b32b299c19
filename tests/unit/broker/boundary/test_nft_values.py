import ipaddress
from typing import Any

import pytest

from broker.boundary.canonical import Action, Choice, Rule, Verdict, names
from broker.boundary.exported import Place
from broker.boundary.nft_values import Sets, redirect, with_match

PLACE = Place("inet", "filter", "forward")
BARE = Rule(Action(Verdict.GO_ON))
SETS = Sets(
    PLACE,
    {
        ("inet", "filter", "known"): {"elem": ["10.0.0.1", {"elem": {"val": "10.0.0.2", "comment": "x"}}]},
        ("inet", "filter", "moving"): {"flags": ["timeout"], "elem": ["10.0.0.1"]},
    },
)


def matched(left: dict[str, Any], right: object, operator: str = "==") -> Rule:
    return with_match(BARE, {"op": operator, "left": left, "right": right}, SETS)


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("10.0.0.1", ["10.0.0.1/32"]),
        ({"prefix": {"addr": "10.0.0.0", "len": 8}}, ["10.0.0.0/8"]),
        ({"range": ["10.0.0.0", "10.0.0.3"]}, ["10.0.0.0/30"]),
        ({"set": ["10.0.0.2", "10.0.0.3"]}, ["10.0.0.2/31"]),
        ("@known", ["10.0.0.1/32", "10.0.0.2/32"]),
    ],
)
def test_addresses_are_read_in_every_shape(right: object, expected: list[str]) -> None:
    found = matched(payload("ip", "saddr"), right).source
    assert found == Choice(frozenset(ipaddress.ip_network(text) for text in expected))


@pytest.mark.parametrize("right", ["@moving", "@unknown", "press-4.example", 7, {"prefix": {"addr": "x", "len": 1}}])
def test_addresses_that_cannot_be_known_leave_an_unread_condition(right: object) -> None:
    rule = matched(payload("ip", "saddr"), right)
    assert rule.source is None
    assert len(rule.unread) == 1


@pytest.mark.parametrize(
    ("operator", "right", "expected"),
    [
        ("==", 22, [(22, 22)]),
        ("==", {"range": [20, 30]}, [(20, 30)]),
        ("==", {"set": [22, {"range": [23, 30]}]}, [(22, 30)]),
        (">=", 1024, [(1024, 65535)]),
        ("<", 1024, [(0, 1023)]),
        (">", 1024, [(1025, 65535)]),
        ("<=", 1024, [(0, 1024)]),
    ],
)
def test_ports_are_read_in_every_shape_and_name_their_transport(
    operator: str, right: object, expected: list[tuple[int, int]]
) -> None:
    rule = matched(payload("tcp", "dport"), right, operator)
    assert rule.ports == Choice(frozenset(expected))
    assert rule.transport == names("tcp")
    assert matched(payload("th", "dport"), right, operator).transport is None


def test_states_interfaces_and_directions_are_read() -> None:
    assert matched({"ct": {"key": "state"}}, ["new", "established"], "in").states == names("new", "established")
    assert matched({"ct": {"key": "state"}}, "new", "!=").states == Choice(frozenset({"new"}), negated=True)
    assert matched({"ct": {"key": "direction"}}, "reply").direction == "reply"
    assert matched({"meta": {"key": "iif"}}, "lo").inward == names("lo")
    assert matched({"meta": {"key": "oifname"}}, {"set": ["a", "b*"]}).outward == names("a", "b*")


def test_conditions_that_look_at_less_than_ours_are_read_and_marked() -> None:
    assert matched({"meta": {"key": "iif"}}, "lo").unread == ("by the interface's number",)
    assert matched(payload("ip6", "nexthdr"), "tcp").unread == ("by the first header",)
    impossible = matched({"ct": {"key": "state"}}, ["new", "established"])
    assert (impossible.states, len(impossible.unread)) == (None, 1)


def test_a_second_condition_on_the_same_thing_is_kept_as_unread() -> None:
    once = matched({"meta": {"key": "iifname"}}, "a")
    again = with_match(once, {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "b"}, SETS)
    assert again.inward == names("a")
    assert len(again.unread) == 1


def test_a_concatenation_narrows_each_part_and_stays_marked_as_unread() -> None:
    left = {"concat": [payload("ip", "daddr"), payload("tcp", "dport")]}
    rule = matched(left, {"set": [{"concat": ["10.0.0.1", 22]}, {"concat": ["10.0.0.9", 23]}]})
    assert rule.ports == Choice(frozenset({(22, 23)}))
    assert rule.destination is not None
    assert len(rule.destination.values) == 2
    assert rule.unread
    assert matched(left, "@moving").ports is None


def test_a_redirect_is_read_with_its_address_and_port() -> None:
    action = redirect({"addr": "10.2.0.5", "port": 22})
    assert action.to_addresses == (ipaddress.ip_network("10.2.0.5"),)
    assert action.to_ports == ((22, 22),)
    assert redirect(None) == Action(Verdict.REDIRECT)
    unknown = redirect({"addr": {"map": {}}})
    assert (unknown.to_addresses, bool(unknown.text)) == ((), True)
