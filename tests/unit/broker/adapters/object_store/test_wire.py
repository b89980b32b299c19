import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.adapters.object_store.wire import MOST_BYTES, WireError, receive, send
from spa_knock.link.framing import encode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    one.settimeout(5)
    other.settimeout(5)
    with one, other:
        yield one, other


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_message_its_bytes_and_its_file_arrive(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with (tmp_path / "file").open("rb") as file:
        send(ends[0], {"type": "x", "name": "n", "count": 3}, b"behind", file.fileno())
    heard = receive(ends[1])
    assert (heard.text("name"), heard.number("count"), heard.payload) == ("n", 3, b"behind")
    assert heard.descriptor is not None
    assert os.pread(heard.descriptor, 10, 0) == b"content"
    os.close(heard.descriptor)


def test_a_field_of_another_kind_is_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    send(ends[0], {"type": "x", "name": 1, "count": "3", "less": -1})
    heard = receive(ends[1])
    for ask in (lambda: heard.text("name"), lambda: heard.number("count"), lambda: heard.number("less")):
        with pytest.raises(WireError):
            ask()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}",
        encode({"type": "x"}),
        encode({"type": "x", "bytes": MOST_BYTES + 1}),
        encode({"type": "x", "bytes": -1}),
        encode({"type": "x", "bytes": 5}) + b"four",
    ],
)
def test_what_is_no_message_is_refused_and_its_file_closed(
    ends: tuple[socket.socket, socket.socket], data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    before = open_files()
    with (tmp_path / "file").open("rb") as file:
        if data:
            socket.send_fds(ends[0], [data], [file.fileno()])
    ends[0].shutdown(socket.SHUT_WR)
    with pytest.raises(WireError):
        receive(ends[1])
    assert open_files() == before


def test_a_peer_that_left_is_told(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].close()
    with pytest.raises(WireError):
        send(ends[0], {"type": "x"}, b"x" * MOST_BYTES)


def test_a_message_that_is_too_large_is_not_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(WireError):
        send(ends[0], {"type": "x", "name": "n" * 70_000})
