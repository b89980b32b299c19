from dataclasses import replace
from datetime import timedelta

import pytest

from broker.identities.testing import NOON
from broker.receipts import rules
from broker.receipts.model import Due, ReceiptState
from tests.unit.spa_knock.wire.receipts import a_receipt

GOOD = a_receipt()
DUE = Due(**{name: getattr(GOOD, name) for name in Due.__dataclass_fields__})


def test_a_receipt_that_says_what_is_known_differs_in_nothing() -> None:
    assert rules.difference(GOOD, DUE) is None
    assert rules.state_of(GOOD) is ReceiptState.RECEIVED


@pytest.mark.parametrize("name", list(Due.__dataclass_fields__))
def test_every_field_that_is_told_counts(name: str) -> None:
    other = 7 if name.endswith("_ms") else "ff"
    assert rules.difference(GOOD, replace(DUE, **{name: other})) == name  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(Due.__dataclass_fields__))
def test_a_refusal_names_its_session_only(name: str) -> None:
    refusal = a_receipt(refusal="went_back")
    other = 7 if name.endswith("_ms") else "ff"
    found = rules.difference(refusal, replace(DUE, **{name: other}))  # type: ignore[arg-type]
    of_the_session = name in ("site", "session_id", "grant_id", "device_id", "recording_id")
    assert found == (name if of_the_session else None)
    assert rules.state_of(refusal) is ReceiptState.REFUSED


def test_a_device_has_a_quarter_of_an_hour() -> None:
    assert not rules.is_missing(NOON, NOON + timedelta(minutes=14, seconds=59))
    assert rules.is_missing(NOON, NOON + timedelta(minutes=15))
