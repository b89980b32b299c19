"""Getting through a door: the first attempt that is up wins, and a shut door is None in time."""

import errno
import socket
import threading
import time

from spa_knock.client.connecting import ROUND_SECONDS, Trace, connect_within
from tests.unit.spa_knock.client.fake_site import unanswered_port


def test_an_open_door_gives_a_blocking_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = connect_within("127.0.0.1", listener.getsockname()[1], 2)
        assert connection is not None
        with connection:
            assert connection.gettimeout() is None
            assert connection.getpeername() == listener.getsockname()
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_ipv6_door_is_reached() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        connection = connect_within("::1", listener.getsockname()[1], 2)
        assert connection is not None
        connection.close()


def test_a_door_that_opens_late_is_reached_within_the_same_round() -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        opening = threading.Timer(0.2, door.listen)
        opening.start()
        begun_at = time.monotonic()
        connection = connect_within("127.0.0.1", door.getsockname()[1], 5)
        assert connection is not None
        connection.close()
        assert time.monotonic() - begun_at < 2
        opening.join()


def test_a_shut_door_is_none_after_its_time() -> None:
    with unanswered_port() as port:
        begun_at = time.monotonic()
        assert connect_within("127.0.0.1", port, 0.3) is None
        assert 0.25 < time.monotonic() - begun_at < 2


def test_all_rounds_together_take_eight_seconds() -> None:
    assert sum(ROUND_SECONDS) == 8.0


def test_what_was_seen_is_taken_down() -> None:
    trace = Trace()
    with unanswered_port() as port:
        assert connect_within("127.0.0.1", port, 0.2, trace) is None
    assert (trace.errors, trace.won_after_seconds) == ({errno.ECONNREFUSED}, None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = connect_within("127.0.0.1", listener.getsockname()[1], 2, trace)
        assert connection is not None
        connection.close()
    assert trace.won_after_seconds is not None
    assert 0.03 <= trace.won_after_seconds < 2
