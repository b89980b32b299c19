from datetime import timedelta

import pytest

from broker.identities.testing import NOON
from broker.identities.throttle import MOST_FAILURES, Throttle
from broker.kernel.errors import TooMany


def test_a_source_that_fails_too_often_waits_for_the_next_minute() -> None:
    throttle = Throttle()
    for _ in range(MOST_FAILURES):
        throttle.check("192.0.2.1", NOON)
        throttle.failed("192.0.2.1", NOON)
    with pytest.raises(TooMany) as refusal:
        throttle.check("192.0.2.1", NOON + timedelta(seconds=59))
    assert refusal.value.code == "identities.too_many_attempts"
    throttle.check("192.0.2.2", NOON)
    throttle.check("192.0.2.1", NOON + timedelta(seconds=60))


def test_a_new_minute_counts_from_one() -> None:
    throttle = Throttle()
    for _ in range(MOST_FAILURES):
        throttle.failed("192.0.2.1", NOON)
    throttle.failed("192.0.2.1", NOON + timedelta(minutes=2))
    throttle.check("192.0.2.1", NOON + timedelta(minutes=2))
