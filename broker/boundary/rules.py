"""From a plan to the rules, in their order, independent of the tool that loads them.

    antispoof  prerouting, before connection tracking: the broker's addresses come from the broker's interface only
    forward    1 the broker to exactly the targets' management ports   2 their answers, and errors about them
               3 nobody else to management ports, in whatever state    4 the plant starts no connection outwards
               5 the broker reaches nothing else in the plant          6 with "drop": nothing else at all
    others     one per reason for a refusal: a line in the log at a limited rate, then counted and dropped

Management ports are judged before anything is accepted for being established, so a connection that was open when the
rules were loaded, or one picked up in the middle, does not live on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from broker.boundary.canonical import (
    Action,
    Choice,
    Limit,
    PortRange,
    Rule,
    Verdict,
    host,
    names,
    port_ranges,
)
from broker.boundary.model import Address, Endpoint, Format, OtherTraffic, PlantZone, Transport, ZonePlan

LOG_LIMIT: Final = Limit(rate=10, unit="s", burst=20)
MOST_PORTS_IN_RULE: Final = 15
"""What iptables' multiport takes; a range counts as two."""


class ChainName(Enum):
    """Our chains; the last five are reasons for a refusal."""

    ANTISPOOF = "antispoof"
    FORWARD = "forward"
    SPOOFED = "spoofed"
    BYPASS = "bypass"
    DIALOUT = "dialout"
    BEYOND = "beyond"
    OTHER = "other"


REFUSALS: Final = {
    ChainName.SPOOFED: "somebody else uses the broker's address",
    ChainName.BYPASS: "maintenance past the broker",
    ChainName.DIALOUT: "the plant starts a connection outwards",
    ChainName.BEYOND: "the broker reaches beyond its targets",
    ChainName.OTHER: "traffic that this firewall does not carry",
}


@dataclass(frozen=True)
class PlannedRule:
    """A rule and what it is for."""

    rule: Rule
    purpose: str


@dataclass(frozen=True)
class PlannedChain:
    """A chain and its rules in order."""

    name: ChainName
    rules: tuple[PlannedRule, ...]


def planned_chains(plan: ZonePlan, rules_format: Format = Format.NFTABLES) -> tuple[PlannedChain, ...]:
    """The chains for this tool: the same rules, without those of the other IP version for iptables and ip6tables.

    Deterministic: the order in which zones, targets and networks stand in the plan does not matter.
    """
    skipped = {Format.NFTABLES: None, Format.IPTABLES: 6, Format.IP6TABLES: 4}[rules_format]
    chains = [
        *(_refusal(plan, reason) for reason in REFUSALS),
        PlannedChain(ChainName.ANTISPOOF, tuple(_antispoof(plan))),
        PlannedChain(ChainName.FORWARD, tuple(_forward(plan))),
    ]
    return tuple(
        PlannedChain(chain.name, tuple(p for p in chain.rules if skipped is None or p.rule.family != skipped))
        for chain in chains
    )


def _refusal(plan: ZonePlan, reason: ChainName) -> PlannedChain:
    log = Rule(Action(Verdict.LOG, text=f"{plan.log_prefix} {reason.value} ", limit=LOG_LIMIT))
    return PlannedChain(
        reason,
        (
            PlannedRule(log, f"log: {REFUSALS[reason]}"),
            PlannedRule(Rule(Action(Verdict.DROP)), f"drop: {REFUSALS[reason]}"),
        ),
    )


def _antispoof(plan: ZonePlan) -> Iterator[PlannedRule]:
    elsewhere = Choice(frozenset({plan.broker.interface}), negated=True)
    for address in sorted(plan.broker.addresses, key=_address_order):
        yield PlannedRule(
            Rule(_call(ChainName.SPOOFED), inward=elsewhere, source=host(address)),
            f"{address} is the broker's, and comes from {plan.broker.interface} only",
        )


