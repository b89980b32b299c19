"""Reads `nft -j list ruleset` (libnftables-json(5), schema version 1) into chains of canonical rules.

What is not understood is kept as an unread condition or an unknown verdict, never left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from broker.boundary import nft_values
from broker.boundary.canonical import Action, Limit, Rule, Verdict, in_words
from broker.boundary.errors import unreadable_export
from broker.boundary.exported import Export, Hook, LoadedChain, LoadedRule, Place
from broker.boundary.nft_values import Sets

_UNITS: Final = {"second": "s", "minute": "m", "hour": "h", "day": "d"}
_STATEMENTS_WITHOUT_EFFECT: Final = frozenset({"counter", "last"})
_HARMLESS_TARGETS: Final = frozenset(
    {"LOG", "NFLOG", "MARK", "CONNMARK", "CT", "TCPMSS", "CLASSIFY", "TRACE", "DSCP", "TTL", "HL", "CHECKSUM"}
    | {"MASQUERADE", "SNAT", "NETMAP", "REJECT", "DROP", "CONNSECMARK", "SECMARK", "SET", "RATEEST"}
)
_COMMENT_OF_IPTABLES: Final = {"type": "match", "name": "comment"}
_LONGEST_JSON: Final = 400


def parse_nftables(text: str) -> Export:
    """What the whole rule set holds. It must be the whole one: the proof needs other people's tables too.

    Raises Invalid `boundary.unreadable_export`.
    """
    try:
        document = json.loads(text)
        objects = list(document["nftables"])
        if not any("metainfo" in entry for entry in objects):
            raise unreadable_export("This is not the whole output of: nft -j list ruleset")
        return _export(objects)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise unreadable_export("This is not the whole output of: nft -j list ruleset") from None


def _export(objects: list[dict[str, Any]]) -> Export:
    chains: dict[Place, list[LoadedRule]] = {}
    hooks: dict[Place, Hook] = {}
    flagged: set[tuple[str, str]] = set()
    sets = {
        (entry["family"], entry["table"], entry["name"]): entry
        for wrapped in objects
        for kind, entry in wrapped.items()
        if kind in ("set", "map")
    }
    for wrapped in objects:
        for kind, entry in wrapped.items():
            match kind:
                case "table" if "flags" in entry:
                    # nft 1.0.6 prints the flags' words wrongly, so that there are flags is all that can be known.
                    flagged.add((entry["family"], entry["name"]))
                case "chain":
                    place = Place(entry["family"], entry["table"], entry["name"])
                    chains.setdefault(place, [])
                    if "hook" in entry:
                        hooks[place] = Hook(
                            entry.get("type", ""), entry["hook"], int(entry.get("prio", 0)), entry.get("policy", "")
                        )
                case "rule":
                    place = Place(entry["family"], entry["table"], entry["chain"])
                    chains.setdefault(place, []).extend(_rules(entry, place, Sets(place, sets)))
    return Export(
        {place: LoadedChain(place, hooks.get(place), tuple(rules)) for place, rules in chains.items()},
        frozenset(flagged),
    )


def _rules(entry: Mapping[str, Any], place: Place, sets: Sets) -> Iterator[LoadedRule]:
    """The canonical rules that one rule means: several when it holds a verdict map or several verdicts."""
    comment = f' "{entry["comment"]}"' if "comment" in entry else ""
    for rule in _meanings(entry["expr"], sets):
        yield LoadedRule(rule, f"{place} handle {entry.get('handle', '?')}{comment}: {in_words(rule)}")


def _meanings(statements: list[dict[str, Any]], sets: Sets) -> list[Rule]:
    conditions = Rule(Action(Verdict.GO_ON))
    limit: Limit | None = None
    meanings: list[Rule] = []
    for statement in statements:
        for kind, value in statement.items():
            if kind == "match":
                conditions = nft_values.with_match(conditions, value, sets)
            elif kind == "limit" and set(value) <= {"rate", "burst", "per"} and value.get("per") in _UNITS:
                limit = Limit(int(value["rate"]), _UNITS[value["per"]], int(value.get("burst", 5)))
            elif kind == "vmap":
                meanings.extend(_of_verdict_map(conditions, value, sets))
            elif kind in _STATEMENTS_WITHOUT_EFFECT or value == _COMMENT_OF_IPTABLES:
                continue
            else:
                action = _action(kind, value, limit)
                if action is None:
                    conditions = replace(conditions, unread=(*conditions.unread, _as_text(statement)))
                else:
                    meanings.append(replace(conditions, action=action))
                    limit = None
    if limit is not None:
        left_over = f"limit {limit.rate}/{limit.unit}"
        meanings = [replace(meaning, unread=(*meaning.unread, left_over)) for meaning in meanings or [conditions]]
    return meanings or [conditions]


def _action(kind: str, value: Any, limit: Limit | None) -> Action | None:
    """What a statement does with the packet; None for a statement that is neither verdict nor log."""
    match kind:
        case "accept":
            return _limited(Action(Verdict.ACCEPT), limit)
        case "drop" | "reject":
            return _limited(Action(Verdict.DROP, text="" if kind == "drop" else "with an answer"), limit)
        case "jump" | "goto":
            return _limited(Action(Verdict.CALL, text=value["target"]), limit)
        case "return" | "continue" | "masquerade" | "snat" | "notrack" | "mangle" | "flow":
            return _limited(Action(Verdict.GO_ON, text=kind), limit)
        case "log" if value is None or set(value) <= {"prefix", "level"}:
            return Action(Verdict.LOG, text=(value or {}).get("prefix", ""), limit=limit)
        case "dnat" | "redirect" | "tproxy":
            return _limited(nft_values.redirect(value), limit)
        case "fwd" | "dup" | "queue":
            return _limited(Action(Verdict.UNKNOWN, text=kind), limit)
        case "xt" if value is not None and value.get("type") == "target":
            name = str(value.get("name"))
            return Action(Verdict.GO_ON if name in _HARMLESS_TARGETS else Verdict.UNKNOWN, text=name)
        case _:
            return None


def _of_verdict_map(conditions: Rule, value: Mapping[str, Any], sets: Sets) -> list[Rule]:
    elements = sets.elements(value["data"])
    if elements is None:
        return [replace(conditions, action=Action(Verdict.UNKNOWN, text=_as_text(value)))]
    meanings = []
    for key, verdict in elements:
        ((kind, argument),) = verdict.items()
        action = _action(kind, argument, None) or Action(Verdict.UNKNOWN, text=_as_text(verdict))
        matched = nft_values.with_match(conditions, {"op": "==", "left": value["key"], "right": key}, sets)
        meanings.append(replace(matched, action=action))
    return meanings


def _limited(action: Action, limit: Limit | None) -> Action:
    return action if limit is None else replace(action, limit=limit)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)[:_LONGEST_JSON]
