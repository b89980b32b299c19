import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from broker.app import firewall_check, plans
from broker.app.finding import State
from broker.app.firewall_check import chains_of_kernel, chains_of_text, judge_flushing, judge_others, judge_ours
from broker.app.settings import parse
from spa_knock.opener.config import parse_config
from spa_knock.opener.ruleset import render

_SETTINGS = parse(
    {
        "site": {"name": "demo"},
        "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
        "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
    }
)
_DOORS = {443, 22, 62201}


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, firewall_check.Chain]:
    path = tmp_path / "opener.json"
    path.write_text(json.dumps(plans.opener_configuration(_SETTINGS)))
    return chains_of_text(render(parse_config(path.read_text())))


def _base(table: str, name: str, hook: str, family: str = "inet", policy: str = "accept") -> dict[str, Any]:
    return {"chain": {"family": family, "table": table, "name": name, "hook": hook, "policy": policy}}


def _rule(table: str, chain: str, *parts: dict[str, Any], family: str = "ip") -> dict[str, Any]:
    return {"rule": {"family": family, "table": table, "chain": chain, "expr": list(parts)}}


def _dport(right: object) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}}


def _kernel(wanted: dict[str, firewall_check.Chain]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [{"metainfo": {}}, {"table": {"family": "inet", "name": "sallyport"}}]
    for name, chain in wanted.items():
        items.append(_base("sallyport", name, chain.hook, policy=chain.policy))
        items += [_rule("sallyport", name, {"drop": None}, family="inet")] * chain.rules
    return items


def test_the_opener_prints_every_base_chain_with_its_policy(wanted: dict[str, firewall_check.Chain]) -> None:
    told = {name: (chain.hook, chain.policy) for name, chain in wanted.items()}
    assert told["incoming"] == ("input", "drop")
    assert told["through"] == ("forward", "drop")
    assert told["outgoing"] == ("output", "accept")
    assert wanted["through"].rules == 0
    assert wanted["incoming"].rules > 8


def test_what_was_loaded_as_printed_is_ours(wanted: dict[str, firewall_check.Chain]) -> None:
    assert judge_ours(wanted, chains_of_kernel(_kernel(wanted)[1:])).state is State.OK


@pytest.mark.parametrize("change", [{"policy": "accept"}, {"rules": 9999}, {"hook": "output"}])
def test_a_chain_that_was_changed_is_named(wanted: dict[str, firewall_check.Chain], change: dict[str, Any]) -> None:
    found = {**wanted, "incoming": dataclasses.replace(wanted["incoming"], **change)}
    finding = judge_ours(wanted, found)
    assert (finding.state, "incoming" in finding.found) == (State.FAILED, True)


def test_rules_that_are_not_loaded_leave_every_port_open(wanted: dict[str, firewall_check.Chain]) -> None:
    finding = judge_ours(wanted, {})
    assert finding.state is State.FAILED
    assert "not loaded" in finding.found


def test_a_chain_that_was_added_is_named(wanted: dict[str, firewall_check.Chain]) -> None:
    finding = judge_ours(wanted, {**wanted, "more": firewall_check.Chain("input", "accept", 1)})
    assert "more" in finding.found


def test_a_host_with_our_table_alone_is_quiet(wanted: dict[str, firewall_check.Chain]) -> None:
    (finding,) = judge_others(_kernel(wanted), _DOORS)
    assert finding.state is State.OK


@pytest.mark.parametrize(
    ("items", "state", "words"),
    [
        ([_base("filter", "INPUT", "input", "ip"), {"chain": {"family": "ip", "table": "nat", "name": "DOCKER"}}],
         State.WARNING, "Docker has rules"),
        ([{"table": {"family": "inet", "name": "firewalld"}}], State.WARNING, "firewalld has rules"),
        ([{"chain": {"family": "ip", "table": "filter", "name": "ufw-user-input"}}], State.WARNING, "ufw has rules"),
        ([_rule("nat", "DOCKER", _dport(443), {"dnat": {"addr": "172.17.0.2"}})], State.FAILED, "port 443 elsewhere"),
        ([_rule("filter", "INPUT", _dport({"set": [80, 22]}), {"accept": None})], State.WARNING, "accepts port 22"),
        ([_rule("filter", "INPUT", _dport({"set": [{"range": [400, 500]}]}), {"accept": None})],
         State.WARNING, "accepts port 443"),
        ([_base("f", "in", "input", "ip"), _rule("f", "in", {"reject": {"type": "icmp"}})],
         State.WARNING, "not hidden"),
    ],
)  # fmt: skip
def test_other_rules_that_meddle_are_told(items: list[dict[str, Any]], state: State, words: str) -> None:
    findings = judge_others([{"metainfo": {}}, *items], _DOORS)
    assert (state, True) in [(finding.state, words in finding.found) for finding in findings]


def test_other_rules_that_do_not_meddle_are_not_told() -> None:
    items = [_rule("filter", "INPUT", _dport(8080), {"accept": None}), _rule("filter", "FORWARD", {"reject": None})]
    (finding,) = judge_others(items, _DOORS)
    assert finding.state is State.OK


def test_what_may_take_our_rules_away_is_told() -> None:
    assert judge_flushing([], flushes_at_reload=False) == []
    found = [finding.found for finding in judge_flushing(["ip_tables_names"], flushes_at_reload=True)]
    assert "flushes every table" in found[0]
    assert "iptables-legacy" in found[1]
