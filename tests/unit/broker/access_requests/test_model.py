from dataclasses import replace
from datetime import timedelta

import pytest

from broker.access_requests.model import Window
from tests.unit.broker.access_requests.test_rules import HOUR, NOON, REQUEST, WISH


def test_a_request_begins_as_approved_else_as_asked_else_when_it_was_made() -> None:
    assert (REQUEST.starts_at, REQUEST.ends_at) == (NOON, NOON + 2 * HOUR)
    asked = replace(REQUEST, wish=replace(WISH, starts_at=NOON + HOUR))
    assert (asked.starts_at, asked.ends_at) == (NOON + HOUR, NOON + 3 * HOUR)
    approved = replace(asked, window=Window(NOON + HOUR, NOON + HOUR + timedelta(minutes=5)))
    assert (approved.starts_at, approved.ends_at) == (NOON + HOUR, NOON + HOUR + timedelta(minutes=5))


def test_a_window_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="ends after"):
        Window(NOON, NOON)
