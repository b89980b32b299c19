"""The values in nft's JSON: what a match compares, and what stands in sets. Pure and without mercy for surprises."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from broker.boundary.canonical import Action, Choice, PortRange, Rule, Verdict, networks, port_ranges
from broker.boundary.exported import Place
from broker.boundary.model import Network

_MOST_PORT: Final = 65535


@dataclass(frozen=True)
class Sets:
    """The named sets and maps that a chain's rules may mean."""

    place: Place
    known: Mapping[tuple[str, str, str], Mapping[str, Any]]

    def elements(self, value: Any) -> list[Any] | None:
        """The elements of an anonymous or named set, or None when they may change by themselves or are not known."""
        if isinstance(value, dict) and "set" in value:
            return list(value["set"])
        if isinstance(value, str) and value.startswith("@"):
            found = self.known.get((self.place.family, self.place.table, value[1:]))
            flags = (found or {}).get("flags") or []
            if found is None or "timeout" in flags or "dynamic" in flags:
                return None
            return list(found.get("elem", []))
        return None


def with_match(rule: Rule, match: Mapping[str, Any], sets: Sets) -> Rule:
    """The rule with one more condition; one that cannot be said in canonical form becomes an unread condition."""
    left, right, operator = match["left"], match["right"], match["op"]
    field = _field(left)
    condition = None if field is None else _condition(field, operator, right, sets)
    if field is None or condition is None:
        narrowed = _from_concatenation(rule, left, operator, right, sets)
        text = json.dumps(dict(match), ensure_ascii=False, sort_keys=True)
        return replace(narrowed, unread=(*narrowed.unread, text[:400]))
    changed = rule
    if field.narrower:
        changed = replace(changed, unread=(*changed.unread, field.narrower))
    if field.transport is not None:
        changed = _narrowed(changed, "transport", Choice(frozenset({field.transport})))
    return _narrowed(changed, field.name, condition)


def redirect(value: Mapping[str, Any] | None) -> Action:
    """The new destination that `dnat`, `redirect` or `tproxy` gives; without addresses it may be any."""
    value = value or {}
    addresses, ports = _networks([value["addr"]]) if "addr" in value else None, None
    if "port" in value:
        ports = _ranges([value["port"]])
    text = "" if ("addr" not in value or addresses) and ("port" not in value or ports) else json.dumps(value)
    return Action(
        Verdict.REDIRECT,
        text=text,
        to_addresses=tuple(sorted(addresses or (), key=str)),
        to_ports=tuple(sorted(ports or ())),
    )


@dataclass(frozen=True)
class _Field:
    name: str
    kind: str
    transport: str | None = None
    narrower: str = ""
    """Why this looks at less than our own condition of the same name does."""


def _field(left: Any) -> _Field | None:
    match left:
        case {"meta": {"key": "iifname"}}:
            return _Field("inward", "word")
        case {"meta": {"key": "oifname"}}:
            return _Field("outward", "word")
        case {"meta": {"key": "iif"}}:
            return _Field("inward", "word", narrower="by the interface's number")
        case {"meta": {"key": "oif"}}:
            return _Field("outward", "word", narrower="by the interface's number")
        case {"meta": {"key": "l4proto"}}:
            return _Field("transport", "word")
        case {"payload": {"protocol": "ip", "field": "protocol"} | {"protocol": "ip6", "field": "nexthdr"}}:
            return _Field("transport", "word", narrower="by the first header")
        case {"payload": {"protocol": "ip" | "ip6", "field": "saddr"}}:
            return _Field("source", "network")
        case {"payload": {"protocol": "ip" | "ip6", "field": "daddr"}}:
            return _Field("destination", "network")
        case {"payload": {"protocol": "tcp" | "udp" as transport, "field": "dport"}}:
            return _Field("ports", "port", transport)
        case {"payload": {"protocol": "th", "field": "dport"}}:
            return _Field("ports", "port")
        case {"ct": {"key": "state", **others}} if not others:
            return _Field("states", "state")
        case {"ct": {"key": "direction", **others}} if not others:
            return _Field("direction", "direction")
        case _:
            return None


