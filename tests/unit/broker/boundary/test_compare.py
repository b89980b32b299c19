import copy
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.boundary.check import check
from broker.boundary.compare import Findings, Kind
from broker.boundary.model import BrokerLeg, Format, OtherTraffic, ZonePlan
from broker.boundary.testing import a_plan, exported_iptables, exported_nftables, nft_text
from tests.examples import examples
from tests.unit.broker.boundary.plans import plans

IPTABLES = pytest.mark.parametrize("rules_format", [Format.IPTABLES, Format.IP6TABLES])
SETTINGS = examples(40)


def nft(document: dict[str, Any], plan: ZonePlan | None = None) -> Findings:
    return check(plan or a_plan(), nft_text(document), Format.NFTABLES)


def saved(lines: list[str], rules_format: Format = Format.IPTABLES, plan: ZonePlan | None = None) -> Findings:
    return check(plan or a_plan(), "\n".join(lines), rules_format)


def rule_positions(document: dict[str, Any]) -> list[int]:
    return [number for number, entry in enumerate(document["nftables"]) if "rule" in entry]


def a_foreign_chain(
    *expressions: list[dict[str, Any]], hook: str = "forward", kind: str = "filter"
) -> list[dict[str, Any]]:
    place = {"family": "inet", "table": "site"}
    hooked = {"name": "c", "handle": 1, "type": kind, "hook": hook, "prio": -10, "policy": "accept"}
    return [
        {"table": {"family": "inet", "name": "site", "handle": 9}},
        {"chain": place | hooked},
        *({"rule": place | {"chain": "c", "handle": 5, "expr": list(expression)}} for expression in expressions),
    ]


def dport(port: int) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}}


@SETTINGS
@given(plans())
def test_what_loaded_the_plan_has_no_findings(plan: ZonePlan) -> None:
    assert nft(exported_nftables(plan), plan).items == ()
    for rules_format in (Format.IPTABLES, Format.IP6TABLES):
        assert saved(exported_iptables(plan, rules_format), rules_format, plan).items == ()


@SETTINGS
@given(plans(), st.randoms(use_true_random=False))
def test_a_dropped_rule_is_found_wherever_it_was(plan: ZonePlan, chance: random.Random) -> None:
    document = exported_nftables(plan)
    del document["nftables"][chance.choice(rule_positions(document))]
    assert {item.kind for item in nft(document, plan).items} == {Kind.MISSING}
    lines = exported_iptables(plan)
    own = [n for n, line in enumerate(lines) if line.startswith("-A")]
    del lines[chance.choice(own)]
    assert {item.kind for item in saved(lines, plan=plan).items} == {Kind.MISSING}


@SETTINGS
@given(plans(), st.randoms(use_true_random=False), st.sampled_from(["accept", "drop", "return"]))
def test_an_added_rule_is_found_wherever_it_stands(plan: ZonePlan, chance: random.Random, verdict: str) -> None:
    document = exported_nftables(plan)
    where = chance.choice(rule_positions(document))
    rule = copy.deepcopy(document["nftables"][where])
    rule["rule"]["expr"] = [dport(chance.randint(1, 65535)), {"counter": None}, {verdict: None}]
    document["nftables"].insert(where, rule)
    assert {item.kind for item in nft(document, plan).items} == {Kind.EXTRA}
    lines = exported_iptables(plan)
    where = chance.choice([n for n, line in enumerate(lines) if line.startswith("-A sallyport_boundary")])
    lines.insert(where, f"-A {lines[where].split()[1]} -p tcp -m tcp --dport 7 -j {verdict.upper()}")
    assert {item.kind for item in saved(lines, plan=plan).items} == {Kind.EXTRA}


@SETTINGS
@given(plans(), st.randoms(use_true_random=False))
def test_a_doubled_rule_is_found(plan: ZonePlan, chance: random.Random) -> None:
    document = exported_nftables(plan)
    where = chance.choice(rule_positions(document))
    document["nftables"].insert(where, document["nftables"][where])
    assert [item.kind for item in nft(document, plan).items] == [Kind.EXTRA]


