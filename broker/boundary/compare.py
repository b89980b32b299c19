"""What a firewall has loaded against what the plan says: the differences, in words an administrator can act on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeVar

from broker.boundary.canonical import Action, Rule, Verdict, differences, in_words
from broker.boundary.exported import Export, Hook, LoadedChain, LoadedRule, Place
from broker.boundary.model import TABLE, Format, OtherTraffic, ZonePlan
from broker.boundary.reach import opened_zone
from broker.boundary.render_iptables import CHAINS, ENTRANCES, chain_name
from broker.boundary.rules import ChainName, PlannedChain, PlannedRule, planned_chains

_MOST_DIFFERENCES_OF_CHANGED: Final = 3
_MOST_PAIRS: Final = 40_000
"""Beyond that, with another site's rules loaded for instance, a changed rule is told as one missing and one extra."""
_NFT_HOOKS: Final = {ChainName.ANTISPOOF: ("prerouting", -300), ChainName.FORWARD: ("forward", 0)}
_FORWARDED: Final = frozenset({"forward"})
_BEFORE_ROUTING: Final = frozenset({"prerouting", "ingress"})
_AROUND_THE_RULES: Final = frozenset({"fwd", "dup", "tproxy"})

RuleT = TypeVar("RuleT", PlannedRule, LoadedRule)


class Kind(Enum):
    """How what is loaded differs from the plan."""

    MISSING = "missing"
    EXTRA = "extra"
    CHANGED = "changed"
    ORDER = "order"


@dataclass(frozen=True)
class Finding:
    """One difference. `place` is the chain, `text` the rule it is about, `message` what it means and what to do."""

    kind: Kind
    place: str
    text: str
    message: str


@dataclass(frozen=True)
class Findings:
    """The result of a check; none means that the firewall does what the plan says."""

    format: Format
    items: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.items

    def in_words(self) -> str:
        """The result as text for a person, one paragraph a finding."""
        if self.is_clean:
            return (
                "The firewall has exactly the planned rules, and no other rule lets anybody reach management ports.\n"
            )
        lines = [f"{len(self.items)} finding{'s' if len(self.items) > 1 else ''}:"]
        for item in self.items:
            lines.append(f"\n{item.kind.value.upper()}  {item.place}\n  {item.message}")
            if item.text:
                lines.append(f"  rule: {item.text}")
        return "\n".join(lines) + "\n"


def compare(plan: ZonePlan, export: Export, rules_format: Format) -> Findings:
    """Every difference between the plan and what was exported, ours first, then other people's rules."""
    planned = planned_chains(plan, rules_format)
    items: list[Finding] = []
    if rules_format is Format.NFTABLES:
        items.extend(_nftables_frame(plan, export))
    else:
        items.extend(_iptables_frame(plan, export, rules_format))
    present = {place.table for place in export.chains if _own(place, rules_format) is not None}
    for chain in planned:
        place = _place(chain.name, rules_format)
        if place.table in present:
            loaded = export.chains.get(place)
            items.extend(_chain_differences(chain, place, loaded, rules_format))
    items.extend(_unplanned_chains(export, planned, rules_format))
    items.extend(_foreign(plan, export, rules_format))
    return Findings(rules_format, tuple(items))


def _nftables_frame(plan: ZonePlan, export: Export) -> Iterator[Finding]:
    """The table is there and awake, and its two base chains hang where they must."""
    if not any(_own(place, Format.NFTABLES) is not None for place in export.chains):
        yield Finding(
            Kind.MISSING, f"inet {TABLE}", "", "None of the boundary's rules are loaded. Load the rendered text."
        )
        return
    if ("inet", TABLE) in export.flagged:
        yield Finding(
            Kind.CHANGED,
            f"inet {TABLE}",
            "",
            "The table has flags that the plan does not give it; a dormant one does nothing. Load the rendered text.",
        )
    for name, (hook_name, priority) in _NFT_HOOKS.items():
        place = _place(name, Format.NFTABLES)
        loaded = export.chains.get(place)
        drops = name is ChainName.FORWARD and plan.other_traffic is OtherTraffic.DROP
        wanted = Hook("filter", hook_name, priority, "drop" if drops else "accept")
        if loaded is not None and loaded.hook != wanted:
            found = "no hook" if loaded.hook is None else _hook_words(loaded.hook)
            yield Finding(
                Kind.CHANGED,
                str(place),
                "",
                f"The chain must be at {_hook_words(wanted)}, but has {found}. Load the rendered text again.",
            )


