"""Reading a target's host key from a real SSH server, and from what is none."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from broker.gateway.probing import Outcome
from broker.protocols.ssh.key_reader import read_key

ED25519 = asyncssh.generate_private_key("ssh-ed25519")
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256")


class Server(asyncssh.SSHServer):
    """Counts who gets as far as saying a name."""

    names: list[str]

    def begin_auth(self, username: str) -> bool:
        self.names.append(username)
        return True


@asynccontextmanager
async def ssh_server(**options: object) -> AsyncIterator[tuple[int, list[str]]]:
    Server.names = []
    keys = [ED25519, ECDSA]
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, **{"server_host_keys": keys, **options})
    try:
        yield server.get_port(), Server.names
    finally:
        server.close()


async def read(port: int, key_type: str = "") -> tuple[Outcome, str]:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        async with asyncio.timeout(20):
            return await read_key(sock, key_type)


def line(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


async def test_the_key_is_read_and_nobody_signs_in() -> None:
    async with ssh_server() as (port, names):
        assert await read(port) == (Outcome.KEY_SHOWN, line(ED25519))
        assert await read(port, "ecdsa-sha2-nistp256") == (Outcome.KEY_SHOWN, line(ECDSA))
        assert names == []


async def test_a_server_without_the_pinned_kind_shows_what_it_has() -> None:
    async with ssh_server(server_host_keys=[ECDSA]) as (port, _):
        assert await read(port, "ssh-ed25519") == (Outcome.KEY_SHOWN, line(ECDSA))


async def test_a_server_of_old_algorithms_only_is_told_as_such() -> None:
    async with ssh_server(kex_algs=["diffie-hellman-group1-sha1"]) as (port, _):
        outcome, key = await read(port)
    # Which of the two depends on who notices first.
    assert outcome in {Outcome.NO_COMMON_ALGORITHM, Outcome.CLOSED_EARLY}
    assert key == ""


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100, Outcome.NOT_THE_PROTOCOL),
        (b"", Outcome.NOT_THE_PROTOCOL),
        (b"SSH-2.0-x\r\n\x00\x00\x00\x01junk", Outcome.CLOSED_EARLY),
        (b"SSH-2.0-x\r\n", Outcome.CLOSED_EARLY),
    ],
)
async def test_what_is_no_ssh_server_or_closes_is_told_as_such(says: bytes, outcome: Outcome) -> None:
    async def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        assert await read(server.sockets[0].getsockname()[1]) == (outcome, "")
