from dataclasses import replace

from hypothesis import given

from broker.boundary.canonical import Verdict
from broker.boundary.model import Format, OtherTraffic, ZonePlan
from broker.boundary.rules import MOST_PORTS_IN_RULE, REFUSALS, ChainName, PlannedRule, planned_chains
from broker.boundary.testing import a_plan
from tests.examples import examples
from tests.unit.broker.boundary.plans import plans


def rules_of(plan: ZonePlan, chain: ChainName, rules_format: Format = Format.NFTABLES) -> tuple[PlannedRule, ...]:
    return next(planned.rules for planned in planned_chains(plan, rules_format) if planned.name is chain)


@examples(40)
@given(plans())
def test_new_connections_are_accepted_from_the_brokers_interface_and_address_to_one_target_only(plan: ZonePlan) -> None:
    starting = [
        planned.rule
        for chain in planned_chains(plan)
        for planned in chain.rules
        if planned.rule.action.verdict is Verdict.ACCEPT
        and (planned.rule.states is None or "new" in planned.rule.states.values)
    ]
    endpoints = [(zone, endpoint) for zone in plan.zones for endpoint in zone.management]
    assert len(starting) == len(endpoints)
    for rule in starting:
        assert rule.inward is not None
        assert rule.inward.values == {plan.broker.interface}
        assert rule.source is not None
        assert {network.network_address for network in rule.source.values} <= set(plan.broker.addresses)
        assert all(network.num_addresses == 1 for network in rule.source.values)
        assert rule.destination is not None
        assert rule.transport is not None
        assert rule.ports is not None
        ((port, last),) = rule.ports.values
        (destination,) = rule.destination.values
        (transport,) = rule.transport.values
        assert port == last
        assert (destination.network_address, transport, port) in {
            (endpoint.address, endpoint.transport.value, endpoint.port) for _zone, endpoint in endpoints
        }


@examples(40)
@given(plans())
def test_every_guarded_port_is_refused_by_prefix_and_by_interface_before_anything_wider(plan: ZonePlan) -> None:
    refused = [p.rule for p in rules_of(plan, ChainName.FORWARD) if p.rule.action.text == ChainName.BYPASS.value]
    for zone in plan.zones:
        for port in plan.guarded_in(zone):
            for transport in ("tcp", "udp"):
                fitting = [
                    rule
                    for rule in refused
                    if rule.transport is not None
                    and rule.transport.values == {transport}
                    and rule.ports is not None
                    and any(low <= port <= high for low, high in rule.ports.values)
                ]
                assert any(r.outward is not None and r.outward.values == {zone.interface} for r in fitting)
                for prefix in zone.prefixes:
                    assert any(r.destination is not None and r.destination.values == {prefix} for r in fitting)
    assert all(rule.states is None for rule in refused)


@examples(40)
@given(plans())
def test_no_rule_has_more_ports_than_iptables_can_hold(plan: ZonePlan) -> None:
    for chain in planned_chains(plan):
        for planned in chain.rules:
            if planned.rule.ports is not None:
                cost = sum(1 if low == high else 2 for low, high in planned.rule.ports.values)
                assert 1 <= cost <= MOST_PORTS_IN_RULE


def test_the_order_of_the_plan_does_not_matter() -> None:
    plan = a_plan()
    turned = replace(
        plan,
        zones=tuple(replace(z, management=z.management[::-1], prefixes=z.prefixes[::-1]) for z in plan.zones[::-1]),
        outside=plan.outside[::-1],
        broker=replace(plan.broker, addresses=plan.broker.addresses[::-1]),
    )
    assert planned_chains(turned) == planned_chains(plan)


def test_the_two_iptables_formats_share_the_rules_between_them() -> None:
    plan = a_plan()
    both = {p.rule for chain in planned_chains(plan) for p in chain.rules}
    four = {p.rule for chain in planned_chains(plan, Format.IPTABLES) for p in chain.rules}
    six = {p.rule for chain in planned_chains(plan, Format.IP6TABLES) for p in chain.rules}
    assert four | six == both
    assert all(rule.family is None for rule in four & six)
    assert not any(rule.family == 6 for rule in four)


def test_only_a_firewall_for_maintenance_alone_ends_with_a_refusal_of_everything() -> None:
    last = {mode: rules_of(a_plan(other_traffic=mode), ChainName.FORWARD)[-1].rule for mode in OtherTraffic}
    assert last[OtherTraffic.DROP].action.text == ChainName.OTHER.value
    assert last[OtherTraffic.KEEP].action.text == ChainName.BEYOND.value


def test_every_refusal_logs_at_a_limited_rate_and_drops() -> None:
    for reason in REFUSALS:
        log, drop = (planned.rule.action for planned in rules_of(a_plan(log_prefix="p" * 16), reason))
        assert log.verdict is Verdict.LOG
        assert log.limit is not None
        assert len(log.text) <= 29
        assert drop.verdict is Verdict.DROP