def _iptables_frame(plan: ZonePlan, export: Export, rules_format: Format) -> Iterator[Finding]:
    """Our chains are entered first thing from the built-in ones, without conditions."""
    for table, (builtin, ours) in ENTRANCES.items():
        if not any(place.table == table and _own(place, rules_format) is not None for place in export.chains):
            yield Finding(
                Kind.MISSING,
                f"{rules_format.value} {table}",
                "",
                "None of the boundary's rules are loaded in this table. Load the rendered text.",
            )
            continue
        family = _place(ours, rules_format).family
        chain = export.chains.get(Place(family, table, builtin))
        rules = chain.rules if chain is not None else ()
        jump = Rule(Action(Verdict.CALL, text=chain_name(ours)))
        position = next((number for number, loaded in enumerate(rules) if loaded.rule == jump), None)
        place = f"{rules_format.value} {table} {builtin}"
        if position is None:
            changed = next((loaded for loaded in rules if loaded.rule.action.text == jump.action.text), None)
            yield Finding(
                Kind.MISSING if changed is None else Kind.CHANGED,
                place,
                "" if changed is None else changed.text,
                f"Not every packet enters {jump.action.text}. Insert the jump as the first rule: "
                f"{rules_format.value} -t {table} -I {builtin} 1 -j {jump.action.text}",
            )
        for loaded in rules[: position or 0]:
            if loaded.rule.action.text != jump.action.text:
                zone = None if chain is None else opened_zone(loaded.rule, chain, plan)
                effect = (
                    "" if zone is None else f", and lets others reach management ports of {zone.name} past our rules"
                )
                yield Finding(
                    Kind.ORDER,
                    place,
                    loaded.text,
                    f"This rule stands before the jump to {jump.action.text}{effect}. Move it behind.",
                )


def _chain_differences(
    planned: PlannedChain, place: Place, loaded: LoadedChain | None, rules_format: Format
) -> Iterator[Finding]:
    found = [_unprefixed(rule, rules_format) for rule in (loaded.rules if loaded is not None else ())]
    missing = _without(list(planned.rules), Counter(rule.rule for rule in found))
    extra = _without(found, Counter(rule.rule for rule in planned.rules))
    for wanted in list(missing) if len(missing) * len(extra) <= _MOST_PAIRS else []:
        likest = min(extra, key=lambda rule: len(differences(wanted.rule, rule.rule)), default=None)
        if likest is not None and len(differences(wanted.rule, likest.rule)) <= _MOST_DIFFERENCES_OF_CHANGED:
            missing.remove(wanted)
            extra.remove(likest)
            fields = ", ".join(differences(wanted.rule, likest.rule))
            yield Finding(
                Kind.CHANGED,
                str(place),
                likest.text,
                f'The rule "{wanted.purpose}" differs in {fields}; planned is: {in_words(wanted.rule)}',
            )
    for wanted in missing:
        yield Finding(
            Kind.MISSING,
            str(place),
            in_words(wanted.rule),
            f'The rule "{wanted.purpose}" is not loaded. Load the rendered text again.',
        )
    for rule in extra:
        yield Finding(Kind.EXTRA, str(place), rule.text, "The plan has no such rule. Remove it, or change the plan.")
    yield from _order(planned, place, found)


def _order(planned: PlannedChain, place: Place, found: Sequence[LoadedRule]) -> Iterator[Finding]:
    """The first rule that comes earlier than planned, of those that are both planned and loaded."""
    wanted_counts, found_counts = Counter(p.rule for p in planned.rules), Counter(rule.rule for rule in found)
    common = wanted_counts & found_counts
    wanted = _kept([p.rule for p in planned.rules], common)
    present = _kept([rule.rule for rule in found], common)
    for expected, actual in zip(wanted, present, strict=True):
        if expected != actual:
            text = next(rule.text for rule in found if rule.rule == actual)
            yield Finding(
                Kind.ORDER,
                str(place),
                text,
                f"This rule stands where the plan has: {in_words(expected)}. Load the rendered text again.",
            )
            return


