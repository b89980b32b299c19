"""The engineer's side: one SSH server connection that takes only the certificate that the knock named.

asyncssh checks the signature and the certificate's own limits; here its proof is caught for control, and everything
that is no session channel is refused. The overrides reach into asyncssh 2.24: their tests pin what they rely on.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncssh
import structlog
from asyncssh.packet import String

from broker.gateway import contract as c
from broker.gateway.authority import SshProof
from broker.gateway.channel_words import denial_line
from broker.gateway.channels import ChannelKind, Side, Terminal
from broker.gateway.doorway import ProvenConnection
from broker.gateway.knocks import plain_address
from broker.gateway.machine import MAX_CHANNELS
from broker.gateway.permits import Denial
from broker.protocols.ssh import options
from broker.protocols.ssh.codec import allowed_environment, exec_kind, plain_line, subsystem_kind
from broker.protocols.ssh.front_channel import FrontChannel
from broker.protocols.ssh.legs import SshLegs, limit_reads
from broker.protocols.ssh.sftp import SftpStream

_GOODBYE_SECONDS: Final = 0.5
_DENIED_CODE: Final = 14  # SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE

_log = structlog.get_logger("gateway.ssh")

Admit = Callable[[str, SshProof], Awaitable[SshLegs | Denial]]


class FrontConnection(asyncssh.SSHServerConnection):
    """asyncssh's server connection with our rules for proving who connects."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: asyncssh.SSHServerConnectionOptions,
        connection: ProvenConnection,
        admit: Admit,
    ) -> None:
        super().__init__(loop, settings)
        self._server_side = FrontServer(self)
        self._protocol_factory = lambda: self._server_side
        self._bind = connection.expectation.bind
        self._admit = admit
        self._tries = 0
        self._asked = False
        self.legs: SshLegs | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # A dual-stack listener shows IPv4 peers mapped; `source-address` in a certificate means the plain one.
        self._peer_addr = plain_address(self._peer_addr)
        limit_reads(transport)

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Accepts a certificate once its signature holds and control admits the session; asks control only once."""
        self._tries += 1
        if self._tries > options.MAX_AUTH_TRIES:
            raise asyncssh.DisconnectError(_DENIED_CODE, "Too many authentication attempts")
        if self._asked or not await super().validate_public_key(username, key_data, msg, signature):
            return False
        if not msg:
            return True
        self._asked = True
        session_id = self._session_id
        proof = SshProof(key_data, String(session_id) + msg, signature, session_id)
        answer = await self._admit(username, proof)
        if isinstance(answer, Denial):
            _log.info("not_admitted", code=answer.code, source=self._peer_addr)
            self.send_auth_banner(f"Sallyport: {plain_line(denial_line(answer.code, answer.message))}\r\n")
            self._loop.call_later(_GOODBYE_SECONDS, self.give_up)
            return False
        self.legs = answer
        return True

    def give_up(self) -> None:
        """Ends a login that cannot succeed any more."""
        if not self.is_closed() and self.legs is None:
            self.disconnect(_DENIED_CODE, "Access is not allowed")

    async def _validate_openssh_certificate(
        self, username: str, cert: asyncssh.public_key.SSHOpenSSHCertificate
    ) -> asyncssh.SSHKey | None:
        # asyncssh takes a certificate without principals for everybody; OpenSSH, and we, for nobody.
        accepted = [name for name in cert.principals if name in (username, options.USERNAME)]
        if not accepted or hashlib.sha256(cert.key.export_public_key("pkcs8-der")).digest() != self._bind:
            return None
        return await super()._validate_openssh_certificate(accepted[0], cert)

    async def _validate_client_public_key(self, username: str, key_data: bytes) -> asyncssh.SSHKey | None:
        return None  # a key without a certificate proves no grant

    async def _validate_x509_certificate_chain(self, username: str, cert: Any) -> asyncssh.SSHKey | None:
        return None


class FrontServer(asyncssh.SSHServer):
    """What asyncssh asks us about a connection; everything that is not named here it refuses by itself."""

    def __init__(self, connection: FrontConnection) -> None:
        self._connection = connection

    def begin_auth(self, username: str) -> bool:
        return True  # a falsy answer would let everybody in without a key

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        # Which authority signed is control's to judge, with the proof; here the certificate is tied to the knock.
        return True

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], "FrontSession"]:
        legs = self._connection.legs
        if legs is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no session is admitted")
        if legs.channel_count >= MAX_CHANNELS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many channels on one connection")
        return FrontChannel(self._connection), FrontSession(legs)

    def connection_lost(self, exc: Exception | None) -> None:
        legs = self._connection.legs
        if legs is not None:
            legs.feed(c.SideGone(Side.CLIENT, str(exc) if exc else ""))


class FrontSession(asyncssh.SSHServerSession[bytes]):
    """One session channel of the engineer."""

    def __init__(self, legs: SshLegs) -> None:
        self._legs = legs
        self._number = 0
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._terminal: Terminal | None = None
        self._kind = ChannelKind.SHELL
        self._text = ""
        self._started = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._number = self._legs.add_front(chan)

    def connection_lost(self, exc: Exception | None) -> None:
        self._legs.front_closed(self._number)

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        width, height, pixel_width, pixel_height = (min(size, 0xFFFF) for size in term_size)
        self._terminal = Terminal(
            plain_line(term_type)[:64], width, height, pixel_width, pixel_height, dict(term_modes)
        )
        self._legs.set_terminal(self._number)
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        if command:  # an empty command is a shell, also for the target
            self._kind, self._text = exec_kind(command), command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._kind, self._text = subsystem_kind(subsystem), subsystem
        return True

    def session_started(self) -> None:
        # Only now, behind the answer to the request: a refusal closes the channel, and must not overtake that answer.
        self._started = True
        environment: tuple[tuple[str, str], ...] = ()
        if self._channel is not None:
            environment = allowed_environment(self._channel.get_environment_bytes())
        files = SftpStream if self._kind is ChannelKind.FILE_TRANSFER else None
        self._legs.feed(c.ChannelRequested(self._number, self._kind, self._text, self._terminal, environment, files))

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._legs.feed(c.ClientBytes(self._number, data))

    def eof_received(self) -> bool:
        self._legs.feed(c.Ended(self._number, Side.CLIENT))
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        sizes = [min(n, 0xFFFF) for n in (width, height, pixwidth, pixheight)]
        if self._started:
            self._legs.feed(c.Resized(self._number, *sizes))

    def signal_received(self, signal: str) -> None:
        self._legs.feed(c.Signalled(self._number, plain_line(signal)[:32]))

    def break_received(self, msec: int) -> bool:
        self._legs.feed(c.Broken(self._number, msec))
        return True

    def pause_writing(self) -> None:
        self._legs.client_full(self._number, full=True)

    def resume_writing(self) -> None:
        self._legs.client_full(self._number, full=False)