def _forward(plan: ZonePlan) -> Iterator[PlannedRule]:
    zones = sorted(plan.zones, key=lambda zone: zone.name)
    for zone in zones:
        yield from _management(plan, zone)
    yield from _answers(plan)
    yield from _guarded_behind(plan)
    for zone in zones:
        yield from _guarded_prefixes(plan, zone)
    yield from _dial_out(plan)
    for address in sorted(plan.broker.addresses, key=_address_order):
        for interface in plan.plant_interfaces:
            yield PlannedRule(
                Rule(
                    _call(ChainName.BEYOND),
                    inward=names(plan.broker.interface),
                    outward=names(interface),
                    source=host(address),
                ),
                f"the broker reaches nothing else behind {interface}",
            )
    if plan.other_traffic is OtherTraffic.DROP:
        yield PlannedRule(Rule(_call(ChainName.OTHER)), "this firewall carries nothing else")


def _management(plan: ZonePlan, zone: PlantZone) -> Iterator[PlannedRule]:
    for endpoint in sorted(zone.management, key=_endpoint_order):
        for address in sorted(plan.broker.addresses, key=_address_order):
            if address.version == endpoint.address.version:
                yield PlannedRule(
                    Rule(
                        Action(Verdict.ACCEPT),
                        inward=names(plan.broker.interface),
                        outward=names(zone.interface),
                        source=host(address),
                        destination=host(endpoint.address),
                        transport=names(endpoint.transport.value),
                        ports=Choice(frozenset({(endpoint.port, endpoint.port)})),
                        states=names("new", "established"),
                    ),
                    f"broker to {endpoint.name}",
                )


def _answers(plan: ZonePlan) -> Iterator[PlannedRule]:
    for interface in plan.plant_interfaces:
        yield PlannedRule(
            Rule(
                Action(Verdict.ACCEPT),
                inward=names(interface),
                states=names("established", "related"),
                direction="reply",
            ),
            f"answers from behind {interface}",
        )
    for protocol in ("icmp", "ipv6-icmp"):
        yield PlannedRule(
            Rule(
                Action(Verdict.ACCEPT),
                inward=names(plan.broker.interface),
                transport=names(protocol),
                states=names("related"),
            ),
            "errors about the broker's connections, such as packet too big",
        )


def _guarded_behind(plan: ZonePlan) -> Iterator[PlannedRule]:
    for interface in plan.plant_interfaces:
        ports = frozenset[int]().union(*(plan.guarded_in(zone) for zone in plan.zones if zone.interface == interface))
        for transport in Transport:
            for chunk in _chunks(ports):
                yield PlannedRule(
                    Rule(
                        _call(ChainName.BYPASS),
                        outward=names(interface),
                        transport=names(transport.value),
                        ports=Choice(chunk),
                    ),
                    f"management ports behind {interface}: the broker only",
                )


def _guarded_prefixes(plan: ZonePlan, zone: PlantZone) -> Iterator[PlannedRule]:
    prefixes = sorted(zone.prefixes, key=lambda prefix: (prefix.version, int(prefix.network_address), prefix.prefixlen))
    for prefix in prefixes:
        for transport in Transport:
            for chunk in _chunks(plan.guarded_in(zone)):
                yield PlannedRule(
                    Rule(
                        _call(ChainName.BYPASS),
                        destination=Choice(frozenset({prefix})),
                        transport=names(transport.value),
                        ports=Choice(chunk),
                    ),
                    f"management ports of {zone.name}: the broker only",
                )


def _dial_out(plan: ZonePlan) -> Iterator[PlannedRule]:
    sides = [*((network.name, network.interface) for network in plan.outside), ("the broker", plan.broker.interface)]
    for interface in plan.plant_interfaces:
        for name, outward in sorted(sides):
            yield PlannedRule(
                Rule(_call(ChainName.DIALOUT), inward=names(interface), outward=names(outward)),
                f"plant behind {interface} starts no connection to {name}",
            )


def _call(chain: ChainName) -> Action:
    return Action(Verdict.CALL, text=chain.value)


def _chunks(ports: Iterable[int]) -> list[frozenset[PortRange]]:
    chunks: list[list[PortRange]] = []
    room = 0
    for low, high in sorted(port_ranges((port, port) for port in ports)):
        cost = 1 if low == high else 2
        if cost > room:
            chunks.append([])
            room = MOST_PORTS_IN_RULE
        chunks[-1].append((low, high))
        room -= cost
    return [frozenset(chunk) for chunk in chunks]


def _address_order(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def _endpoint_order(endpoint: Endpoint) -> tuple[int, int, str, int]:
    return endpoint.address.version, int(endpoint.address), endpoint.transport.value, endpoint.port
