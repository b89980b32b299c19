"""A client that closes early still learns the exit status. Pins what this relies on in asyncssh."""

import asyncio

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_CLOSE

from broker.protocols.ssh.front_channel import FrontChannel


class Session(asyncssh.SSHServerSession[bytes]):
    """Ends its output at once and its program a moment later."""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self.channel.write_eof()
        asyncio.get_running_loop().call_later(0.05, self.channel.exit, 7)

    def eof_received(self) -> bool:
        return True


class Server(asyncssh.SSHServer):
    patient = True

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], Session]:
        if self.patient:
            return FrontChannel(self.connection), Session()
        return self.connection.create_server_channel(encoding=None), Session()


class Hasty(asyncssh.SSHClientSession[bytes]):
    """Closes as stock ssh does: as soon as both directions have ended."""

    status: int | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.channel = chan

    def eof_received(self) -> bool:
        self.channel.send_packet(MSG_CHANNEL_CLOSE)
        return True

    def exit_status_received(self, status: int) -> None:
        self.status = status


@pytest.mark.parametrize("patient", [True, False])
async def test_a_close_is_answered_once_the_status_is_told(*, patient: bool) -> None:
    class Chosen(Server):
        pass

    Chosen.patient = patient
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(Chosen, "127.0.0.1", 0, server_host_keys=[key], gss_host=None)
    async with (
        server,
        asyncssh.connect(
            "127.0.0.1",
            server.get_port(),
            known_hosts=None,
            config=None,
            agent_path=None,
            client_keys=None,
            gss_host=None,
        ) as client,
    ):
        channel, session = await client.create_session(Hasty, "x", encoding=None)
        channel.write_eof()
        await asyncio.wait_for(channel.wait_closed(), 5)
        # The second case shows what the override is for: should it fail, asyncssh has learned this itself.
        assert session.status == (7 if patient else None)
