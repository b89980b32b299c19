"""How a leg's TCP connection ends: at once and for certain, also when its far side takes nothing any more.

Closing a socket leaves what is buffered to the kernel, which goes on offering it for minutes. A reset drops it.
"""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from asyncssh import DISC_BY_APPLICATION
from asyncssh.connection import SSHConnection

_AT_ONCE: Final = struct.pack("ii", 1, 0)


def reset_when_closed(connection: SSHConnection) -> None:
    """Have this connection end with a reset: no byte that is still buffered leaves any more."""
    sock = connection.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


def disconnect(connection: SSHConnection, words: str) -> None:
    """Tell the far side that it is over, and close; nothing happens when it is closed already."""
    if not connection.is_closed():
        connection.disconnect(DISC_BY_APPLICATION, words)


def resetter(connection: SSHConnection) -> Callable[[], None]:
    """What ends this connection with a reset later, also after asyncssh has closed it; to be called once.

    Until then its last words may leave.
    """
    sock = connection.get_extra_info("socket")
    try:
        held = os.dup(sock.fileno()) if sock is not None else -1
    except OSError:
        held = -1

    def reset() -> None:
        if held >= 0:
            with suppress(OSError), socket.socket(fileno=held) as ours:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    return reset
