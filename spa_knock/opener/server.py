"""The opener's sockets: one listener a peer, checked user id, one small loop without threads."""

import logging
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spa_knock.link.framing import Decoder, FramingError, encode
from spa_knock.link.process import peer_uid
from spa_knock.opener.config import Peer, Uids

_log = logging.getLogger(__name__)
MAX_CONNECTIONS_PER_PEER = 16
_RECEIVE_BYTES = 65_536

Answer = Callable[[Peer, Mapping[str, object]], dict[str, object]]


@dataclass(slots=True)
class _Connection:
    peer: Peer
    sock: socket.socket
    decoder: Decoder = field(default_factory=Decoder)


class Server:
    """Takes requests from the three listeners and sends each its answer."""

    def __init__(self, listeners: Mapping[Peer, socket.socket], uids: Uids, answer: Answer) -> None:
        self._uids = uids
        self._answer = answer
        self._selector = selectors.DefaultSelector()
        self._counts = dict.fromkeys(Peer, 0)
        for peer, listener in listeners.items():
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, peer)

    def serve_once(self, timeout_seconds: float | None = None) -> None:
        """Handle what is ready, waiting at most `timeout_seconds` (None: until something is)."""
        for key, _events in self._selector.select(timeout_seconds):
            if isinstance(key.data, _Connection):
                self._read(key.data)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj, Peer(key.data))

    def close(self) -> None:
        """Close every connection; the listeners belong to the caller."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Connection):
                self._drop(key.data)
        self._selector.close()

    def _accept(self, listener: socket.socket, peer: Peer) -> None:
        try:
            sock, _address = listener.accept()
        except OSError as error:
            _log.warning("a connection of %s could not be accepted: %s", peer, error)
            return
        uid = peer_uid(sock)
        if uid != self._uids.of(peer):
            _log.error("user id %d connected to the socket of %s and was sent away", uid, peer)
            sock.close()
            return
        if self._counts[peer] >= MAX_CONNECTIONS_PER_PEER:
            _log.error("%s has too many connections", peer)
            sock.close()
            return
        sock.setblocking(False)
        self._counts[peer] += 1
        self._selector.register(sock, selectors.EVENT_READ, _Connection(peer, sock))

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_RECEIVE_BYTES)
            if not data:
                self._drop(connection)
                return
            for message in connection.decoder.feed(data):
                reply = encode(self._answer(connection.peer, message))
                # A peer that does not read its answers loses the connection: nothing is queued for it.
                if connection.sock.send(reply) != len(reply):
                    raise BlockingIOError
        except BlockingIOError:
            _log.error("%s does not read its answers; its connection is closed", connection.peer)
            self._drop(connection)
        except FramingError as error:
            _log.error("%s broke the framing (%s); its connection is closed", connection.peer, error)
            self._drop(connection)
        except OSError as error:
            _log.warning("the connection of %s failed: %s", connection.peer, error)
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self._counts[connection.peer] -= 1
