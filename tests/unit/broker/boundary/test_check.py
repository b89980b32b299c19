import pytest

from broker.boundary.check import check
from broker.boundary.model import Format
from broker.boundary.testing import a_plan, exported_nftables, nft_text
from broker.kernel.errors import Invalid


def test_an_export_becomes_findings_or_a_refusal() -> None:
    assert check(a_plan(), nft_text(exported_nftables(a_plan())), Format.NFTABLES).is_clean
    with pytest.raises(Invalid):
        check(a_plan(), "table inet filter {}", Format.NFTABLES)
