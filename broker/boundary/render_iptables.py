"""The rules as text for `iptables-restore --noflush` and `ip6tables-restore --noflush`.

Our chains are filled anew, the built-in ones get one jump each, in the first place. The tools have no "insert unless
there": a second load leaves out the lines that begin with `-I`.
"""

from typing import Final

from broker.boundary.canonical import Action, Choice, PortRange, Rule, Verdict
from broker.boundary.model import TABLE, Format, ZonePlan
from broker.boundary.rules import REFUSALS, ChainName, PlannedChain, planned_chains
from broker.boundary.wording import heading, quotable

CHAINS: Final = {
    "raw": (ChainName.SPOOFED, ChainName.ANTISPOOF),
    "filter": (ChainName.BYPASS, ChainName.DIALOUT, ChainName.BEYOND, ChainName.OTHER, ChainName.FORWARD),
}
"""Which of our chains lie in which table, the called ones before their callers."""

ENTRANCES: Final = {"raw": ("PREROUTING", ChainName.ANTISPOOF), "filter": ("FORWARD", ChainName.FORWARD)}
"""The built-in chain of each table from which ours is entered."""

_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_LONGEST_COMMENT_BYTES: Final = 250


def chain_name(chain: ChainName) -> str:
    """What a chain of ours is called in iptables, which takes at most 28 letters."""
    return f"{TABLE}_{chain.value}"


def render_iptables(plan: ZonePlan, rules_format: Format = Format.IPTABLES) -> str:
    """The text for IPv4, or with `Format.IP6TABLES` for IPv6. Both must be loaded."""
    tool = rules_format.value
    lines = heading(
        plan,
        f"{tool}-restore --noflush FILE      (the first time)",
        [f"{tool}-restore --noflush <<END", *undo_iptables().splitlines(), "END"],
    )
    lines.insert(
        next(number for number, line in enumerate(lines) if line.startswith("# undo")),
        f"#           grep -v '^-I ' FILE | {tool}-restore --noflush      (to replace rules that are loaded)",
    )
    four = rules_format is Format.IPTABLES
    this, other = ("IPv4", "IPv6") if four else ("IPv6", "IPv4")
    lines.append(f"# These are the rules for {this}; those for {other} must be loaded as well.")
    chains = {chain.name: chain for chain in planned_chains(plan, rules_format)}
    for table, contained in CHAINS.items():
        lines.append(f"*{table}")
        lines.extend(f":{chain_name(name)} - [0:0]" for name in contained)
        for name in contained:
            lines.extend(_chain(chains[name]))
        builtin, ours = ENTRANCES[table]
        lines.extend([f"-I {builtin} 1 -j {chain_name(ours)}", "COMMIT"])
    return "\n".join(lines) + "\n"


def undo_iptables() -> str:
    """The text that takes the rules away again, for `iptables-restore --noflush` and `ip6tables-restore --noflush`."""
    lines: list[str] = []
    for table, contained in CHAINS.items():
        builtin, ours = ENTRANCES[table]
        lines.extend([f"*{table}", f"-D {builtin} -j {chain_name(ours)}"])
        lines.extend(f"-F {chain_name(name)}" for name in reversed(contained))
        lines.extend(f"-X {chain_name(name)}" for name in reversed(contained))
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _chain(chain: PlannedChain) -> list[str]:
    lines = [f"# {REFUSALS[chain.name]}"] if chain.name in REFUSALS else []
    for planned in chain.rules:
        comment = f'-m comment --comment "{quotable(planned.purpose, _LONGEST_COMMENT_BYTES)}"'
        lines.append(f"-A {chain_name(chain.name)} {rule_text(planned.rule, comment)}")
    return lines


def rule_text(rule: Rule, comment: str) -> str:
    """One rule of ours in iptables' words."""
    parts: list[str] = []
    for option, interface in (("-i", rule.inward), ("-o", rule.outward)):
        if interface is not None:
            parts.append(f"{'! ' if interface.negated else ''}{option} {_only(interface)}")
    for option, networks in (("-s", rule.source), ("-d", rule.destination)):
        if networks is not None:
            (network,) = networks.values
            parts.append(f"{option} {network}")
    if rule.transport is not None:
        transport = _only(rule.transport)
        parts.append(f"-p {transport}")
        if rule.ports is not None:
            parts.append(_ports(transport, rule.ports))
    if rule.states is not None:
        parts.append(f"-m conntrack --ctstate {','.join(sorted(rule.states.values)).upper()}")
        if rule.direction is not None:
            parts.append(f"--ctdir {rule.direction.upper()}")
    if rule.action.limit is not None:
        limit = rule.action.limit
        parts.append(f"-m limit --limit {limit.rate}/{_UNITS[limit.unit]} --limit-burst {limit.burst}")
    parts.extend([comment, _action(rule.action)])
    return " ".join(parts)


def _ports(transport: str, choice: Choice[PortRange]) -> str:
    words = ",".join(str(low) if low == high else f"{low}:{high}" for low, high in sorted(choice.values))
    if len(choice.values) == 1:
        return f"-m {transport} --dport {words}"
    return f"-m multiport --dports {words}"


def _action(action: Action) -> str:
    match action.verdict:
        case Verdict.ACCEPT | Verdict.DROP:
            return f"-j {action.verdict.name}"
        case Verdict.CALL:
            return f"-j {chain_name(ChainName(action.text))}"
        case Verdict.LOG:
            return f'-j LOG --log-prefix "{action.text}" --log-level info'
        case _:
            raise ValueError(f"no rule of ours has the action {action}")


def _only(choice: Choice[str]) -> str:
    (value,) = choice.values
    return value
