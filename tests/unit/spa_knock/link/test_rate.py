"""The bounded rate: a burst, then a steady pace, whatever the clock does."""

from hypothesis import given
from hypothesis import strategies as st

from spa_knock.link.rate import TokenBucket


def test_a_burst_passes_and_the_next_waits_for_its_pace() -> None:
    bucket = TokenBucket(per_second=2, burst=3)
    assert [bucket.admits(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.admits(100.4)
    assert bucket.admits(100.6)
    assert not bucket.admits(100.7)


def test_a_long_rest_gives_no_more_than_one_burst() -> None:
    bucket = TokenBucket(per_second=2, burst=3)
    assert bucket.admits(0.0)
    assert [bucket.admits(10_000.0) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(-100, 100), max_size=60))
def test_no_order_of_readings_admits_more_than_burst_and_pace(readings: list[float]) -> None:
    bucket = TokenBucket(per_second=1, burst=5)
    admitted = sum(bucket.admits(now) for now in readings)
    span = max(readings, default=0.0) - min(readings, default=0.0)
    assert admitted <= 5 + span + 1e-6
