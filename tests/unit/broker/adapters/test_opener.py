import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.adapters.opener import Opener
from broker.kernel.errors import Unavailable
from spa_knock.link.framing import Decoder, encode


class _Listener:
    """A socket that answers each message with what the test wants, and keeps what it heard."""

    def __init__(self, path: Path) -> None:
        self.heard: list[dict[str, object]] = []
        self.answer: dict[str, object] | None = {"type": "done"}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(5)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer_all(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        decoder = Decoder()
        while data := connection.recv(4096):
            for message in decoder.feed(data):
                self.heard.append(message)
                if self.answer is None:
                    return
                connection.sendall(encode(self.answer))

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[_Listener]:
    made = _Listener(tmp_path / "opener.sock")
    yield made
    made.stop()


@pytest.fixture
def opener(tmp_path: Path, listener: _Listener) -> Iterator[Opener]:
    made = Opener(tmp_path / "opener.sock")
    yield made
    made.close()


def test_each_wish_is_one_message(opener: Opener, listener: _Listener) -> None:
    opener.allow_egress("10.50.0.20", 22, 60)
    opener.revoke(7)
    opener.close_door(2, "198.51.100.7")
    opener.reset(2, "198.51.100.7", 50123)
    opener.reset_egress("10.50.0.20", 22)
    assert [message["type"] for message in listener.heard] == ["egress", "revoke", "close", "reset", "egress_reset"]
    assert listener.heard[0]["seconds"] == 60


def test_a_refusal_is_raised_with_its_reason(opener: Opener, listener: _Listener) -> None:
    listener.answer = {"type": "refused", "code": "mark_refused"}
    with pytest.raises(Unavailable, match="mark_refused"):
        opener.revoke(7)


def test_an_opener_that_was_restarted_is_asked_again(opener: Opener, listener: _Listener) -> None:
    opener.revoke(1)
    listener.answer = None
    with pytest.raises(Unavailable):
        opener.revoke(2)
    listener.answer = {"type": "done"}
    opener.revoke(3)
    assert listener.heard[-1]["mark"] == 3


def test_revoked_marks_are_restated_in_messages_of_bounded_size(opener: Opener, listener: _Listener) -> None:
    opener.restate_revoked(range(1, 5_001))
    marks = [message["marks"] for message in listener.heard]
    assert [len(part) for part in marks if isinstance(part, list)] == [4_096, 904]


def test_a_status_is_read_and_one_that_makes_no_sense_is_no_answer(opener: Opener, listener: _Listener) -> None:
    window = {"door": 1, "address": "198.51.100.7", "port": 443, "milliseconds_left": 900, "knock_ids": ["aa" * 12]}
    listener.answer = {
        "type": "done",
        "rules": "whole",
        "counters": {"shed_nonce": 4},
        "windows": [window],
        "windows_total": 1,
        "egress": [{"address": "10.50.0.20", "port": 22, "milliseconds_left": 60_000}],
        "egress_total": 1,
        "revoked_total": 2,
        "used_nonces_total": 3,
    }
    status = opener.status()
    assert (status.rules_are_whole, status.counters, status.revoked_total) == (True, {"shed_nonce": 4}, 2)
    assert status.windows[0].knock_ids == ("aa" * 12,)
    assert status.ways[0].port == 22
    listener.answer = {"type": "done", "rules": "whole"}
    with pytest.raises(Unavailable, match="makes no sense"):
        opener.status()


def test_an_opener_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Opener(tmp_path / "absent.sock").revoke(1)


def test_whether_it_answers_is_found_by_a_wish_without_effect(opener: Opener, listener: _Listener) -> None:
    assert opener.answers()
    assert listener.heard[-1]["type"] == "egress_close"
    listener.answer = {"type": "refused", "code": "firewall"}
    assert not opener.answers()
    listener.answer = None
    assert not opener.answers()
