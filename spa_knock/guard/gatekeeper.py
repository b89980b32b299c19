"""Keeps the gate's filter on the knock sockets in step with the keys in force."""

import contextlib
import logging
import socket
from collections.abc import Sequence
from enum import StrEnum

from spa_knock.guard.gate_filter import gate_program, length_program
from spa_knock.link.socket_filter import DROP_ALL, FilterTooLarge, Program, attach, dropped

_log = logging.getLogger(__name__)


class Gate(StrEnum):
    """What the kernel lets through to the guard."""

    CLOSED = "closed"
    """Nothing: there is no roster yet."""
    KEYED = "keyed"
    """What has a knock's length and a gate tag that fits."""
    LENGTH_ONLY = "length_only"
    """What has a knock's length: the kernel has no room for the keyed filter, or refuses it."""


class Gatekeeper:
    """Begins with nothing let through. A change of keys replaces the filter in one step.

    Whoever binds the sockets (the service manager, long before) attaches no filter, and while no guard runs the last
    one's stays: what has come in by then is thrown away unread, once nothing more can follow.
    """

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._keys: tuple[bytes, ...] = ()
        self._dropped_before = [dropped(sock) for sock in sockets]
        self._dropped = 0
        self.gate = Gate.CLOSED
        for sock in sockets:
            attach(sock, DROP_ALL)
            self._dropped += _drain(sock)

    def keep(self, gate_keys: tuple[bytes, ...]) -> None:
        """Let through what these keys let through; without keys nothing."""
        if gate_keys == self._keys:
            return
        self._keys = gate_keys
        if not gate_keys:
            self._attach_everywhere(DROP_ALL)
            self.gate = Gate.CLOSED
            return
        program = gate_program(gate_keys)
        before = self.gate
        self.gate = Gate.KEYED
        for sock in self._sockets:
            if not self._try(sock, program):
                self.gate = Gate.LENGTH_ONLY
        if self.gate is not before:
            _log.log(
                logging.INFO if self.gate is Gate.KEYED else logging.WARNING,
                "the filter on the knock sockets is %s",
                self.gate,
            )

    def shed(self) -> int:
        """How many datagrams the kernel dropped at these sockets since this gatekeeper began."""
        for number, sock in enumerate(self._sockets):
            now = dropped(sock)
            self._dropped += (now - self._dropped_before[number]) % (1 << 32)
            self._dropped_before[number] = now
        return self._dropped

    def _attach_everywhere(self, program: Program) -> None:
        for sock in self._sockets:
            attach(sock, program)

    def _try(self, sock: socket.socket, program: Program) -> bool:
        """Attach the keyed filter; where the kernel has no room for old and new at once, by way of a small one.

        The small one lets more through for a moment and loses nothing: whatever comes in is judged again.
        """
        try:
            attach(sock, program)
        except FilterTooLarge:
            attach(sock, length_program())
            try:
                attach(sock, program)
            except FilterTooLarge as error:
                _log.warning("the keyed filter does not fit (%s): raise net.core.optmem_max", error)
                return False
        return True


def _drain(sock: socket.socket) -> int:
    """Throw away what waits in the socket; returns how many datagrams. Ends, because the filter lets none through."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
            count += 1
    return count
