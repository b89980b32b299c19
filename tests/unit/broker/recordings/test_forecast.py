from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.identities.testing import NOON
from broker.recordings.forecast import Level, Recorded, Space, forecast

GIB = 1 << 30
KEEP = timedelta(days=180)
LONG_AGO = NOON - timedelta(days=400)


def outlook(recent: int, kept: int, free: int, total: int = 1000 * GIB, days: float | None = None):  # type: ignore[no-untyped-def]
    first = LONG_AGO if days is None else NOON - timedelta(days=days)
    return forecast(Recorded(recent, kept, first), Space(total, free, 64 << 20), KEEP, NOON)


def test_what_the_last_weeks_brought_goes_on() -> None:
    found = outlook(recent=56 * GIB, kept=300 * GIB, free=450 * GIB)
    assert (found.bytes_per_day, found.usable_bytes) == (2 * GIB, 400 * GIB)
    assert (found.days_until_full, found.days_held, found.level) == (200, 350, Level.GOOD)
    assert found.full_at == NOON + timedelta(days=200)


def test_a_disk_that_cannot_hold_180_days_is_short() -> None:
    found = outlook(recent=56 * GIB, kept=0, free=350 * GIB)
    assert (found.days_held, found.keep_days, found.level) == (150, 180, Level.SHORT)


def test_a_disk_that_is_full_within_30_days_is_an_alarm_although_it_could_hold_enough() -> None:
    found = outlook(recent=56 * GIB, kept=900 * GIB, free=100 * GIB)
    assert (found.days_until_full, found.level) == (25, Level.SOON)


def test_no_session_begins_before_the_last_byte_is_taken() -> None:
    assert outlook(recent=GIB, kept=GIB, free=50 * GIB).level is Level.FULL
    assert outlook(recent=0, kept=GIB, free=0).level is Level.FULL
    assert Space(100 * GIB, 6 * GIB, 7 * GIB).usable_bytes == 0


def test_a_site_without_recordings_has_no_outlook_and_a_young_one_is_not_overrated() -> None:
    idle = outlook(recent=0, kept=0, free=500 * GIB)
    assert (idle.level, idle.days_until_full, idle.full_at, idle.days_held) == (Level.UNKNOWN, None, None, None)
    assert outlook(recent=4 * GIB, kept=4 * GIB, free=500 * GIB, days=0.1).bytes_per_day == 4 * GIB
    assert outlook(recent=4 * GIB, kept=4 * GIB, free=500 * GIB, days=2).bytes_per_day == 2 * GIB
    assert outlook(recent=28 * GIB, kept=4 * GIB, free=500 * GIB, days=90).observed_days == 28.0


def test_what_lies_beyond_a_century_is_not_reckoned() -> None:
    found = outlook(recent=28, kept=0, free=500 * GIB)
    assert (found.level, found.days_until_full, found.full_at) == (Level.GOOD, None, None)


@given(
    recent=st.integers(0, 2**62),
    kept=st.integers(0, 2**62),
    free=st.integers(0, 2**62),
    total=st.integers(0, 2**62),
    days=st.floats(-1, 1000),
)
def test_every_disk_has_an_outlook(recent: int, kept: int, free: int, total: int, days: float) -> None:
    found = outlook(recent, kept, free, total, days)
    assert 0 <= found.usable_bytes <= free
    if found.days_until_full is not None and found.days_held is not None:
        assert found.days_until_full <= found.days_held
    if found.level is Level.GOOD:
        assert found.days_held is None or found.days_held >= 180


@pytest.mark.parametrize("level", Level)
def test_a_level_is_a_word(level: Level) -> None:
    assert level.value.isalpha()
