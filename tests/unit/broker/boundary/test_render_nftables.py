from pathlib import Path

import pytest

from broker.boundary.canonical import Action, Rule, Verdict
from broker.boundary.model import OtherTraffic
from broker.boundary.render_nftables import render_nftables, rule_text, undo_nftables
from broker.boundary.testing import a_plan

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.mark.parametrize(
    ("other_traffic", "file"),
    [(OtherTraffic.KEEP, "boundary_nftables.nft"), (OtherTraffic.DROP, "boundary_nftables_drop.nft")],
)
def test_the_text_is_the_golden_one(other_traffic: OtherTraffic, file: str) -> None:
    assert render_nftables(a_plan(other_traffic=other_traffic)) == (GOLDEN / file).read_text(encoding="utf-8")


def test_loading_replaces_our_table_and_flushes_nothing_else() -> None:
    text = render_nftables(a_plan())
    assert "flush" not in text
    assert text.index("delete table inet sallyport_boundary\n\n") < text.index("table inet sallyport_boundary {")
    assert undo_nftables().endswith("delete table inet sallyport_boundary\n")


def test_an_action_that_is_not_ours_is_not_written() -> None:
    with pytest.raises(ValueError, match="no rule of ours"):
        rule_text(Rule(Action(Verdict.UNKNOWN)))
