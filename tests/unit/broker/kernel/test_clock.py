from datetime import UTC, datetime, timedelta

from broker.kernel import clock

_AT = datetime(2026, 11, 20, 9, 0, 0, 250_000, tzinfo=UTC)


def test_the_system_clock_is_aware() -> None:
    assert clock.SystemClock().now().tzinfo is UTC


def test_a_standing_clock_moves_only_when_told() -> None:
    standing = clock.StandingClock(_AT)
    assert standing.now() == standing.now() == _AT
    standing.move(timedelta(seconds=3))
    assert standing.now() == _AT + timedelta(seconds=3)


def test_milliseconds_come_back_as_the_same_moment() -> None:
    assert clock.from_milliseconds(clock.milliseconds(_AT)) == _AT


def test_time_since_boot_does_not_run_backwards() -> None:
    assert clock.boot_seconds() <= clock.boot_seconds()
