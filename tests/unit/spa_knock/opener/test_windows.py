"""The book of windows: counted per knock, ended by time."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener import windows
from spa_knock.opener.windows import TooMany, Windows

WINDOW = (1, ip_address("198.51.100.7"))
OTHER = (2, ip_address("198.51.100.7"))


def test_a_window_is_needed_until_its_last_knock_lets_go() -> None:
    book = Windows()
    assert book.hold(WINDOW, "a", until=10.0, now=0.0) == 10.0
    assert book.hold(WINDOW, "b", until=8.0, now=0.0) == 10.0
    assert not book.let_go(WINDOW, "a", now=1.0)
    assert book.let_go(WINDOW, "b", now=1.0)


def test_letting_go_without_a_name_takes_the_knock_that_would_end_first() -> None:
    book = Windows()
    book.hold(WINDOW, "long", until=10.0, now=0.0)
    book.hold(WINDOW, "short", until=5.0, now=0.0)
    assert not book.let_go(WINDOW, None, now=1.0)
    assert not book.let_go(WINDOW, "short", now=1.0)
    assert book.let_go(WINDOW, "long", now=1.0)


def test_a_knock_whose_time_is_over_holds_nothing() -> None:
    book = Windows()
    book.hold(WINDOW, "a", until=5.0, now=0.0)
    assert book.hold(WINDOW, "b", until=8.0, now=6.0) == 8.0
    assert book.let_go(WINDOW, "b", now=6.0)


def test_after_a_restart_letting_go_closes() -> None:
    assert Windows().let_go(WINDOW, "a", now=0.0)


def test_doors_are_counted_apart_and_dropping_forgets_all_knocks() -> None:
    book = Windows()
    book.hold(WINDOW, "a", until=5.0, now=0.0)
    book.hold(OTHER, "b", until=5.0, now=0.0)
    book.drop(WINDOW)
    assert book.let_go(WINDOW, "x", now=0.0)
    assert not book.let_go(OTHER, "x", now=0.0)


def test_a_full_book_refuses_and_makes_room_only_of_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_WINDOWS", 1)
    monkeypatch.setattr(windows, "MAX_KNOCKS_PER_WINDOW", 1)
    book = Windows()
    book.hold(WINDOW, "a", until=5.0, now=0.0)
    with pytest.raises(TooMany):
        book.hold(OTHER, "b", until=5.0, now=1.0)
    with pytest.raises(TooMany):
        book.hold(WINDOW, "b", until=5.0, now=1.0)
    assert book.hold(OTHER, "b", until=9.0, now=6.0) == 9.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 30)), max_size=40))
def test_a_window_is_never_given_up_while_a_live_knock_holds_it(steps: list[tuple[str, bool, float]]) -> None:
    book, now = Windows(), 0.0
    alive: dict[str, float] = {}
    for knock, opens, seconds in steps:
        now += 1.0
        alive = {name: until for name, until in alive.items() if until > now}
        if opens:
            alive[knock] = max(now + seconds, alive.get(knock, 0.0))
            assert book.hold(WINDOW, knock, until=now + seconds, now=now) >= max(alive.values())
            alive = {name: until for name, until in alive.items() if until > now}
        else:
            alive.pop(knock, None)
            assert book.let_go(WINDOW, knock, now=now) == (not alive)
