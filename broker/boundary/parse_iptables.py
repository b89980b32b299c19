"""Reads `iptables-save` and `ip6tables-save` (with or without counters) into chains of canonical rules.

What is not understood is kept as an unread condition or an unknown verdict, never left out.
"""

import ipaddress
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker.boundary.canonical import Action, Choice, Limit, PortRange, Rule, Verdict, networks, port_ranges
from broker.boundary.errors import unreadable_export
from broker.boundary.exported import Export, Hook, LoadedChain, LoadedRule, Place
from broker.boundary.model import Format, Network

_COUNTERS: Final = re.compile(r"\[\d+:\d+\]\s+")
_CHAIN: Final = re.compile(r":(\S+) (\S+)(?: \[\d+:\d+\])?")
_LIMIT: Final = re.compile(r"(\d+)/(s|m|h|d)[a-z]*")
_PRIORITIES: Final = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_BUILTIN: Final = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
_HARMLESS_TARGETS: Final = frozenset(
    {"RETURN", "NFLOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "CLASSIFY", "TRACE", "DSCP", "TTL", "HL"}
    | {"CHECKSUM", "MASQUERADE", "SNAT", "NETMAP", "CONNSECMARK", "SECMARK", "SET", "RATEEST", "TOS", "AUDIT"}
)
_REDIRECTS: Final = frozenset({"DNAT", "REDIRECT", "TPROXY"})
_PROTOCOL_NUMBERS: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}


def parse_iptables(text: str, rules_format: Format = Format.IPTABLES) -> Export:
    """What one of the two tools saved; the other IP version needs a check of its own.

    Raises Invalid `boundary.unreadable_export`.
    """
    family = "ip" if rules_format is Format.IPTABLES else "ip6"
    chains: dict[Place, list[LoadedRule]] = {}
    hooks: dict[Place, Hook] = {}
    table = ""
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        chain = _CHAIN.fullmatch(line)
        if line.startswith("*"):
            table = line[1:]
        elif line == "COMMIT":
            table = ""
        elif chain is not None and table:
            place = Place(family, table, chain[1])
            chains.setdefault(place, [])
            if chain[1] in _BUILTIN:
                hooks[place] = Hook("filter", chain[1].lower(), _PRIORITIES.get(table, 0), chain[2].lower())
        elif table:
            _read_rule(_COUNTERS.sub("", line, count=1) if line.startswith("[") else line, family, table, chains)
        else:
            raise _not_saved(rules_format)
    if not chains or table:
        raise _not_saved(rules_format)
    return Export({place: LoadedChain(place, hooks.get(place), tuple(rules)) for place, rules in chains.items()})


def _read_rule(line: str, family: str, table: str, chains: dict[Place, list[LoadedRule]]) -> None:
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if len(words) < 2 or words[0] != "-A":
        raise unreadable_export(f"This line is no rule as iptables-save writes it: {line[:200]}")
    place = Place(family, table, words[1])
    if place not in chains:
        raise unreadable_export(f"The chain {words[1]} has rules but was not declared in table {table}.")
    declared = frozenset(known.chain for known in chains if known.table == table)
    chains[place].append(LoadedRule(_Reading(words[2:], declared).rule(), f"{table}: {line}"))


