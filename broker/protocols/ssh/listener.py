"""Serves SSH on proven connections: logs the engineer in with control's word, then runs the session to its end."""

import asyncio
import logging
from typing import Final

import asyncssh
import structlog

from broker.gateway.authority import AdmitRequest, SshProof
from broker.gateway.doorway import ProvenConnection
from broker.gateway.driver import SessionDriver
from broker.gateway.gateway import GatewayConfig, Sessions, TooManySessions
from broker.gateway.local_link import PeerRefused, PeerSilent
from broker.gateway.permits import Admission, BadAnswer, Denial
from broker.protocols.ssh import options
from broker.protocols.ssh.front import FrontConnection
from broker.protocols.ssh.legs import SshLegs

PROTOCOL: Final = "ssh"
_CLOSE_SECONDS: Final = 5.0
_SILENT: Final = Denial("no_control", "The broker's control does not answer. Try again in a minute.")

_log = structlog.get_logger("gateway.ssh")


class SshListener:
    """One for all connections: holds the host key and the limits of the server side."""

    def __init__(self, config: GatewayConfig, sessions: Sessions) -> None:
        self._config = config
        self._sessions = sessions
        self._settings: asyncssh.SSHServerConnectionOptions | None = None
        # At lower levels asyncssh writes commands and environments into the log.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)

    async def start(self) -> None:
        """Reads the host key and its certificate. Raises OSError or asyncssh.KeyImportError."""
        certificate = self._config.ssh_host_certificate_file
        key = asyncssh.read_private_key(self._config.ssh_host_key_file)
        host_keys = [(key, asyncssh.read_certificate(certificate))] if certificate is not None else [key]
        self._settings = await asyncssh.SSHServerConnectionOptions.construct(
            None,
            config=None,
            server_host_keys=host_keys,
            server_version=options.SOFTWARE_NAME,
            kex_algs=options.KEX_ALGS,
            encryption_algs=options.ENCRYPTION_ALGS,
            mac_algs=options.MAC_ALGS,
            signature_algs=options.SIGNATURE_ALGS,
            compression_algs=None,
            public_key_auth=True,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            x509_trusted_certs=None,
            send_server_host_keys=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
            allow_scp=False,
            encoding=None,
            login_timeout=options.LOGIN_SECONDS,
            keepalive_interval=options.KEEPALIVE_SECONDS,
            keepalive_count_max=options.KEEPALIVE_COUNT,
        )

    async def serve(self, connection: ProvenConnection) -> None:
        """One connection to its end."""
        if self._settings is None:
            raise RuntimeError("the listener serves before it was started")
        loop = asyncio.get_running_loop()
        admitted: asyncio.Future[SessionDriver] = loop.create_future()
        asked: list[asyncio.Task[Admission | Denial]] = []
        front: FrontConnection

        async def admit(username: str, proof: SshProof) -> SshLegs | Denial:
            # Shielded: a client that leaves now must not make us lose the answer, which may be a session.
            asked.append(asyncio.create_task(self._admit(connection, username, proof)))
            answer = await asyncio.shield(asked[0])
            if isinstance(answer, Denial):
                return answer
            legs = SshLegs()
            driver = self._sessions.begin(answer, legs)
            legs.attach(front, driver.feed)
            admitted.set_result(driver)
            return legs

        settings = self._settings
        front = FrontConnection(loop, settings, connection, admit)
        await loop.create_connection(lambda: front, sock=connection.sock)
        closed = asyncio.ensure_future(front.wait_closed())
        try:
            await asyncio.wait((closed, admitted), return_when=asyncio.FIRST_COMPLETED)
            if admitted.done():
                await self._sessions.run(admitted.result())
            elif asked:
                answer = await asked[0]
                if isinstance(answer, Admission):
                    self._sessions.reject(answer, "client_left")
            await asyncio.wait((closed,), timeout=_CLOSE_SECONDS)
        finally:
            front.abort()
            closed.cancel()

    async def _admit(self, connection: ProvenConnection, username: str, proof: SshProof) -> Admission | Denial:
        expectation = connection.expectation
        request = AdmitRequest(
            protocol=PROTOCOL,
            knock_id=expectation.knock_id,
            device_id=expectation.device_id,
            grant_id=expectation.grant_id,
            source=connection.source,
            source_port=connection.source_port,
            username=username,
            signed_knock=expectation.signed_knock,
            proof=proof,
        )
        try:
            answer = await self._sessions.admit(request)
        except TooManySessions:
            return Denial("too_many_sessions", "The broker serves as many sessions as it can. Try again later.")
        except PeerRefused as refusal:
            return Denial(refusal.code, refusal.message or "Access is not allowed.")
        except (PeerSilent, BadAnswer, ValueError) as error:
            _log.error("admit_failed", error=str(error))
            return _SILENT
        if isinstance(answer, Denial):
            return answer
        permit = answer.permit
        if (
            permit.protocol != PROTOCOL
            or permit.device_id != expectation.device_id
            or permit.source != connection.source
            or username not in (options.USERNAME, permit.account)
        ):
            self._sessions.reject(answer, "permit_mismatch")
            return Denial("permit_mismatch", f"Sign in as {options.USERNAME} or as {permit.account}.")
        return answer
