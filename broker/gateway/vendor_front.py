"""The vendor face: ends TLS here, so that control never parses a byte from somebody who is not known.

Only TLS 1.3 with a client certificate of the site's device authority, and only the key that the knock named. The
decrypted bytes go to control's vendor socket behind one framed message that says who speaks.
"""

import asyncio
import hashlib
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.gateway.authority import b64
from broker.gateway.doorway import ProvenConnection
from spa_knock.link.framing import encode

HANDSHAKE_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 300.0
_CLOSE_SECONDS: Final = 2.0
_BUFFER_BYTES: Final = 65_536

_log = structlog.get_logger("gateway.vendor_front")


def server_context(chain_file: Path, key_file: Path, device_ca_file: Path) -> ssl.SSLContext:
    """TLS 1.3 only, client certificate required, no session tickets (a revoked device must not resume)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(chain_file, key_file)
    context.load_verify_locations(cafile=device_ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def key_hash(certificate_der: bytes) -> bytes:
    """SHA-256 over the certificate's SubjectPublicKeyInfo: what a knock binds to."""
    public_key = x509.load_der_x509_certificate(certificate_der).public_key()
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


class VendorFront:
    """Serves the connections of the vendor door."""

    def __init__(self, context: ssl.SSLContext, vendor_socket: Path) -> None:
        self._context = context
        self._vendor_socket = vendor_socket

    async def serve(self, connection: ProvenConnection) -> None:
        """One connection, from the TLS handshake to its end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_BUFFER_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection.sock,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_CLOSE_SECONDS,
            )
        except (OSError, ssl.SSLError) as error:
            _log.info("handshake_failed", source=connection.source, error=str(error))
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self._known(connection, reader, writer)
        finally:
            with suppress(AttributeError):  # Python 3.11's TLS transport, once it is closed for good
                transport.abort()

    async def _known(
        self, connection: ProvenConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        expectation = connection.expectation
        if not certificate or key_hash(certificate) != expectation.bind:
            _log.warning("other_key_than_the_knock", source=connection.source, device_id=expectation.device_id)
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                inner_reader, inner_writer = await asyncio.open_unix_connection(
                    self._vendor_socket, limit=_BUFFER_BYTES
                )
        except (OSError, TimeoutError) as error:
            _log.warning("control_not_reachable", error=str(error))
            return
        try:
            preamble = {
                "type": "vendor",
                "device_id": expectation.device_id,
                "knock_id": expectation.knock_id,
                "source": connection.source,
                "source_port": connection.source_port,
                "certificate_b64": b64(certificate),
                "signed_knock_b64": b64(expectation.signed_knock),
            }
            inner_writer.write(encode(preamble))
            async with asyncio.TaskGroup() as tasks:
                outward = tasks.create_task(_pump(inner_reader, writer))
                inward = tasks.create_task(_pump(reader, inner_writer))
                await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
                # Control ends a connection after its answer; a client that only half-closes still gets that answer.
                if not outward.done():
                    await asyncio.wait((outward,), timeout=_CLOSE_SECONDS)
                outward.cancel()
                inward.cancel()
            await _finish(writer)
        finally:
            inner_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until the end, with at most one buffer in flight."""
    try:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                data = await reader.read(_BUFFER_BYTES)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, ssl.SSLError, TimeoutError):
        return


async def _finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await writer.wait_closed()
    except (OSError, ssl.SSLError, TimeoutError):
        return
