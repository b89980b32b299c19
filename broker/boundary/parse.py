"""Reads what a firewall's own tool exports.

NFTABLES    nft -j list ruleset     (the whole rule set)
IPTABLES    iptables-save
IP6TABLES   ip6tables-save
"""

from typing import Final, assert_never

from broker.boundary.errors import unreadable_export
from broker.boundary.exported import Export
from broker.boundary.model import Format
from broker.boundary.parse_iptables import parse_iptables
from broker.boundary.parse_nftables import parse_nftables

LONGEST_EXPORT: Final = 4 * 1024 * 1024
"""Characters; a firewall with more rules than that is checked in another way."""


def parse(text: str, rules_format: Format) -> Export:
    """The chains that were exported.

    Raises Invalid `boundary.unreadable_export`.
    """
    if len(text) > LONGEST_EXPORT:
        raise unreadable_export("The export is longer than 4 million characters.")
    match rules_format:
        case Format.NFTABLES:
            return parse_nftables(text)
        case Format.IPTABLES | Format.IP6TABLES:
            return parse_iptables(text, rules_format)
        case _:
            assert_never(rules_format)
