"""A plan's rules as text, in the words of the firewall's tool."""

from typing import assert_never

from broker.boundary.model import Format, ZonePlan
from broker.boundary.render_iptables import render_iptables, undo_iptables
from broker.boundary.render_nftables import render_nftables, undo_nftables


def render(plan: ZonePlan, rules_format: Format) -> str:
    """The text to load: pure, and the same for the same plan. IPTABLES and IP6TABLES belong together."""
    match rules_format:
        case Format.NFTABLES:
            return render_nftables(plan)
        case Format.IPTABLES | Format.IP6TABLES:
            return render_iptables(plan, rules_format)
        case _:
            assert_never(rules_format)


def undo(rules_format: Format) -> str:
    """The text that takes the rules away again, loaded in the same way."""
    match rules_format:
        case Format.NFTABLES:
            return undo_nftables()
        case Format.IPTABLES | Format.IP6TABLES:
            return undo_iptables()
        case _:
            assert_never(rules_format)
