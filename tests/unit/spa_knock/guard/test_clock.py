"""The watched clock: small changes are followed, jumps are noticed."""

import pytest

from spa_knock.guard.clock import STEP_MS, UNSTEADY_MS, Moment, WatchedClock


def test_time_that_simply_passes_is_steady() -> None:
    clock = WatchedClock(1_000_000, 50_000)
    assert clock.read(1_000_000, 50_000) == Moment(1_000_000, is_steady=True, went_back=False)
    assert clock.read(1_060_000, 110_000) == Moment(1_060_000, is_steady=True, went_back=False)


@pytest.mark.parametrize("step", [STEP_MS, -STEP_MS])
def test_a_small_correction_is_followed_each_time(step: int) -> None:
    clock = WatchedClock(1_000_000, 0)
    for count in range(1, 4):
        assert clock.read(1_000_000 + count * step, 0) == Moment(
            1_000_000 + count * step, is_steady=True, went_back=False
        )


@pytest.mark.parametrize("step", [STEP_MS + 1, -STEP_MS - 1])
def test_a_jump_is_told_once_and_makes_time_unsteady_for_a_while(step: int) -> None:
    clock = WatchedClock(1_000_000, 0)
    assert clock.read(1_000_000 + step, 0) == Moment(1_000_000 + step, is_steady=False, went_back=step < 0)
    late = UNSTEADY_MS - 1
    assert clock.read(1_000_000 + step + late, late) == Moment(
        1_000_000 + step + late, is_steady=False, went_back=False
    )
    assert clock.read(1_000_000 + step + UNSTEADY_MS, UNSTEADY_MS).is_steady


def test_a_machine_that_slept_has_not_jumped() -> None:
    clock = WatchedClock(1_000_000, 0)
    assert clock.read(1_000_000 + 3_600_000, 3_600_000).is_steady
