"""The rules as text for `nft -f`: one table of our own, replaced as a whole and undone by deleting it."""

from typing import Final

from broker.boundary.canonical import Action, Choice, Limit, PortRange, Rule, Verdict, ports_in_words
from broker.boundary.model import TABLE, Network, OtherTraffic, ZonePlan
from broker.boundary.rules import REFUSALS, ChainName, PlannedChain, planned_chains
from broker.boundary.wording import heading, quotable

_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_HOOKS: Final = {
    ChainName.ANTISPOOF: "type filter hook prerouting priority raw; policy accept;",
    ChainName.FORWARD: "type filter hook forward priority filter; policy {policy};",
}
_LONGEST_COMMENT_BYTES: Final = 120


def render_nftables(plan: ZonePlan) -> str:
    """The text to load with `nft -f FILE`, again and again: it replaces our table and touches no other."""
    lines = [
        "#!/usr/sbin/nft -f",
        *heading(plan, "nft -f FILE", ["nft delete table inet " + TABLE]),
        "",
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        "",
        f"table inet {TABLE} {{",
    ]
    policy = "drop" if plan.other_traffic is OtherTraffic.DROP else "accept"
    for chain in planned_chains(plan):
        lines.extend(_chain(chain, policy))
    lines.append("}")
    return "\n".join(lines) + "\n"


def undo_nftables() -> str:
    """The text that takes the rules away again, for `nft -f`."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def _chain(chain: PlannedChain, policy: str) -> list[str]:
    lines = [f"\tchain {chain.name.value} {{"]
    if chain.name in _HOOKS:
        lines.append("\t\t" + _HOOKS[chain.name].format(policy=policy))
    else:
        lines.append(f"\t\t# {REFUSALS[chain.name]}")
    lines.extend(
        f'\t\t{rule_text(planned.rule)} comment "{quotable(planned.purpose, _LONGEST_COMMENT_BYTES)}"'
        for planned in chain.rules
    )
    return [*lines, "\t}"]


def rule_text(rule: Rule) -> str:
    """One rule of ours in nft's words."""
    parts: list[str] = []
    if rule.inward is not None:
        parts.append(f"iifname {_interfaces(rule.inward)}")
    if rule.outward is not None:
        parts.append(f"oifname {_interfaces(rule.outward)}")
    for field, choice in (("saddr", rule.source), ("daddr", rule.destination)):
        if choice is not None:
            parts.append(_network(field, choice))
    if rule.transport is not None:
        transport = _only(rule.transport)
        if rule.ports is None:
            parts.append(f"meta l4proto {transport}")
        else:
            parts.append(f"{transport} dport {_ports(rule.ports)}")
    if rule.direction is not None:
        parts.append(f"ct direction {rule.direction}")
    if rule.states is not None:
        parts.append(f"ct state {','.join(sorted(rule.states.values))}")
    parts.append(_action(rule.action))
    return " ".join(parts)


def _interfaces(choice: Choice[str]) -> str:
    return f'{"!= " if choice.negated else ""}"{_only(choice)}"'


def _network(field: str, choice: Choice[Network]) -> str:
    (network,) = choice.values
    family = "ip" if network.version == 4 else "ip6"
    whole = network.prefixlen == network.max_prefixlen
    return f"{family} {field} {network.network_address if whole else network}"


def _ports(choice: Choice[PortRange]) -> str:
    words = ports_in_words(choice.values)
    return words if len(choice.values) == 1 else "{ " + words.replace(",", ", ") + " }"


def _action(action: Action) -> str:
    match action.verdict:
        case Verdict.ACCEPT | Verdict.DROP:
            return f"counter {action.verdict.value}"
        case Verdict.CALL:
            return f"counter jump {action.text}"
        case Verdict.LOG if action.limit is not None:
            return f'{_limit(action.limit)} log prefix "{action.text}" level info'
        case _:
            raise ValueError(f"no rule of ours has the action {action}")


def _limit(limit: Limit) -> str:
    return f"limit rate {limit.rate}/{_UNITS[limit.unit]} burst {limit.burst} packets"


def _only(choice: Choice[str]) -> str:
    (value,) = choice.values
    return value
