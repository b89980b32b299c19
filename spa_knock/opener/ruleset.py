"""The base rule set as text for `nft -f`: pure, from the configuration alone.

Loading replaces the table in one transaction. Afterwards only set elements change, each with a kernel timeout (except
revoked marks), so a dead opener leaves doors closed. Chains named `frag` or `fwd` are not possible: nft keywords.
"""

from collections.abc import Iterable

from spa_knock.opener.config import Config, Management, Network

SET_SIZE = 65_536
KNOCK_UDP_LENGTH = 200
"""UDP length field of a knock: 192 bytes of payload and the 8-byte header."""

ADDRESS_PORT_SETS = ("open4", "open6", "egress4", "egress6")
REVOKED_SET = "revoked"
SEEN_SET = "seen"


def render(config: Config) -> str:
    """The whole table. Feeding it twice gives the same state, with empty sets."""
    vendor = _quoted(config.vendor_interfaces)
    return "\n".join(
        [
            # An empty definition first, so that the deletion also works when there is no table yet.
            f"table inet {config.table} {{ }}",
            f"delete table inet {config.table}",
            f"table inet {config.table} {{",
            *_sets(),
            *_chain("pieces", "prerouting priority -450; policy accept", _no_fragments(vendor)),
            *_chain("knocks", "prerouting priority raw; policy accept", _knock_filter(config, vendor)),
            *_chain("incoming", "input priority filter; policy drop", _incoming(config, vendor)),
            *_chain("through", "forward priority filter; policy drop", []),
            *_chain("outgoing", "output priority filter; policy accept", _outgoing(config)),
            "}",
            "",
        ]
    )


def _sets() -> list[str]:
    sets = {
        "open4": "type ipv4_addr . inet_service; flags timeout;",
        "open6": "type ipv6_addr . inet_service; flags timeout;",
        "egress4": "type ipv4_addr . inet_service; flags timeout;",
        "egress6": "type ipv6_addr . inet_service; flags timeout;",
        REVOKED_SET: "type mark;",
        # The first 8 of the nonce's 12 bytes: UDP header 8, key id 8, then the nonce.
        SEEN_SET: "typeof @th,128,64; flags timeout;",
    }
    return [f"  set {name} {{ {definition} size {SET_SIZE}; }}" for name, definition in sets.items()]


def _no_fragments(vendor: str) -> list[str]:
    return [
        f"iifname {vendor} ip frag-off & 0x3fff != 0 drop",
        f"iifname {vendor} exthdr frag exists drop",
    ]


def _knock_filter(config: Config, vendor: str) -> list[str]:
    knock = f"iifname {vendor} udp dport {_braced(config.knock_ports)}"
    return [
        f"{knock} udp length != {KNOCK_UDP_LENGTH} drop",
        f"{knock} @th,128,64 @{SEEN_SET} drop",
        # Spoofed junk must not fill the connection table.
        f"{knock} notrack",
    ]


def _incoming(config: Config, vendor: str) -> list[str]:
    door = (
        f"iifname {vendor} tcp dport {_braced(config.doors.values())} "
        "tcp flags & (fin | syn | rst | ack) == syn ct state new"
    )
    return [
        'iifname "lo" accept',
        # Before `established`, or a revoked flow would live on.
        f"meta l4proto tcp ct mark @{REVOKED_SET} reject with tcp reset",
        f"ct mark @{REVOKED_SET} drop",
        "ct state established accept",
        f"iifname {vendor} udp dport {_braced(config.knock_ports)} accept",
        f"{door} ip saddr . tcp dport @open4 accept",
        f"{door} ip6 saddr . tcp dport @open6 accept",
        "ct state related icmp type destination-unreachable icmp code frag-needed accept",
        "ct state related icmpv6 type packet-too-big accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept",
        *(rule for entry in config.management for rule in _management(entry)),
    ]


def _management(entry: Management) -> list[str]:
    # No state is asked for: an administrator's connection that is older than the rule set lives on.
    ports = _braced(entry.tcp_ports)
    return [
        f'iifname "{entry.interface}" {"ip" if prefix.version == 4 else "ip6"} saddr {prefix} tcp dport {ports} accept'
        for prefix in sorted(entry.prefixes, key=_network_order)
    ]


def _outgoing(config: Config) -> list[str]:
    uids = config.uids
    ours = _braced((uids.opener, uids.guard, uids.gateway, uids.control))
    opening = f"meta skuid {uids.gateway} tcp flags & (fin | syn | rst | ack) == syn ct state new"
    return [
        'oifname "lo" accept',
        # A closed port must look like no host at all.
        "icmp type destination-unreachable drop",
        "icmpv6 type destination-unreachable drop",
        # The reset that ends a revoked flow may leave, its data may not.
        f"meta l4proto tcp ct mark @{REVOKED_SET} tcp flags & rst == 0 drop",
        "ct state established accept",
        f"{opening} ip daddr . tcp dport @egress4 accept",
        f"{opening} ip6 daddr . tcp dport @egress6 accept",
        # Resetting tells our own process at once instead of letting it wait for a time-out.
        f"meta skuid {ours} meta l4proto tcp reject with tcp reset",
        f"meta skuid {ours} drop",
    ]


def _chain(name: str, hook: str, rules: list[str]) -> list[str]:
    return [
        f"  chain {name} {{",
        f"    type filter hook {hook};",
        *(f"    {rule}" for rule in rules),
        "  }",
    ]


def _quoted(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in sorted(names)) + " }"


def _braced(numbers: Iterable[int]) -> str:
    return "{ " + ", ".join(str(number) for number in sorted(numbers)) + " }"


def _network_order(network: Network) -> tuple[int, bytes, int]:
    return network.version, network.network_address.packed, network.prefixlen
