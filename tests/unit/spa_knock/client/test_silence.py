"""What a silence is explained with: certain things alone, likely things in order."""

import errno

import pytest

from spa_knock.client.silence import Evidence, Likelihood, causes, silence


@pytest.mark.parametrize(
    ("evidence", "code", "words"),
    [
        ({"udp_errors": frozenset({errno.EPERM})}, "local_firewall", "own firewall"),
        ({"tcp_errors": frozenset({errno.ECONNREFUSED})}, "wrong_network", "another machine"),
        ({"udp_errors": frozenset({errno.ECONNREFUSED})}, "port_closed", "port is closed"),
        ({"tcp_errors": frozenset({errno.EHOSTUNREACH})}, "unreachable", "no way"),
        ({"reached_ago_seconds": -3600.0}, "clock", "behind"),
    ],
)
def test_what_is_certain_is_the_whole_answer(evidence: dict[str, object], code: str, words: str) -> None:
    first = causes(Evidence(**evidence))[0]  # type: ignore[arg-type]
    assert (first.code, first.likelihood) == (code, Likelihood.CERTAIN)
    error = silence("Test Plant", Evidence(**evidence))  # type: ignore[arg-type]
    assert words in error.why
    assert error.do
    assert "either" not in error.why


def test_a_network_from_which_the_site_was_just_reached_points_at_the_site() -> None:
    first, *others = causes(Evidence(reached_ago_seconds=60.0, same_network=True))
    assert first.code == "not_accepted"
    assert not any("different addresses" in cause.why for cause in others)


def test_a_client_that_never_came_through_is_told_of_ways_that_differ() -> None:
    (udp,) = [cause for cause in causes(Evidence()) if cause.code == "udp_blocked"]
    assert "different addresses" in udp.why
    assert "never reached" not in udp.why


def test_a_new_network_points_at_itself() -> None:
    first = causes(Evidence(reached_ago_seconds=60.0, same_network=False, udp_ports=(443, 4500)))[0]
    assert first.code == "udp_blocked"
    assert "different addresses" in first.why
    assert "UDP 443, 4500" in first.do


def test_a_clock_that_was_set_is_named_before_the_network() -> None:
    found = causes(Evidence(clock_jump_seconds=-600.0))
    assert (found[0].code, found[0].likelihood) == ("clock", Likelihood.LIKELY)
    assert "-600 s" in found[0].why


def test_every_cause_says_what_to_do() -> None:
    for cause in causes(Evidence(last_offset_seconds=1.5)):
        assert cause.why
        assert cause.do
