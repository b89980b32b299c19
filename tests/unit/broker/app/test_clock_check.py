from datetime import UTC, datetime, timedelta

import pytest

from broker.app import clock_check
from broker.app.clock_check import Discipline, judge
from broker.app.finding import State

_MADE = datetime(2026, 11, 1, tzinfo=UTC)
_NOW = datetime(2026, 11, 20, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "kept", "state", "words"),
    [
        (_NOW, Discipline(True, 0.1), State.OK, "2026-11-20 09:01:00 UTC"),
        (_NOW, Discipline(True, 16.0), State.WARNING, "up to 16 s wrong"),
        (_NOW, Discipline(False, 0.1), State.WARNING, "kept by no time service"),
        (_NOW, None, State.WARNING, "kept by no time service"),
        (_MADE - timedelta(days=1), Discipline(True, 0.1), State.FAILED, "before the site's keys were made"),
    ],
)
def test_a_clock_is_right_when_it_is_kept_and_not_in_the_past(
    now: datetime, kept: Discipline | None, state: State, words: str
) -> None:
    finding = judge(now, _MADE, kept)
    assert finding.state is state
    assert words in finding.found


def test_the_kernel_tells_of_its_clock() -> None:
    found = clock_check.discipline()
    assert found is None or found.largest_error_seconds >= 0
    (finding,) = clock_check.examine(_NOW, _MADE)
    assert finding.name == "clock"
