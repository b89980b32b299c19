import ipaddress
from typing import Any

import pytest

from broker.boundary.canonical import Action, Choice, Rule, Verdict, names
from broker.boundary.exported import Hook, LoadedChain, Place
from broker.boundary.reach import may_match_interface, opened_zone
from broker.boundary.testing import a_plan

ACCEPT = Action(Verdict.ACCEPT)
CHAIN = LoadedChain(Place("inet", "filter", "forward"), Hook("filter", "forward", 0, "accept"), ())


def nets(*texts: str, negated: bool = False) -> Any:
    return Choice(frozenset(ipaddress.ip_network(text) for text in texts), negated)


def ports(*values: int, negated: bool = False) -> Choice[tuple[int, int]]:
    return Choice(frozenset((value, value) for value in values), negated)


OPENING = [
    Rule(ACCEPT),
    Rule(ACCEPT, unread=("anything",)),
    Rule(Action(Verdict.UNKNOWN, text="queue")),
    Rule(ACCEPT, inward=names("off0")),
    Rule(ACCEPT, inward=names("off*"), transport=names("tcp"), ports=ports(22)),
    Rule(ACCEPT, inward=Choice(frozenset({"ven0"}), negated=True)),
    Rule(ACCEPT, destination=nets("10.0.0.0/8"), ports=ports(5900)),
    Rule(ACCEPT, destination=nets("192.168.0.0/16", negated=True)),
    Rule(ACCEPT, outward=names("plant0"), destination=nets("192.168.0.0/16")),
    Rule(ACCEPT, ports=ports(80, negated=True)),
    Rule(ACCEPT, states=names("new")),
    Rule(ACCEPT, states=names("untracked")),
    Rule(ACCEPT, states=Choice(frozenset({"established"}), negated=True)),
    Rule(ACCEPT, source=nets("10.1.0.2"), destination=nets("10.2.0.5"), transport=names("tcp"), ports=ports(22)),
    Rule(ACCEPT, inward=names("dmz0"), destination=nets("10.2.0.5"), transport=names("tcp"), ports=ports(22)),
    Rule(
        ACCEPT,
        inward=names("dmz0"),
        source=nets("10.1.0.0/24"),
        destination=nets("10.2.0.5"),
        transport=names("tcp"),
        ports=ports(22),
    ),
    Rule(ACCEPT, inward=names("dmz0"), source=nets("10.1.0.2"), destination=nets("10.2.0.5"), ports=ports(22)),
    Rule(ACCEPT, inward=names("dmz0"), source=nets("10.1.0.2"), destination=nets("10.2.0.5"), transport=names("tcp")),
    Rule(ACCEPT, inward=names("dmz0"), source=nets("10.1.0.2"), destination=nets("10.2.0.0/24"), ports=ports(22)),
    Rule(ACCEPT, inward=names("dmz0"), source=nets("10.1.0.2"), destination=nets("10.0.0.0/8"), ports=ports(22)),
    Rule(
        Action(Verdict.REDIRECT, to_addresses=tuple(nets("10.2.0.5").values), to_ports=((22, 22),)), ports=ports(8022)
    ),
    Rule(Action(Verdict.REDIRECT, text="somewhere"), ports=ports(8022)),
]
HARMLESS = [
    Rule(Action(Verdict.DROP)),
    Rule(Action(Verdict.GO_ON)),
    Rule(Action(Verdict.LOG)),
    Rule(Action(Verdict.CALL, text="x")),
    Rule(ACCEPT, states=names("established", "related")),
    Rule(ACCEPT, direction="reply"),
    Rule(ACCEPT, inward=names("lo")),
    Rule(ACCEPT, outward=names("off0")),
    Rule(ACCEPT, outward=names("wan*")),
    Rule(ACCEPT, transport=names("icmp")),
    Rule(ACCEPT, transport=names("tcp"), ports=ports(502, 4840)),
    Rule(ACCEPT, destination=nets("10.3.0.0/16")),
    Rule(ACCEPT, destination=nets("10.0.0.0/8", "fd00::/16", negated=True)),
    Rule(
        ACCEPT,
        inward=names("dmz0"),
        source=nets("10.1.0.2"),
        destination=nets("10.2.0.5"),
        transport=names("tcp"),
        ports=ports(22, 2222, 502),
    ),
    Rule(Action(Verdict.REDIRECT, to_addresses=tuple(nets("10.3.0.5").values)), ports=ports(22)),
    Rule(Action(Verdict.REDIRECT, to_addresses=tuple(nets("10.2.0.5").values)), ports=ports(8080)),
]


@pytest.mark.parametrize("rule", OPENING)
def test_a_rule_that_may_let_others_in_is_seen(rule: Rule) -> None:
    assert opened_zone(rule, CHAIN, a_plan()) is not None


@pytest.mark.parametrize("rule", HARMLESS)
def test_a_rule_that_cannot_let_others_in_is_left_alone(rule: Rule) -> None:
    assert opened_zone(rule, CHAIN, a_plan()) is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, True),
        (names("plant0"), True),
        (names("plant1"), False),
        (names("plant*"), True),
        (names("pl+"), True),
        (names("*"), True),
        (Choice(frozenset({"plant0"}), negated=True), False),
        (Choice(frozenset({"off0"}), negated=True), True),
    ],
)
def test_interfaces_match_by_name_and_by_beginning(choice: Choice[str] | None, expected: bool) -> None:
    assert may_match_interface(choice, "plant0") is expected
