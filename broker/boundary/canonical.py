"""A firewall rule in one form, whichever tool wrote it: what it looks at, and what it does.

Rules of ours and rules read back are compared as such values. A condition that was not understood stands in `unread`:
such a rule equals no rule of ours, and counts as matching whatever its other conditions allow.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from broker.boundary.model import Address, Network

ValueT = TypeVar("ValueT")
PortRange = tuple[int, int]


@dataclass(frozen=True)
class Choice(Generic[ValueT]):
    """One of these values, or when `negated` none of them."""

    values: frozenset[ValueT]
    negated: bool = False


class Verdict(Enum):
    """What a rule does with a packet."""

    ACCEPT = "accept"
    DROP = "drop"
    CALL = "jump"
    LOG = "log"
    REDIRECT = "redirect"
    """Gives the packet another destination (DNAT)."""
    GO_ON = "continue"
    """Nothing that ends the packet's way: counts, marks, returns."""
    UNKNOWN = "unknown"
    """Not understood; it may accept."""


@dataclass(frozen=True)
class Limit:
    """A log line at most so often: `unit` is s, m, h or d."""

    rate: int
    unit: str
    burst: int


@dataclass(frozen=True)
class Action:
    """A verdict with what belongs to it: the chain of a jump, the prefix and limit of a log line, a new destination."""

    verdict: Verdict
    text: str = ""
    limit: Limit | None = None
    to_addresses: tuple[Network, ...] = ()
    to_ports: tuple[PortRange, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One rule. A condition that is None does not matter to it."""

    action: Action
    inward: Choice[str] | None = None
    outward: Choice[str] | None = None
    source: Choice[Network] | None = None
    destination: Choice[Network] | None = None
    transport: Choice[str] | None = None
    ports: Choice[PortRange] | None = None
    states: Choice[str] | None = None
    direction: str | None = None
    unread: tuple[str, ...] = ()

    @property
    def family(self) -> int | None:
        """4 or 6 when only packets of that version can match, None for both."""
        for networks in (self.source, self.destination):
            if networks is not None and not networks.negated:
                versions = {network.version for network in networks.values}
                if len(versions) == 1:
                    return versions.pop()
        if self.transport is not None and not self.transport.negated:
            if self.transport.values == {"icmp"}:
                return 4
            if self.transport.values == {"ipv6-icmp"}:
                return 6
        return None


def names(*values: str) -> Choice[str]:
    """A choice of words."""
    return Choice(frozenset(values))


def host(address: Address) -> Choice[Network]:
    """Exactly this machine."""
    return Choice(frozenset({ipaddress.ip_network(address)}))


def networks(values: Iterable[Network]) -> frozenset[Network]:
    """The same addresses with the fewest networks, so that equal sets compare equal."""
    listed = list(values)
    four = [network for network in listed if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in listed if isinstance(network, ipaddress.IPv6Network)]
    return frozenset([*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)])


def port_ranges(values: Iterable[PortRange]) -> frozenset[PortRange]:
    """The same ports with the fewest ranges, so that equal sets compare equal."""
    merged: list[PortRange] = []
    for low, high in sorted(values):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return frozenset(merged)


def differences(one: Rule, other: Rule) -> list[str]:
    """The names of the conditions in which two rules differ, `action` among them."""
    fields = (
        "inward",
        "outward",
        "source",
        "destination",
        "transport",
        "ports",
        "states",
        "direction",
        "unread",
        "action",
    )
    return [field for field in fields if getattr(one, field) != getattr(other, field)]


def in_words(rule: Rule) -> str:
    """A rule as one line for a person."""
    parts = [
        _words("in", rule.inward),
        _words("out", rule.outward),
        _words("from", rule.source),
        _words("to", rule.destination),
        _words("", rule.transport),
        _port_words(rule.ports),
        _words("state", rule.states),
        f"direction {rule.direction}" if rule.direction else "",
        *(f"and {text}" for text in rule.unread),
    ]
    conditions = " ".join(part for part in parts if part) or "every packet"
    return f"{conditions}: {_action_words(rule.action)}"


def ports_in_words(ranges: Iterable[PortRange]) -> str:
    """Ports as `22-23,3389`."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in sorted(ranges))


def _words(label: str, choice: Choice[str] | Choice[Network] | None) -> str:
    if choice is None:
        return ""
    listed = ",".join(sorted(str(value) for value in choice.values))
    return f"{label} {'not ' if choice.negated else ''}{listed}".strip()


def _port_words(ports: Choice[PortRange] | None) -> str:
    if ports is None:
        return ""
    return f"port {'not ' if ports.negated else ''}{ports_in_words(ports.values)}"


def _action_words(action: Action) -> str:
    words = [action.verdict.value, action.text]
    if action.limit is not None:
        words.append(f"at most {action.limit.rate}/{action.limit.unit} burst {action.limit.burst}")
    words.extend(f"to {network}" for network in action.to_addresses)
    if action.to_ports:
        words.append(f"port {ports_in_words(action.to_ports)}")
    return " ".join(word.strip() for word in words if word.strip())