@SETTINGS
@given(plans(), st.randoms(use_true_random=False))
def test_a_changed_rule_is_found_whatever_was_changed(plan: ZonePlan, chance: random.Random) -> None:
    document = exported_nftables(plan)
    expression = document["nftables"][chance.choice(rule_positions(document))]["rule"]["expr"]
    number = chance.choice([n for n, part in enumerate(expression) if "counter" not in part])
    expression[number] = changed(expression[number])
    assert nft(document, plan).items != ()


@SETTINGS
@given(plans(), st.randoms(use_true_random=False))
def test_a_condition_taken_away_or_put_in_is_found(plan: ZonePlan, chance: random.Random) -> None:
    document = exported_nftables(plan)
    expression = document["nftables"][chance.choice(rule_positions(document))]["rule"]["expr"]
    conditions = [n for n, part in enumerate(expression) if "match" in part]
    if conditions and chance.random() < 0.5:
        del expression[chance.choice(conditions)]
    else:
        expression.insert(0, {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}})
    assert nft(document, plan).items != ()


@SETTINGS
@given(plans(), st.randoms(use_true_random=False))
def test_two_rules_in_each_others_place_are_found(plan: ZonePlan, chance: random.Random) -> None:
    document = exported_nftables(plan)
    forward = [n for n in rule_positions(document) if document["nftables"][n]["rule"]["chain"] == "forward"]
    one, other = chance.sample(forward, 2)
    objects = document["nftables"]
    objects[one], objects[other] = objects[other], objects[one]
    assert [item.kind for item in nft(document, plan).items] == [Kind.ORDER]


def changed(part: dict[str, Any]) -> dict[str, Any]:
    """The same statement, meaning something else."""
    ((kind, value),) = part.items()
    match kind:
        case "match" if value["right"] in ("reply", "related", "icmp", "ipv6-icmp"):
            return {"match": value | {"right": {"reply": "original", "related": "new"}.get(value["right"], "tcp")}}
        case "match":
            return {"match": value | {"op": "==" if value["op"] == "!=" else "!="}}
        case "limit":
            return {"limit": value | {"rate": value["rate"] + 1}}
        case "log":
            return {"log": value | {"prefix": "x"}}
        case "jump":
            return {"accept": None}
        case "drop":
            return {"accept": None}
        case _:
            return {"drop": None}


def test_a_changed_port_is_told_with_what_was_planned() -> None:
    (item,) = nft(
        exported_nftables(a_plan(extra_port=2223)), replace(a_plan(), guarded_ports=frozenset({2222, 2223, 22}))
    ).items[:1]
    assert item.kind is Kind.CHANGED
    assert "planned is" in item.message


def test_another_broker_address_is_found_in_every_rule_that_names_it() -> None:
    moved = replace(a_plan(), broker=BrokerLeg("dmz0", (a_plan().broker.addresses[1],)), zones=a_plan().zones[1:2])
    findings = nft(exported_nftables(a_plan()), moved)
    assert not findings.is_clean
    assert "10.1.0.2" in findings.in_words()


def test_a_firewall_without_the_table_says_so_once() -> None:
    (item,) = nft({"nftables": [{"metainfo": {}}]}).items
    assert item.kind is Kind.MISSING
    assert "None of the boundary's rules" in item.message


def test_a_base_chain_at_another_hook_priority_or_policy_is_found() -> None:
    for change in ({"prio": 10}, {"hook": "input"}, {"type": "nat"}):
        document = exported_nftables(a_plan())
        chain = next(e["chain"] for e in document["nftables"] if e.get("chain", {}).get("name") == "forward")
        chain.update(change)
        assert [item.kind for item in nft(document).items] == [Kind.CHANGED]
    plan = a_plan(other_traffic=OtherTraffic.DROP)
    document = exported_nftables(plan)
    next(e["chain"] for e in document["nftables"] if e.get("chain", {}).get("name") == "forward")["policy"] = "accept"
    assert [item.kind for item in nft(document, plan).items] == [Kind.CHANGED]


