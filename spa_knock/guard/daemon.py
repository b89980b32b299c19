"""The guard's loop: datagrams in, three links, two clocks. One thread, no file but the stamp store."""

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from spa_knock.guard.clock import WatchedClock
from spa_knock.guard.errors import RosterError, StampStoreError
from spa_knock.guard.gatekeeper import Gatekeeper
from spa_knock.guard.guard import Guard
from spa_knock.guard.handover import Receiver, Send
from spa_knock.guard.links import Link
from spa_knock.guard.rules import Address
from spa_knock.guard.stamps import StampStore
from spa_knock.wire.packet import PACKET_BYTES

DATAGRAMS_PER_TURN = 512
"""So many datagrams of one socket before the links get their turn again."""
_TICK_SECONDS = 0.1
_FLUSH_SECONDS = 1.0
_RECEIVE_BUFFER_BYTES = 4 << 20

_log = logging.getLogger(__name__)


class Daemon:
    """Moves bytes between the sockets and the guard."""

    def __init__(
        self,
        *,
        knock_sockets: Sequence[socket.socket],
        links: Mapping[Receiver, Path],
        doors: Sequence[int],
        store: StampStore,
    ) -> None:
        self._knock_sockets = knock_sockets
        # First of all: nothing comes in before there is a roster to judge it by.
        self._gatekeeper = Gatekeeper(knock_sockets)
        self._links = {receiver: Link(receiver.name.lower(), path) for receiver, path in links.items()}
        self._store = store
        self._clock = WatchedClock(wall_ms(), boot_ms())
        self._guard = Guard(
            doors=doors,
            ports=[sock.getsockname()[1] for sock in knock_sockets],
            store=store,
            moment=self._clock.read(wall_ms(), boot_ms()),
            send=self._hand_over,
        )
        self._selector = selectors.DefaultSelector()
        self._watched: dict[Receiver, tuple[socket.socket, int]] = {}
        self._next_flush = 0.0
        for sock in knock_sockets:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            self._selector.register(sock, selectors.EVENT_READ)

    def turn(self) -> None:
        """One turn of the loop; waits at most a tenth of a second."""
        now = time.monotonic()
        self._keep_links(now)
        ready = self._selector.select(self._patience(now))
        now = time.monotonic()
        # Links first: a flood of datagrams must not delay the answers that accepted knocks wait for, and an answer that
        # is here is not too late because this process was held up.
        for key, events in ready:
            if key.data is not None:
                self._serve_link(Receiver(key.data), events, now)
        self._guard.tick(self._clock.read(wall_ms(), boot_ms()), now)
        self._gatekeeper.keep(self._guard.gate_keys)
        for key, _events in ready:
            if key.data is None and isinstance(key.fileobj, socket.socket):
                self._receive(key.fileobj, now)
        if now >= self._next_flush:
            self._next_flush = now + _FLUSH_SECONDS
            self._guard.flush()
            self._guard.note_gate(self._gatekeeper.gate, self._gatekeeper.shed())

    def close(self) -> None:
        """Let the links go; the store and the sockets belong to the caller."""
        now = time.monotonic()
        for link in self._links.values():
            link.drop(now, "the guard stops")
        self._selector.close()

    def _patience(self, now: float) -> float:
        limit = self._guard.next_limit()
        return _TICK_SECONDS if limit is None else max(0.0, min(_TICK_SECONDS, limit - now))

    def _keep_links(self, now: float) -> None:
        # All broken ones leave the selector first: a new socket may get a closed one's number.
        for receiver in self._links:
            self._watch(receiver)
        for receiver, link in self._links.items():
            if link.keep_up(now):
                self._guard.link_changed(receiver, is_up=True)
                self._watch(receiver)

    def _watch(self, receiver: Receiver) -> None:
        """Make the selector watch what the link is now, and tell the guard when it broke."""
        link = self._links[receiver]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.has_unsent else 0)
        watched = self._watched.get(receiver)
        if watched is not None and watched[0] is not link.socket:
            del self._watched[receiver]
            # A closed socket has left epoll by itself.
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(watched[0])
            self._guard.link_changed(receiver, is_up=link.is_up)
            watched = None
        if link.socket is None:
            return
        if watched is None:
            self._selector.register(link.socket, events, receiver)
        elif watched[1] != events:
            self._selector.modify(link.socket, events, receiver)
        self._watched[receiver] = (link.socket, events)

    def _serve_link(self, receiver: Receiver, events: int, now: float) -> None:
        link = self._links[receiver]
        if events & selectors.EVENT_WRITE:
            link.write(now)
        if events & selectors.EVENT_READ:
            for message in link.read(now):
                try:
                    self._guard.message(receiver, message, now)
                except RosterError as error:
                    link.drop(now, str(error))
                    return

    def _receive(self, sock: socket.socket, now: float) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                # One byte more than a knock, so that a longer datagram does not look like one.
                packet, address = sock.recvfrom(PACKET_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:
                _log.warning("a knock socket reported: %s", error)
                return
            self._guard.datagram(packet, source_address(address[0]), now)

    def _hand_over(self, send: Send) -> bool:
        return self._links[send.to].send(send.message, time.monotonic())


def source_address(text: str) -> Address:
    """The address a datagram came from: IPv4 on an IPv6 socket reads as IPv4, and a link-local one loses its zone."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def wall_ms() -> int:
    """Milliseconds since the epoch, as the wall clock shows."""
    return time.time_ns() // 1_000_000


def boot_ms() -> int:
    """Milliseconds since the machine started, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> bytes:
    """16 bytes that change with every boot. Raises StampStoreError when the kernel does not tell them."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except (OSError, ValueError) as error:
        raise StampStoreError("the boot id cannot be read") from error
