"""Control's end of the vendor face: HTTP from the gateway, each connection opened by one framed preamble.

The gateway ends the vendor's TLS and forwards the decrypted stream over a Unix socket. What it knows of the connection
(device, knock, source, certificate) comes in the preamble, never in a header a vendor could write. The preamble is a
message of `spa_knock.link.framing`; the HTTP stream follows it.
"""

import base64
import binascii
import socket
from collections.abc import Mapping
from typing import Any, Final

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from broker.app.vendor_proof import KnockProofs, UnprovenConnection
from broker.identities.access import VendorConnection
from spa_knock.link.framing import Decoder, FramingError
from spa_knock.link.process import peer_uid

_LENGTH_BYTES: Final = 4
_PREAMBLE_BYTES: Final = 16_384
_log = structlog.get_logger(__name__)


class PreambleError(Exception):
    """The first message of a connection is not what a gateway says."""


def connection_of(message: Mapping[str, object]) -> VendorConnection:
    """The facts of a vendor's connection from the gateway's preamble.

    Raises PreambleError when a field is absent or of the wrong type.
    """
    if message.get("type") != "vendor":
        raise PreambleError("the first message must be of the type vendor")
    try:
        port = message["source_port"]
        if not isinstance(port, int) or isinstance(port, bool):
            raise PreambleError("source_port must be a number")
        return VendorConnection(
            device_id=_text(message, "device_id"),
            knock_id=_text(message, "knock_id"),
            source=_text(message, "source"),
            source_port=port,
            certificate_der=base64.b64decode(_text(message, "certificate_b64"), validate=True),
            signed_knock=base64.b64decode(_text(message, "signed_knock_b64"), validate=True),
        )
    except KeyError as error:
        raise PreambleError(f"{error.args[0]} is missing") from None
    except binascii.Error:
        raise PreambleError("a binary field is not base64") from None


def _text(message: Mapping[str, object], key: str) -> str:
    value = message[key]
    if not isinstance(value, str) or len(value) > _PREAMBLE_BYTES:
        raise PreambleError(f"{key} must be text")
    return value


def vendor_protocol(gateway_uid: int, proofs: KnockProofs) -> type[H11Protocol]:
    """The uvicorn protocol for the vendor socket: for the gateway alone, each connection proved by its device."""

    class VendorProtocol(H11Protocol):
        """HTTP/1.1 after one preamble; the connection's facts are `request.state.vendor`."""

        _early: bytes | None = b""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            sock: socket.socket = transport.get_extra_info("socket")
            if peer_uid(sock) != gateway_uid:
                _log.error("vendor_socket_wrong_peer", uid=peer_uid(sock))
                transport.abort()

        def data_received(self, data: bytes) -> None:
            if self._early is None:
                super().data_received(data)
                return
            self._early += data
            if len(self._early) < _LENGTH_BYTES:
                return
            end = _LENGTH_BYTES + int.from_bytes(self._early[:_LENGTH_BYTES], "big")
            if end > _PREAMBLE_BYTES:
                self._refuse("the preamble is too long")
                return
            if len(self._early) < end:
                return
            try:
                (message,) = Decoder().feed(self._early[:end])
                connection = connection_of(message)
                proofs.check(connection)
            except (FramingError, PreambleError, UnprovenConnection, ValueError) as error:
                self._refuse(str(error))
                return
            self.client = (connection.source, connection.source_port)
            self.scheme = "https"
            self.app_state = {**self.app_state, "vendor": connection}
            rest, self._early = self._early[end:], None
            if rest:
                super().data_received(rest)

        def _refuse(self, why: str) -> None:
            _log.error("vendor_preamble_refused", why=why)
            self.transport.abort()

    return VendorProtocol
