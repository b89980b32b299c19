"""Could a rule that is not ours let somebody other than the broker reach a management port? Wide where unsure."""

from dataclasses import replace
from typing import Final

from broker.boundary.canonical import Choice, PortRange, Rule, Verdict
from broker.boundary.exported import LoadedChain
from broker.boundary.model import Network, PlantZone, Transport, ZonePlan

_STARTING: Final = frozenset({"new", "invalid", "untracked"})
_MOST_LISTED_ADDRESSES: Final = 256


def opened_zone(rule: Rule, chain: LoadedChain, plan: ZonePlan) -> PlantZone | None:
    """The first zone in which this rule may let traffic reach a management port that the plan does not allow.

    None for rules that end in no acceptance, that only go on with connections which exist already, and for those that
    accept no more than the plan does.
    """
    if rule.action.verdict is Verdict.REDIRECT:
        action = rule.action
        rule = replace(
            rule,
            outward=None,
            destination=Choice(frozenset(action.to_addresses)) if action.to_addresses else None,
            ports=Choice(frozenset(action.to_ports)) if action.to_ports else (None if action.text else rule.ports),
        )
    elif rule.action.verdict not in (Verdict.ACCEPT, Verdict.UNKNOWN):
        return None
    if not _may_start(rule):
        return None
    version = {"ip": 4, "ip6": 6}.get(chain.place.family) or rule.family
    for zone in sorted(plan.zones, key=lambda zone: zone.name):
        if _touches(rule, zone, plan, version) and not _allowed(rule, zone, plan):
            return zone
    return None


def may_match_interface(choice: Choice[str] | None, interface: str) -> bool:
    """Whether a packet of this interface can match; a trailing * or + stands for any end of the name."""
    if choice is None:
        return True
    found = any(_named(pattern, interface) for pattern in choice.values)
    return found != choice.negated


def _may_start(rule: Rule) -> bool:
    if rule.direction == "reply":
        return False
    if rule.states is None or rule.states.negated:
        return True
    return bool(rule.states.values & _STARTING)


def _touches(rule: Rule, zone: PlantZone, plan: ZonePlan, version: int | None) -> bool:
    if not may_match_interface(rule.outward, zone.interface):
        return False
    if rule.inward is not None and not rule.inward.negated and rule.inward.values == {"lo"}:
        return False
    if not _may_carry(rule.transport):
        return False
    if not _ports_overlap(rule.ports, plan.guarded_in(zone)):
        return False
    if rule.destination is None:
        return version is None or rule.outward is not None or any(prefix.version == version for prefix in zone.prefixes)
    if rule.destination.negated:
        return not all(any(_within(prefix, other) for other in rule.destination.values) for prefix in zone.prefixes)
    if any(_overlap(prefix, other) for prefix in zone.prefixes for other in rule.destination.values):
        return True
    return rule.outward is not None and not rule.outward.negated


def _allowed(rule: Rule, zone: PlantZone, plan: ZonePlan) -> bool:
    """Whether everything the rule lets into the zone's management ports is what the plan lets in."""
    if rule.inward != Choice(frozenset({plan.broker.interface})):
        return False
    if rule.source is None or rule.source.negated or rule.destination is None or rule.destination.negated:
        return False
    broker = {int(address) for address in plan.broker.addresses}
    for network in rule.source.values:
        if network.prefixlen != network.max_prefixlen or int(network.network_address) not in broker:
            return False
    if sum(network.num_addresses for network in rule.destination.values) > _MOST_LISTED_ADDRESSES:
        return False
    known = {endpoint.key for endpoint in zone.management}
    transports = [transport for transport in Transport if _may_be(rule.transport, transport.value)]
    ports = [port for port in plan.guarded_in(zone) if _ports_overlap(rule.ports, frozenset({port}))]
    return all(
        (address, transport, port) in known
        for network in rule.destination.values
        for address in network
        for transport in transports
        for port in ports
    )


def _may_carry(transport: Choice[str] | None) -> bool:
    return any(_may_be(transport, one.value) for one in Transport)


def _may_be(choice: Choice[str] | None, value: str) -> bool:
    return choice is None or ((value in choice.values or "all" in choice.values) != choice.negated)


def _ports_overlap(choice: Choice[PortRange] | None, guarded: frozenset[int]) -> bool:
    if choice is None:
        return bool(guarded)
    return any(any(low <= port <= high for low, high in choice.values) != choice.negated for port in guarded)


def _named(pattern: str, interface: str) -> bool:
    if pattern.endswith(("*", "+")):
        return interface.startswith(pattern[:-1])
    return interface == pattern


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and (
        int(one.network_address) <= int(other.broadcast_address)
        and int(other.network_address) <= int(one.broadcast_address)
    )


def _within(one: Network, other: Network) -> bool:
    return one.version == other.version and (
        int(other.network_address) <= int(one.network_address)
        and int(one.broadcast_address) <= int(other.broadcast_address)
    )
