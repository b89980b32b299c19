"""The engineer's side of one channel: a close of the client is answered only once the exit status is told.

A stock client closes a channel as soon as both directions have ended; OpenSSH's server then still tells how the program
ended and closes after that. asyncssh 2.24 answers the close at once, and the status would be lost: mostly with a shared
connection (ControlMaster), whose client needs no further turn to close. The override reaches into asyncssh; its tests
pin what it relies on.
"""

from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.constants import MSG_CHANNEL_CLOSE

from broker.protocols.ssh import options

if TYPE_CHECKING:
    _Base = asyncssh.SSHServerChannel[bytes]
else:
    _Base = asyncssh.SSHServerChannel


class FrontChannel(_Base):
    """A session channel of raw bytes."""

    def __init__(self, connection: asyncssh.SSHServerConnection) -> None:
        connection._update_recv_pktlen(options.PACKET_BYTES)
        loop, allow_pty = connection._loop, connection._allow_pty
        super().__init__(
            connection,
            loop,
            allow_pty,
            line_editor=False,
            line_echo=False,
            line_history=0,
            max_line_length=0,
            encoding=None,
            errors="strict",
            window=options.WINDOW_BYTES,
            max_pktsize=options.PACKET_BYTES,
        )
        self._clients_close: tuple[int, int, Any] | None = None

    def _close_of_client(self, kind: int, number: int, packet: Any) -> None:
        if self._send_state == "eof" and self._recv_state == "eof" and self._clients_close is None:
            self._clients_close = kind, number, packet
        else:
            super()._process_close(kind, number, packet)

    def _close_send(self) -> None:
        super()._close_send()
        late, self._clients_close = self._clients_close, None
        if late is not None:
            super()._process_close(*late)

    _packet_handlers = {**_Base._packet_handlers, MSG_CHANNEL_CLOSE: _close_of_client}  # noqa: RUF012
