"""The short cut from a mark to its sockets: bounded, newest kept, forgotten once used."""

from ipaddress import ip_address

from spa_knock.opener.conntrack import Flow
from spa_knock.opener.marked import MAX_MARKS, SOCKETS_OF_A_MARK, MarkedSockets
from spa_knock.opener.sockets import Connection


def a_connection(number: int) -> Connection:
    flow = Flow(ip_address("198.51.100.1"), 443, ip_address("198.51.100.7"), number)
    return Connection(flow, 2, number.to_bytes(48, "big"), 0)


def test_a_mark_has_its_sockets_newest_first_until_they_are_taken() -> None:
    marked = MarkedSockets()
    marked.note(9, [a_connection(1)])
    marked.note(9, [a_connection(2), a_connection(1)])
    marked.note(8, [a_connection(3)])
    assert marked.take(9) == (a_connection(2), a_connection(1))
    assert marked.take(9) == ()
    assert marked.take(8) == (a_connection(3),)


def test_a_mark_keeps_a_bounded_number_of_its_newest_sockets() -> None:
    marked = MarkedSockets()
    for number in range(SOCKETS_OF_A_MARK + 2):
        marked.note(9, [a_connection(number)])
    taken = marked.take(9)
    assert (len(taken), taken[0], taken[-1]) == (
        SOCKETS_OF_A_MARK,
        a_connection(SOCKETS_OF_A_MARK + 1),
        a_connection(2),
    )


def test_the_mark_that_was_used_longest_ago_gives_way() -> None:
    marked = MarkedSockets()
    for mark in range(1, MAX_MARKS + 1):
        marked.note(mark, [a_connection(mark)])
    marked.note(1, [a_connection(1)])
    marked.note(MAX_MARKS + 1, [a_connection(0)])
    assert marked.take(2) == ()
    assert marked.take(1) == (a_connection(1),)
