"""The base rule set as text for `nft -f`: pure, from the configuration alone.

Loading replaces the table in one transaction. Afterwards only set elements change, each with a kernel timeout (except
revoked marks), so a dead opener leaves doors closed. Chains named `frag` or `fwd` are not possible: nft keywords.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from spa_knock.opener.config import Archive, Config, Management, Network

SET_SIZE = 65_536
KNOCK_UDP_LENGTH = 200
"""UDP length field of a knock: 192 bytes of payload and the 8-byte header."""

ADDRESS_PORT_SETS = ("open4", "open6", "egress4", "egress6")
REVOKED_SET = "revoked"
SEEN_SET = "seen"

SYNS_OF_A_WINDOW = 16
"""How many first packets one element lets in, repeated ones included: the most that a neighbour behind the knocker's
address can connect with one knock. Each knock makes the element anew."""

EGRESS_MARK = 1 << 31
"""Marks the gateway's own flows; marks of devices have 31 bits."""


class Counter(StrEnum):
    """What the kernel counts, by stage."""

    FRAGMENTS = "shed_fragments"
    LENGTH = "shed_length"
    NONCE = "shed_nonce"
    KNOCKS = "knocks_to_socket"
    ADMITTED = "door_connections"
    REVOKED = "revoked_packets"
    STRANGERS = "strangers_packets"
    EGRESS_ENDED = "egress_ended_packets"
    EGRESS_REFUSED = "egress_refused_packets"


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain as it must be in the kernel."""

    name: str
    hook: str
    priority: int
    drops: bool
    rules: tuple[str, ...]

    def lines(self) -> list[str]:
        """The chain as text."""
        policy = "drop" if self.drops else "accept"
        priority = _PRIORITY_NAMES.get(self.priority, str(self.priority))
        return [
            f"  chain {self.name} {{",
            f"    type filter hook {self.hook} priority {priority}; policy {policy};",
            *(f"    {rule}" for rule in self.rules),
            "  }",
        ]


_LEASED = f"ct mark & {EGRESS_MARK:#x} != 0"
_QUIET_TYPES = "{ echo-request, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }"
_PRIORITY_NAMES = {-300: "raw", 0: "filter"}


def render(config: Config) -> str:
    """The whole table. Feeding it twice gives the same state, with empty sets."""
    return "\n".join(
        [
            # An empty definition first, so that the deletion also works when there is no table yet.
            f"table inet {config.table} {{ }}",
            f"delete table inet {config.table}",
            f"table inet {config.table} {{",
            *(f"  counter {counter} {{ }}" for counter in Counter),
            *_sets(),
            *(line for chain in base_chains(config) for line in chain.lines()),
            "}",
            "",
        ]
    )


def base_chains(config: Config) -> list[BaseChain]:
    """The chains that the kernel must have, in the order in which a packet meets them."""
    vendor = _quoted(config.vendor_interfaces)
    return [
        BaseChain("pieces", "prerouting", -450, False, tuple(_no_fragments(vendor))),
        BaseChain("knocks", "prerouting", -300, False, tuple(_knock_filter(config, vendor))),
        BaseChain("incoming", "input", 0, True, tuple(_incoming(config, vendor))),
        BaseChain("through", "forward", 0, True, ()),
        BaseChain("outgoing", "output", 0, False, tuple(_outgoing(config, vendor))),
    ]


def _sets() -> list[str]:
    budget = f"limit rate 1/hour burst {SYNS_OF_A_WINDOW} packets;"
    sets = {
        "open4": f"type ipv4_addr . inet_service; flags timeout; {budget}",
        "open6": f"type ipv6_addr . inet_service; flags timeout; {budget}",
        "egress4": "type ipv4_addr . inet_service; flags timeout;",
        "egress6": "type ipv6_addr . inet_service; flags timeout;",
        REVOKED_SET: "type mark;",
        # The first 8 of the nonce's 12 bytes: UDP header 8, key id 8, then the nonce.
        SEEN_SET: "typeof @th,128,64; flags timeout;",
    }
    return [f"  set {name} {{ {definition} size {SET_SIZE}; }}" for name, definition in sets.items()]


def _no_fragments(vendor: str) -> list[str]:
    return [
        f"iifname {vendor} ip frag-off & 0x3fff != 0 {_counted(Counter.FRAGMENTS)} drop",
        f"iifname {vendor} exthdr frag exists {_counted(Counter.FRAGMENTS)} drop",
    ]


def _knock_filter(config: Config, vendor: str) -> list[str]:
    knock = f"iifname {vendor} udp dport {_braced(config.knock_ports)}"
    return [
        f"{knock} udp length != {KNOCK_UDP_LENGTH} {_counted(Counter.LENGTH)} drop",
        f"{knock} @th,128,64 @{SEEN_SET} {_counted(Counter.NONCE)} drop",
        # Spoofed junk must not fill the connection table.
        f"{knock} notrack",
    ]


def _incoming(config: Config, vendor: str) -> list[str]:
    door = (
        f"iifname {vendor} tcp dport {_braced(config.doors.values())} "
        "tcp flags & (fin | syn | rst | ack) == syn ct state new"
    )
    admit = f"{_counted(Counter.ADMITTED)} accept"
    return [
        'iifname "lo" accept',
        # Before `established`, or a revoked flow would live on.
        f"meta l4proto tcp ct mark @{REVOKED_SET} {_counted(Counter.REVOKED)} reject with tcp reset",
        f"ct mark @{REVOKED_SET} drop",
        # What the gateway began lives as long as its lease, whoever talks and whatever became of its socket.
        f"{_LEASED} ip saddr . tcp sport @egress4 accept",
        f"{_LEASED} ip6 saddr . tcp sport @egress6 accept",
        f"meta l4proto tcp {_LEASED} {_counted(Counter.EGRESS_ENDED)} reject with tcp reset",
        "ct state established accept",
        f"iifname {vendor} udp dport {_braced(config.knock_ports)} {_counted(Counter.KNOCKS)} accept",
        f"{door} ip saddr . tcp dport @open4 {admit}",
        f"{door} ip6 saddr . tcp dport @open6 {admit}",
        "ct state related icmp type destination-unreachable icmp code frag-needed accept",
        "ct state related icmpv6 type packet-too-big accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept",
        *(rule for entry in config.management for rule in _management(entry)),
        f"iifname {vendor} {_counted(Counter.STRANGERS)}",
    ]


def _management(entry: Management) -> list[str]:
    # No state is asked for: an administrator's connection that is older than the rule set lives on.
    ports = _braced(entry.tcp_ports)
    return [
        f'iifname "{entry.interface}" {"ip" if prefix.version == 4 else "ip6"} saddr {prefix} tcp dport {ports} accept'
        for prefix in sorted(entry.prefixes, key=_network_order)
    ]


def _outgoing(config: Config, vendor: str) -> list[str]:
    uids = config.uids
    archive = config.archive
    others = () if archive is None else (archive.uid,)
    ours = _braced((uids.opener, uids.guard, uids.gateway, uids.control, *others))
    # Control may reach a database on this host; the others have no business on loopback either.
    lonely = f'oifname "lo" ct state new meta skuid {_braced((uids.opener, uids.guard, uids.gateway, *others))}'
    opening = f"meta skuid {uids.gateway} tcp flags & (fin | syn | rst | ack) == syn ct state new"
    leased = f"ct mark set {EGRESS_MARK:#x} accept"
    refuse = _counted(Counter.EGRESS_REFUSED)
    administrators = _braced({port for entry in config.management for port in entry.tcp_ports} or {22})
    return [
        *([] if archive is None else [_to_object_store(archive)]),
        f"{opening} ip daddr . tcp dport @egress4 {leased}",
        f"{opening} ip6 daddr . tcp dport @egress6 {leased}",
        f"{lonely} meta l4proto tcp {refuse} reject with tcp reset",
        f"{lonely} {refuse} drop",
        'oifname "lo" accept',
        # A closed port must look like no host at all.
        "icmp type destination-unreachable drop",
        "icmpv6 type destination-unreachable drop",
        "icmp type { time-exceeded, parameter-problem } drop",
        "icmpv6 type { time-exceeded, parameter-problem } drop",
        # Nor does the host tell the segment which groups it is in: neighbour discovery is all that is heard of it.
        f"oifname {vendor} icmp type != echo-request drop",
        f"oifname {vendor} icmpv6 type != {_QUIET_TYPES} drop",
        f"oifname {vendor} meta l4proto igmp drop",
        # The reset that ends a revoked flow may leave, its data may not.
        f"meta l4proto tcp ct mark @{REVOKED_SET} tcp flags & rst == 0 drop",
        f"{_LEASED} ip daddr . tcp dport @egress4 accept",
        f"{_LEASED} ip6 daddr . tcp dport @egress6 accept",
        f"{_LEASED} tcp flags & rst != 0 accept",
        f"meta l4proto tcp {_LEASED} {_counted(Counter.EGRESS_ENDED)} reject with tcp reset",
        "ct state established accept",
        # A flow that was ended must not come back because our end talks first. An administrator's connection may be
        # older than the rule set.
        f"ct state new tcp flags & (syn | rst) == 0 tcp sport != {administrators} drop",
        # Resetting tells our own process at once instead of letting it wait for a time-out.
        f"meta skuid {ours} meta l4proto tcp {refuse} reject with tcp reset",
        f"meta skuid {ours} {refuse} drop",
    ]


def _to_object_store(archive: Archive) -> str:
    family = "ip" if archive.address.version == 4 else "ip6"
    return f"meta skuid {archive.uid} {family} daddr {archive.address} tcp dport {archive.port} accept"


def _counted(counter: Counter) -> str:
    return f'counter name "{counter}"'


def _quoted(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in sorted(names)) + " }"


def _braced(numbers: Iterable[int]) -> str:
    return "{ " + ", ".join(str(number) for number in sorted(numbers)) + " }"


def _network_order(network: Network) -> tuple[int, bytes, int]:
    return network.version, network.network_address.packed, network.prefixlen