def _unplanned_chains(export: Export, planned: Sequence[PlannedChain], rules_format: Format) -> Iterator[Finding]:
    """Chains under our name that the plan does not know."""
    known = {_place(chain.name, rules_format) for chain in planned}
    for chain in export.chains.values():
        if _own(chain.place, rules_format) is not None and chain.place not in known:
            text = "; ".join(rule.text for rule in chain.rules)
            yield Finding(Kind.EXTRA, str(chain.place), text, "The plan has no such chain. Remove it.")


def _foreign(plan: ZonePlan, export: Export, rules_format: Format) -> Iterator[Finding]:
    """Other people's rules that could let traffic reach management ports."""
    entrances = {
        Place(_place(ours, rules_format).family, table, builtin): Rule(Action(Verdict.CALL, text=chain_name(ours)))
        for table, (builtin, ours) in ENTRANCES.items()
    }
    behind = (
        "It opens nothing as long as the boundary's rules are whole, but it would at once without them. Remove it, or "
        "narrow it to the broker's interface, its address and the target's port."
    )
    for chain in export.reachable_from(_FORWARDED):
        if _own(chain.place, rules_format) is not None:
            continue
        entered = rules_format is Format.NFTABLES
        jump = entrances.get(chain.place)
        has_jump = any(loaded.rule == jump for loaded in chain.rules)
        for loaded in chain.rules:
            if loaded.rule == jump:
                entered = True
                continue
            if not entered and has_jump:
                continue  # already told as standing before the jump
            zone = opened_zone(loaded.rule, chain, plan)
            if zone is not None and loaded.rule.action.verdict is not Verdict.REDIRECT:
                unread = " (part of it could not be read)" if loaded.rule.unread else ""
                yield Finding(
                    Kind.EXTRA,
                    str(chain.place),
                    loaded.text,
                    f"This rule accepts what the plan does not: management ports of {zone.name}{unread}. {behind}",
                )
    for chain in export.reachable_from(_BEFORE_ROUTING):
        if _own(chain.place, rules_format) is not None:
            continue
        for loaded in chain.rules:
            action = loaded.rule.action
            if action.verdict is Verdict.UNKNOWN and action.text in _AROUND_THE_RULES:
                yield Finding(
                    Kind.EXTRA,
                    str(chain.place),
                    loaded.text,
                    "This rule sends packets on without passing the boundary's rules. Remove it.",
                )
            elif action.verdict is Verdict.REDIRECT:
                zone = opened_zone(loaded.rule, chain, plan)
                if zone is not None:
                    yield Finding(
                        Kind.EXTRA,
                        str(chain.place),
                        loaded.text,
                        f"This rule redirects others to management ports of {zone.name}. {behind}",
                    )


def _place(chain: ChainName, rules_format: Format) -> Place:
    if rules_format is Format.NFTABLES:
        return Place("inet", TABLE, chain.value)
    table = next(table for table, contained in CHAINS.items() if chain in contained)
    return Place("ip" if rules_format is Format.IPTABLES else "ip6", table, chain_name(chain))


def _own(place: Place, rules_format: Format) -> str | None:
    """What a chain of ours is called in the plan, or None for anybody else's."""
    if rules_format is Format.NFTABLES:
        return place.chain if (place.family, place.table) == ("inet", TABLE) else None
    prefix = TABLE + "_"
    return place.chain.removeprefix(prefix) if place.chain.startswith(prefix) else None


def _unprefixed(loaded: LoadedRule, rules_format: Format) -> LoadedRule:
    action = loaded.rule.action
    prefix = TABLE + "_"
    if rules_format is Format.NFTABLES or action.verdict is not Verdict.CALL or not action.text.startswith(prefix):
        return loaded
    named = replace(loaded.rule, action=replace(action, text=action.text.removeprefix(prefix)))
    return replace(loaded, rule=named)


def _without(rules: Sequence[RuleT], known: Counter[Rule]) -> list[RuleT]:
    """Those rules that are not among the known ones, each known one used once."""
    left, kept = Counter(known), []
    for rule in rules:
        if left[rule.rule] > 0:
            left[rule.rule] -= 1
        else:
            kept.append(rule)
    return kept


def _kept(rules: Sequence[Rule], counts: Counter[Rule]) -> list[Rule]:
    left, kept = Counter(counts), []
    for rule in rules:
        if left[rule] > 0:
            left[rule] -= 1
            kept.append(rule)
    return kept


def _hook_words(hook: Hook) -> str:
    return f"{hook.kind} {hook.name} priority {hook.priority} policy {hook.policy}"
