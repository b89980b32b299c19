"""Real connections on the loopback interface whose far side reads nothing."""

import asyncio
import socket
from contextlib import suppress
from typing import cast

import asyncssh
import pytest
from asyncssh.connection import SSHConnection

from broker.protocols.ssh.ends import reset_when_closed, resetter


class Connection:
    """As much of asyncssh's connection as is asked for."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> socket.socket | None:
        assert name == "socket"
        return self._sock


def of(sock: socket.socket | None) -> SSHConnection:
    return cast("SSHConnection", Connection(sock))


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    theirs.settimeout(2)
    return ours, theirs


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(65_536))


def ends_with_a_reset(theirs: socket.socket) -> bool:
    try:
        while theirs.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return False


def test_what_is_buffered_does_not_outlive_a_reset_leg() -> None:
    ours, theirs = pair()
    with theirs:
        fill(ours)
        reset_when_closed(of(ours))
        ours.close()
        assert ends_with_a_reset(theirs)


def test_last_words_may_leave_before_the_reset_and_the_reset_comes_after_the_close() -> None:
    ours, theirs = pair()
    with theirs:
        reset = resetter(of(ours))
        ours.sendall(b"bye")
        ours.close()
        assert theirs.recv(10) == b"bye"
        theirs.settimeout(0.1)
        with pytest.raises(TimeoutError):
            theirs.recv(10)
        reset()
        theirs.settimeout(2)
        assert ends_with_a_reset(theirs)


def test_a_connection_that_is_gone_already_is_no_error() -> None:
    ours, theirs = pair()
    ours.close()
    theirs.close()
    reset_when_closed(of(ours))
    resetter(of(ours))()
    reset_when_closed(of(None))
    resetter(of(None))()


async def test_asyncssh_still_tells_its_socket() -> None:
    ours, theirs = pair()
    seen: list[object] = []

    class Client(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            seen.append(conn.get_extra_info("socket").fileno())

    with ours, theirs:
        connecting = asyncssh.connect(sock=theirs, client_factory=Client, config=None, known_hosts=None)
        task = asyncio.ensure_future(connecting)
        async with asyncio.timeout(5):
            while not seen:
                await asyncio.sleep(0.01)
        assert seen == [theirs.fileno()]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
