"""The replay rule: once, now, and in order; also across restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.replay import WINDOW_MS, History, StampVerdict, judge_stamp, start_fence_ms

NOW = 1_795_200_000_000


@pytest.mark.parametrize(
    ("stamp", "last", "fence", "expected"),
    [
        (NOW, 0, 0, StampVerdict.FRESH),
        (NOW, NOW - 1, 0, StampVerdict.FRESH),
        (NOW, NOW, 0, StampVerdict.REPLAYED),
        (NOW - 1, NOW, 0, StampVerdict.REPLAYED),
        (NOW - WINDOW_MS, 0, 0, StampVerdict.FRESH),
        (NOW - WINDOW_MS - 1, 0, 0, StampVerdict.TOO_OLD),
        (NOW + WINDOW_MS, 0, 0, StampVerdict.FRESH),
        (NOW + WINDOW_MS + 1, 0, 0, StampVerdict.TOO_NEW),
        (NOW, 0, NOW, StampVerdict.FENCED),
        (NOW + 1, 0, NOW, StampVerdict.FRESH),
    ],
)
def test_each_border_of_the_rule(stamp: int, last: int, fence: int, expected: StampVerdict) -> None:
    assert judge_stamp(stamp, last_ms=last, now_ms=NOW, fence_ms=fence) is expected


offsets = st.integers(-2 * WINDOW_MS, 2 * WINDOW_MS)


@given(st.lists(st.tuples(offsets, offsets), max_size=30))
def test_no_stamp_is_ever_accepted_twice(steps: list[tuple[int, int]]) -> None:
    last, accepted = 0, []
    for stamp_offset, clock_offset in steps:
        stamp = NOW + stamp_offset
        if judge_stamp(stamp, last_ms=last, now_ms=NOW + clock_offset, fence_ms=0) is StampVerdict.FRESH:
            accepted.append(stamp)
            last = stamp
    assert accepted == sorted(set(accepted))


@given(offsets, offsets, st.integers(0, 10 * WINDOW_MS))
def test_after_a_start_without_history_nothing_accepted_before_is_accepted_again(
    stamp_offset: int, before_offset: int, later: int
) -> None:
    stamp, before = NOW + stamp_offset, NOW - abs(before_offset)
    was_accepted = judge_stamp(stamp, last_ms=0, now_ms=before, fence_ms=0) is StampVerdict.FRESH
    fence = start_fence_ms(NOW, History.DOUBTFUL)
    accepted_again = judge_stamp(stamp, last_ms=0, now_ms=NOW + later, fence_ms=fence) is StampVerdict.FRESH
    assert not (was_accepted and accepted_again)


def test_a_start_with_complete_history_accepts_at_once() -> None:
    fence = start_fence_ms(NOW, History.COMPLETE)
    assert judge_stamp(NOW, last_ms=0, now_ms=NOW, fence_ms=fence) is StampVerdict.FRESH
