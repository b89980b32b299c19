"""Builders for tests: a plan with everything in it, and what a firewall that loaded a plan would export.

Nothing here is used by the product. The exports are held against captured ones in tests/golden.
"""

import ipaddress
import json
from typing import Any, Final

from broker.boundary.canonical import Rule, Verdict
from broker.boundary.model import (
    TABLE,
    BrokerLeg,
    Endpoint,
    Format,
    OtherTraffic,
    OutsideNetwork,
    PlantZone,
    ZonePlan,
)
from broker.boundary.render_iptables import render_iptables
from broker.boundary.rules import ChainName, planned_chains

_HOOKS: Final = {
    ChainName.ANTISPOOF: {"type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"},
    ChainName.FORWARD: {"type": "filter", "hook": "forward", "prio": 0, "policy": "accept"},
}
_BUILTIN: Final = {"raw": ("PREROUTING", "OUTPUT"), "filter": ("INPUT", "FORWARD", "OUTPUT")}


def a_plan(
    *, other_traffic: OtherTraffic = OtherTraffic.KEEP, log_prefix: str = "sallyport", extra_port: int = 2222
) -> ZonePlan:
    """Two zones behind one interface and one behind another, both IP versions, two outside networks."""
    address, network = ipaddress.ip_address, ipaddress.ip_network
    return ZonePlan(
        broker=BrokerLeg("dmz0", (address("10.1.0.2"), address("fd00:1::2"))),
        zones=(
            PlantZone(
                "冲压车间 A",
                "plant0",
                (network("10.2.0.0/24"), network("fd00:2::/64")),
                (
                    Endpoint("press-4", address("10.2.0.5"), 22),
                    Endpoint("press-4-six", address("fd00:2::5"), 22),
                    Endpoint("press-5", address("10.2.0.5"), extra_port),
                ),
            ),
            PlantZone("Paint shop", "plant0", (network("10.2.1.0/24"),)),
            PlantZone("Body", "plant1", (network("10.4.0.0/16"),), (Endpoint("weld-1", address("10.4.0.1"), 5900),)),
        ),
        outside=(OutsideNetwork("office", "off0"), OutsideNetwork("vendor", "ven0")),
        other_traffic=other_traffic,
        log_prefix=log_prefix,
    )


def exported_nftables(plan: ZonePlan, others: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """`nft -j list ruleset` of a firewall with this plan, and with other objects behind it."""
    objects: list[dict[str, Any]] = [
        {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": TABLE, "handle": 1}},
    ]
    chains, handle = planned_chains(plan), 1
    for chain in chains:
        hook: dict[str, Any] = dict(_HOOKS.get(chain.name, {}))
        if chain.name is ChainName.FORWARD and plan.other_traffic is OtherTraffic.DROP:
            hook["policy"] = "drop"
        objects.append({"chain": {"family": "inet", "table": TABLE, "name": chain.name.value, "handle": handle} | hook})
        handle += 1
    for chain in chains:
        for planned in chain.rules:
            place = {"family": "inet", "table": TABLE, "chain": chain.name.value, "handle": handle}
            comment = planned.purpose.replace('"', "'")
            objects.append({"rule": place | {"comment": comment, "expr": nft_expressions(planned.rule)}})
            handle += 1
    return {"nftables": objects + (others or [])}


def nft_text(document: dict[str, Any]) -> str:
    """A document as nft prints it."""
    return json.dumps(document, ensure_ascii=False)


def exported_iptables(plan: ZonePlan, rules_format: Format = Format.IPTABLES) -> list[str]:
    """`iptables-save` of a firewall with this plan and nothing else, as lines."""
    lines: list[str] = []
    entrance = ""
    for line in render_iptables(plan, rules_format).splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("*"):
            lines.extend([line, *(f":{builtin} ACCEPT [0:0]" for builtin in _BUILTIN[line[1:]])])
            entrance = ""
        elif line.startswith("-I "):
            words = line.split()
            entrance = f"-A {words[1]} -j {words[4]}"
        elif line == "COMMIT":
            position = max(number for number, one in enumerate(lines) if one.startswith(":")) + 1
            lines.insert(position, entrance)
            lines.append(line)
        else:
            lines.append(line.replace("/second ", "/sec ").replace("--log-level info", "--log-level 6"))
    return lines


def nft_expressions(rule: Rule) -> list[dict[str, Any]]:
    """One rule of ours as nft's JSON."""
    parts: list[dict[str, Any]] = []
    for key, interface in (("iifname", rule.inward), ("oifname", rule.outward)):
        if interface is not None:
            (name,) = interface.values
            parts.append(_match({"meta": {"key": key}}, name, "!=" if interface.negated else "=="))
    for field, choice in (("saddr", rule.source), ("daddr", rule.destination)):
        if choice is not None:
            (network,) = choice.values
            whole = network.prefixlen == network.max_prefixlen
            right = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
            left = {"payload": {"protocol": "ip" if network.version == 4 else "ip6", "field": field}}
            parts.append(_match(left, str(network.network_address) if whole else right))
    if rule.transport is not None:
        (transport,) = rule.transport.values
        if rule.ports is None:
            parts.append(_match({"meta": {"key": "l4proto"}}, transport))
        else:
            ports: list[Any] = [
                low if low == high else {"range": [low, high]} for low, high in sorted(rule.ports.values)
            ]
            left = {"payload": {"protocol": transport, "field": "dport"}}
            parts.append(_match(left, ports[0] if len(ports) == 1 else {"set": ports}))
    if rule.direction is not None:
        parts.append(_match({"ct": {"key": "direction"}}, rule.direction))
    if rule.states is not None:
        states = sorted(rule.states.values)
        parts.append(_match({"ct": {"key": "state"}}, states[0] if len(states) == 1 else states, "in"))
    action = rule.action
    if action.limit is not None:
        parts.append({"limit": {"rate": action.limit.rate, "burst": action.limit.burst, "per": "second"}})
        return [*parts, {"log": {"prefix": action.text, "level": "info"}}]
    parts.append({"counter": {"packets": 0, "bytes": 0}})
    if action.verdict is Verdict.CALL:
        return [*parts, {"jump": {"target": action.text}}]
    return [*parts, {action.verdict.value: None}]


def _match(left: dict[str, Any], right: object, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}