@dataclass
class _Reading:
    """One rule's options, read from the left."""

    words: list[str]
    declared: frozenset[str]
    position: int = 0
    conditions: Rule = field(default_factory=lambda: Rule(Action(Verdict.GO_ON)))
    target: str = ""
    target_options: dict[str, str] = field(default_factory=dict)
    rate: tuple[int, str] | None = None
    burst: int = 5

    def rule(self) -> Rule:
        while self.position < len(self.words):
            negated = self._taken("!")
            option = self._next()
            if self.target:
                self.target_options[option] = " ".join(self._values())
            elif option in ("-j", "-g"):
                self.target = self._next()
            elif option in ("-m", "--comment"):
                self._next()
            elif option == "--limit" and not negated and _LIMIT.fullmatch(self._peek()):
                found = _LIMIT.fullmatch(self._next())
                self.rate = (int(found[1]), found[2]) if found else None
            elif option == "--limit-burst" and not negated and self._peek().isdigit():
                self.burst = int(self._next())
            else:
                self._condition(option, negated=negated)
        action = self._action()
        if self.rate is not None:
            action = replace(action, limit=Limit(*self.rate, self.burst))
        return replace(self.conditions, action=action)

    def _condition(self, option: str, *, negated: bool) -> None:
        values = self._values()
        text = " ".join([*(["!"] if negated else []), option, *values])
        condition = _condition(option, values[0], negated=negated) if len(values) == 1 else None
        if condition is not None and getattr(self.conditions, condition[0]) is None:
            self.conditions = replace(self.conditions, **dict([condition]))
        else:
            self.conditions = replace(self.conditions, unread=(*self.conditions.unread, text))

    def _action(self) -> Action:
        options = self.target_options
        match self.target:
            case "":
                return Action(Verdict.GO_ON)
            case "ACCEPT":
                return Action(Verdict.ACCEPT)
            case "DROP":
                return Action(Verdict.DROP)
            case "REJECT":
                return Action(Verdict.DROP, text="with an answer")
            case "LOG":
                return Action(Verdict.LOG, text=options.get("--log-prefix", ""))
            case name if name in self.declared:
                return Action(Verdict.CALL, text=name)
            case name if name in _REDIRECTS:
                return _redirect(options.get("--to-destination"), options.get("--to-ports") or options.get("--on-port"))
            case name if name in _HARMLESS_TARGETS:
                return Action(Verdict.GO_ON, text=name)
            case name:
                return Action(Verdict.UNKNOWN, text=name)

    def _values(self) -> list[str]:
        start = self.position
        while self.position < len(self.words) and not _is_option(self.words[self.position]):
            self.position += 1
        return self.words[start : self.position]

    def _next(self) -> str:
        word = self._peek()
        self.position += 1
        return word

    def _peek(self) -> str:
        return self.words[self.position] if self.position < len(self.words) else ""

    def _taken(self, word: str) -> bool:
        taken = self._peek() == word
        self.position += taken
        return taken


def _condition(option: str, value: str, *, negated: bool) -> tuple[str, Any] | None:
    """The name and value of a canonical condition, or None for an option that is no such condition."""
    if option == "--ctdir":
        return None if negated else ("direction", value.lower())
    if option not in _READERS:
        return None
    name, read = _READERS[option]
    found = read(value)
    return (name, Choice(found, negated)) if found else None


def _is_option(word: str) -> bool:
    return word == "!" or (word.startswith("-") and not word.lstrip("-").isdigit() and len(word) > 1)


def _networks(text: str) -> frozenset[Network]:
    try:
        return networks(ipaddress.ip_network(part) for part in text.split(","))
    except ValueError:
        return frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset({text})


def _lower_words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split(","))


def _transport(text: str) -> frozenset[str]:
    return frozenset({_PROTOCOL_NUMBERS.get(text, text)})


def _ports(text: str) -> frozenset[PortRange]:
    found: list[PortRange] = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        if not low.isdigit() or not (high or low).isdigit():
            return frozenset()
        found.append((int(low), int(high or low)))
    return port_ranges(found)


_READERS: Final[dict[str, tuple[str, Callable[[str], frozenset[Any]]]]] = {
    "-i": ("inward", _words),
    "-o": ("outward", _words),
    "-s": ("source", _networks),
    "-d": ("destination", _networks),
    "-p": ("transport", _transport),
    "--dport": ("ports", _ports),
    "--dports": ("ports", _ports),
    "--ctstate": ("states", _lower_words),
    "--state": ("states", _lower_words),
}


def _redirect(destination: str | None, ports: str | None) -> Action:
    addresses: tuple[Network, ...] = ()
    text = " ".join(word for word in (destination, ports) if word)
    host, port = destination or "", ports or ""
    if destination and (destination.startswith("[") or destination.count(":") == 1):
        host, _, found = destination.rpartition(":") if not destination.endswith("]") else (destination, "", "")
        port = found or port
    try:
        if host:
            first, _, last = host.strip("[]").partition("-")
            addresses = tuple(
                ipaddress.summarize_address_range(ipaddress.ip_address(first), ipaddress.ip_address(last or first))
            )
    except (ValueError, TypeError):
        addresses = ()
    return Action(
        Verdict.REDIRECT, text=text, to_addresses=addresses, to_ports=tuple(sorted(_ports(port.replace("-", ":"))))
    )


def _not_saved(rules_format: Format) -> Exception:
    return unreadable_export(f"This is not the whole output of: {rules_format.value}-save")
