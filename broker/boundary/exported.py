"""What a firewall says it has loaded: its chains in order, ours and everybody else's, whichever tool told it."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.boundary.canonical import Rule


@dataclass(frozen=True)
class Place:
    """Where a chain is. `family` is nft's word (ip, ip6, inet, netdev, …)."""

    family: str
    table: str
    chain: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


@dataclass(frozen=True)
class Hook:
    """How a base chain hangs in the kernel."""

    kind: str
    name: str
    priority: int
    policy: str


@dataclass(frozen=True)
class LoadedRule:
    """A rule as it is loaded. `text` is what the administrator sees of it, its handle or line included."""

    rule: Rule
    text: str


@dataclass(frozen=True)
class LoadedChain:
    """A chain and its rules in order; `hook` is None for one that is only jumped to."""

    place: Place
    hook: Hook | None
    rules: tuple[LoadedRule, ...]


@dataclass(frozen=True)
class Export:
    """Everything that was exported."""

    chains: Mapping[Place, LoadedChain]
    flagged: frozenset[tuple[str, str]] = frozenset()
    """Tables (family, name) with flags, such as dormant: loaded but switched off."""

    def reachable_from(self, hooks: frozenset[str]) -> list[LoadedChain]:
        """The chains a packet may pass at one of these hooks, by jumps too, in the order they were exported in."""
        seen: set[Place] = set()
        waiting = [chain.place for chain in self.chains.values() if chain.hook is not None and chain.hook.name in hooks]
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            for loaded in self.chains[place].rules:
                called = Place(place.family, place.table, loaded.rule.action.text)
                if called in self.chains:
                    waiting.append(called)
        return [chain for chain in self.chains.values() if chain.place in seen]