def _condition(field: _Field, operator: str, right: Any, sets: Sets) -> Any:
    if operator in (">=", ">", "<=", "<") and field.kind == "port" and isinstance(right, int):
        ranges = {
            ">=": (right, _MOST_PORT),
            ">": (right + 1, _MOST_PORT),
            "<=": (0, right),
            "<": (0, right - 1),
        }
        return Choice(port_ranges([ranges[operator]]))
    if operator not in ("==", "!=", "in"):
        return None
    values = _values(right, sets)
    if values is None:
        return None
    negated = operator == "!="
    match field.kind:
        case "word" if all(isinstance(value, str) for value in values):
            return Choice(frozenset(values), negated)
        case "state" if all(isinstance(value, str) for value in values):
            # `== a,b` asks for both at once, which no packet has; `in` asks for any of them.
            return None if operator == "==" and isinstance(right, list) else Choice(frozenset(values), negated)
        case "network":
            found = _networks(values)
            return None if found is None else Choice(found, negated)
        case "port":
            ports = _ranges(values)
            return None if ports is None else Choice(ports, negated)
        case "direction" if len(values) == 1 and isinstance(values[0], str) and not negated:
            return values[0]
        case _:
            return None


def _values(right: Any, sets: Sets) -> list[Any] | None:
    if isinstance(right, list):
        return right
    if isinstance(right, dict) and "set" not in right:
        return [right]
    if isinstance(right, dict) or (isinstance(right, str) and right.startswith("@")):
        elements = sets.elements(right)
        return None if elements is None else [_plain(element) for element in elements]
    return [right]


def _plain(element: Any) -> Any:
    """A set's element without its counter, comment or timeout."""
    return element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element


def _networks(values: list[Any]) -> frozenset[Network] | None:
    found: list[Network] = []
    for value in values:
        try:
            match value:
                case str():
                    found.append(ipaddress.ip_network(value))
                case {"prefix": {"addr": str() as address, "len": int() as length}}:
                    found.append(ipaddress.ip_network(f"{address}/{length}"))
                case {"range": [str() as first, str() as last]}:
                    found.extend(
                        ipaddress.summarize_address_range(ipaddress.ip_address(first), ipaddress.ip_address(last))
                    )
                case _:
                    return None
        except (ValueError, TypeError):
            return None
    return networks(found)


def _ranges(values: list[Any]) -> frozenset[PortRange] | None:
    found: list[PortRange] = []
    for value in values:
        match value:
            case bool():
                return None
            case int():
                found.append((value, value))
            case {"range": [int() as low, int() as high]}:
                found.append((low, high))
            case _:
                return None
    return port_ranges(found)


def _narrowed(rule: Rule, name: str, condition: Any) -> Rule:
    present = getattr(rule, name)
    if present is None:
        return replace(rule, **{name: condition})
    if present == condition:
        return rule
    return replace(rule, unread=(*rule.unread, f"{name} also {condition}"))


def _from_concatenation(rule: Rule, left: Any, operator: str, right: Any, sets: Sets) -> Rule:
    """Each part of `a . b` narrowed to the values that stand in its place anywhere: wider than the rule, never less."""
    if not (isinstance(left, dict) and "concat" in left) or operator not in ("==", "in"):
        return rule
    elements = sets.elements(right)
    if not elements:
        return rule
    rows = [_plain(element) for element in elements]
    if not all(isinstance(row, dict) and len(row.get("concat", ())) == len(left["concat"]) for row in rows):
        return rule
    for position, part in enumerate(left["concat"]):
        field = _field(part)
        column = {"set": [row["concat"][position] for row in rows]}
        condition = None if field is None else _condition(field, "==", column, sets)
        if field is not None and condition is not None:
            rule = _narrowed(rule, field.name, condition)
    return rule