def test_a_table_with_flags_and_a_chain_too_many_are_found() -> None:
    document = exported_nftables(a_plan())
    document["nftables"][1]["table"]["flags"] = "dormant"
    document["nftables"].append(
        {"chain": {"family": "inet", "table": "sallyport_boundary", "name": "mine", "handle": 99}}
    )
    assert [item.kind for item in nft(document).items] == [Kind.CHANGED, Kind.EXTRA]


def test_an_accept_elsewhere_is_found_with_its_text_and_only_where_forwarded_packets_pass() -> None:
    accepting = [dport(22), {"accept": None}]
    (item,) = nft(exported_nftables(a_plan(), a_foreign_chain(accepting))).items
    assert (item.kind, item.place) == (Kind.EXTRA, "inet site c")
    assert "handle 5" in item.text
    assert "port 22" in item.text
    for others in (a_foreign_chain(accepting, hook="input"), a_foreign_chain([dport(502), {"accept": None}])):
        assert nft(exported_nftables(a_plan(), others)).is_clean


def test_a_redirect_to_a_management_port_and_a_way_around_the_rules_are_found() -> None:
    redirect = [dport(8022), {"dnat": {"addr": "10.2.0.5", "port": 22}}]
    around = [{"fwd": {"dev": "plant0"}}]
    for others in (a_foreign_chain(redirect, hook="prerouting", kind="nat"), a_foreign_chain(around, hook="ingress")):
        assert [item.kind for item in nft(exported_nftables(a_plan(), others)).items] == [Kind.EXTRA]


@IPTABLES
def test_iptables_rules_before_our_jump_are_out_of_order_and_behind_it_extra(rules_format: Format) -> None:
    lines = exported_iptables(a_plan(), rules_format)
    jump = lines.index("-A FORWARD -j sallyport_boundary_forward")
    accept = "-A FORWARD -i off0 -p tcp -m tcp --dport 22 -j ACCEPT"
    (before,) = saved([*lines[:jump], accept, *lines[jump:]], rules_format).items
    assert before.kind is Kind.ORDER
    assert accept in before.text
    assert "lets others reach" in before.message
    (behind,) = saved([*lines[: jump + 1], accept, *lines[jump + 1 :]], rules_format).items
    assert behind.kind is Kind.EXTRA
    harmless = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    assert saved([*lines[: jump + 1], harmless, *lines[jump + 1 :]], rules_format).is_clean
    assert [item.kind for item in saved([*lines[:jump], harmless, *lines[jump:]], rules_format).items] == [Kind.ORDER]


def test_a_jump_that_takes_only_some_packets_is_found() -> None:
    lines = [line.replace("FORWARD -j", "FORWARD ! -i off0 -j") for line in exported_iptables(a_plan())]
    (item,) = saved(lines).items
    assert item.kind is Kind.CHANGED
    assert "-I FORWARD 1" in item.message


def test_a_chain_of_ours_that_the_plan_does_not_know_is_found() -> None:
    lines = exported_iptables(a_plan())
    lines.insert(lines.index("*filter") + 1, ":sallyport_boundary_extra - [0:0]")
    assert [item.kind for item in saved(lines).items] == [Kind.EXTRA]


def test_iptables_without_our_rules_says_so_for_each_table() -> None:
    findings = saved(["*filter", ":FORWARD ACCEPT [0:0]", "COMMIT"])
    assert [item.kind for item in findings.items] == [Kind.MISSING, Kind.MISSING]


def test_a_redirect_of_iptables_is_found() -> None:
    lines = [
        *exported_iptables(a_plan()),
        *("*nat", ":PREROUTING ACCEPT [0:0]"),
        *("-A PREROUTING -i off0 -p tcp -m tcp --dport 8022 -j DNAT --to-destination 10.2.0.5:22", "COMMIT"),
    ]
    assert [item.kind for item in saved(lines).items] == [Kind.EXTRA]


def test_the_result_is_told_in_words() -> None:
    assert "exactly the planned rules" in nft(exported_nftables(a_plan())).in_words()
    document = exported_nftables(a_plan(), a_foreign_chain([{"accept": None}]))
    words = nft(json.loads(json.dumps(document))).in_words()
    assert words.startswith("1 finding:")
    assert "Remove it" in words
