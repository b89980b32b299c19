"""The words for a refusal."""

import pytest

from broker.identities.testing import NOON
from broker.knock_link.explain import SUMMARY, explain
from broker.knock_link.model import LastRefusal
from spa_knock.guard.rules import Reason


def a_refusal(reason: str, named: str | None = None, off: float | None = None) -> LastRefusal:
    return LastRefusal("dev_1", reason, 3, NOON, "203.0.113.9", named, off)


@pytest.mark.parametrize(
    ("off", "words"),
    [(-45.2, "45 s behind"), (119.0, "119 s ahead"), (600.0, "10 min ahead"), (-90_000.0, "25.0 h behind")],
)
def test_a_wrong_clock_is_told_with_how_wrong(off: float, words: str) -> None:
    assert words in explain(a_refusal("clock", off=off)).found


def test_an_address_that_differs_is_told_with_both() -> None:
    found = explain(a_refusal("address", named="10.0.0.5")).found
    assert "10.0.0.5" in found
    assert "203.0.113.9" in found
    assert "names no address" in explain(a_refusal("address")).found


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_the_guard_has_words(reason: Reason) -> None:
    assert SUMMARY[reason]
    assert explain(a_refusal(reason)).found
