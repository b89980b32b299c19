"""A link: connects again, never blocks, bounds what it holds."""

import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from spa_knock.guard.links import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, MAX_UNSENT_BYTES, Link
from spa_knock.link.framing import Decoder, encode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def server(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(4)
        server.settimeout(2)
        yield server


def connected(path: Path, server: socket.socket) -> tuple[Link, socket.socket]:
    link = Link("control", path)
    assert link.keep_up(0.0)
    other, _address = server.accept()
    other.settimeout(2)
    return link, other


def test_messages_go_both_ways(path: Path, server: socket.socket) -> None:
    link, other = connected(path, server)
    with other:
        assert link.send({"type": "one"}, 0.0)
        assert Decoder().feed(other.recv(100)) == [{"v": 1, "type": "one"}]
        other.sendall(encode({"type": "two"}))
        assert link.read(0.0) == [{"v": 1, "type": "two"}]
        assert link.read(0.0) == []
    link.drop(0.0, "the test is over")


def test_a_daemon_that_is_not_there_is_tried_again_with_growing_pauses(path: Path) -> None:
    link, now, tries = Link("control", path), 0.0, []
    while now < 8:
        before = link._next_try
        link.keep_up(now)
        if link._next_try != before:
            tries.append(now)
        now += 0.05
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps[0] >= FIRST_PAUSE_SECONDS
    assert gaps == sorted(gaps)
    assert gaps[-1] <= LONGEST_PAUSE_SECONDS + 0.1
    assert not link.send({"type": "one"}, now)


def test_a_lost_connection_is_noticed_and_made_again(path: Path, server: socket.socket) -> None:
    link, other = connected(path, server)
    other.close()
    assert link.read(10.0) == []
    assert not link.is_up
    assert not link.keep_up(10.0)
    assert link.keep_up(10.0 + FIRST_PAUSE_SECONDS)
    link.drop(11.0, "the test is over")


def test_a_daemon_that_closes_at_once_is_not_tried_without_end(path: Path, server: socket.socket) -> None:
    link, now, connections = Link("control", path), 0.0, 0
    while now < 10:
        if link.keep_up(now):
            connections += 1
            other, _address = server.accept()
            other.sendall(encode({"type": "hello"}))
            other.close()
        link.read(now)
        now += 0.05
    assert connections < 12


def test_broken_framing_drops_the_link(path: Path, server: socket.socket) -> None:
    link, other = connected(path, server)
    with other:
        other.sendall(b"\xff\xff\xff\xff")
        assert link.read(0.0) == []
        assert not link.is_up


def test_a_daemon_that_does_not_read_loses_the_link_after_a_bounded_backlog(path: Path, server: socket.socket) -> None:
    link, other = connected(path, server)
    with other:
        sent = 0
        while link.send({"type": "fill", "data": "x" * 60_000}, 0.0):
            sent += 1
            assert sent * 60_000 < MAX_UNSENT_BYTES + 4_000_000
        assert not link.is_up
        assert not link.has_unsent


def test_what_is_held_back_goes_out_when_there_is_room(path: Path, server: socket.socket) -> None:
    link, other = connected(path, server)
    decoder, received, sent = Decoder(), 0, 0
    with other:
        for _ in range(100):
            assert link.send({"type": "fill", "data": "x" * 60_000}, 0.0)
            sent += 1
            if link.has_unsent:
                break
        while received < sent:
            received += len(decoder.feed(other.recv(65_536)))
            link.write(0.0)
    assert not link.has_unsent
    link.drop(0.0, "the test is over")
