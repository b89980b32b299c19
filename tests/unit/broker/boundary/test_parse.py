import pytest

from broker.boundary.model import Format
from broker.boundary.parse import LONGEST_EXPORT, parse
from broker.boundary.testing import a_plan, exported_iptables, exported_nftables, nft_text
from broker.kernel.errors import Invalid


def test_each_format_has_its_reader() -> None:
    assert {place.family for place in parse(nft_text(exported_nftables(a_plan())), Format.NFTABLES).chains} == {"inet"}
    for rules_format, family in ((Format.IPTABLES, "ip"), (Format.IP6TABLES, "ip6")):
        export = parse("\n".join(exported_iptables(a_plan(), rules_format)), rules_format)
        assert {place.family for place in export.chains} == {family}


def test_an_export_beyond_the_bound_is_refused_unread() -> None:
    with pytest.raises(Invalid, match="longer"):
        parse(" " * (LONGEST_EXPORT + 1), Format.NFTABLES)
