from pathlib import Path

import pytest

from broker.boundary.canonical import Action, Rule, Verdict
from broker.boundary.model import Format
from broker.boundary.render_iptables import CHAINS, chain_name, render_iptables, rule_text, undo_iptables
from broker.boundary.rules import ChainName
from broker.boundary.testing import a_plan

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.mark.parametrize("rules_format", [Format.IPTABLES, Format.IP6TABLES])
def test_the_text_is_the_golden_one(rules_format: Format) -> None:
    golden = (GOLDEN / f"boundary_{rules_format.value}.rules").read_text(encoding="utf-8")
    assert render_iptables(a_plan(), rules_format) == golden


def test_every_chain_has_one_table_and_a_name_that_fits() -> None:
    assert sorted(name.value for contained in CHAINS.values() for name in contained) == sorted(
        name.value for name in ChainName
    )
    assert all(len(chain_name(name)) <= 28 for name in ChainName)


def test_a_second_load_is_the_text_without_its_two_jumps() -> None:
    inserted = [line for line in render_iptables(a_plan()).splitlines() if line.startswith("-I")]
    assert inserted == [
        "-I PREROUTING 1 -j sallyport_boundary_antispoof",
        "-I FORWARD 1 -j sallyport_boundary_forward",
    ]


def test_undoing_takes_every_chain_and_both_jumps_away() -> None:
    lines = undo_iptables().splitlines()
    assert [line for line in lines if line.startswith("-D")] == [
        "-D PREROUTING -j sallyport_boundary_antispoof",
        "-D FORWARD -j sallyport_boundary_forward",
    ]
    assert {line[3:] for line in lines if line.startswith("-X")} == {chain_name(name) for name in ChainName}


def test_an_action_that_is_not_ours_is_not_written() -> None:
    with pytest.raises(ValueError, match="no rule of ours"):
        rule_text(Rule(Action(Verdict.UNKNOWN)), "")
