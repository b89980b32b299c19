"""A line between client and site in user space: delay, a narrow pipe, loss. The kernel here has no such queue.

UDP datagrams are delayed, and dropped with a fixed pattern. TCP bytes are delayed and squeezed; "loss" stalls them for
as long as a retransmission takes, since a relay that lost bytes would corrupt them.
"""

import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_STALL_SECONDS = 1.0
_CHUNK = 1_400


@dataclass
class Line:
    """What the line does to everything. `rate` is in bits a second; 0 means any."""

    one_way_seconds: float = 0.0
    rate: int = 0
    loss: float = 0.0


class Relay:
    """`udp_port` and `tcp_port` of the site are reached through ports of the relay; a context manager."""

    def __init__(self, line: Line, seed: int = 1) -> None:
        self.line = line
        self._chance = random.Random(seed)
        self._sockets: list[socket.socket] = []
        self._open = True

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        for sock in self._sockets:
            sock.close()

    def udp(self, port: int) -> int:
        """A port whose datagrams go on to `port`."""
        outside, inside = self._datagram(), self._datagram()

        def run() -> None:
            while self._open:
                try:
                    data, _ = outside.recvfrom(2_048)
                except OSError:
                    return
                if self._chance.random() < self.line.loss:
                    continue
                self._later(lambda data=data: inside.sendto(data, ("127.0.0.1", port)))  # type: ignore[misc]

        threading.Thread(target=run, daemon=True).start()
        return int(outside.getsockname()[1])

    def tcp(self, port: int) -> int:
        """A port whose connections go on to `port`, once the handshake would have been through the line."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listener)

        def run() -> None:
            while self._open:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self._connect, args=(client, port), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    def _connect(self, client: socket.socket, port: int) -> None:
        try:
            site = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            return
        self._sockets += [client, site]
        for source, sink in ((client, site), (site, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Bytes leave the line in order, each chunk no sooner than delay and rate allow."""
        free_at = time.monotonic()
        try:
            while data := source.recv(_CHUNK):
                took = len(data) * 8 / self.line.rate if self.line.rate else 0.0
                stall = _STALL_SECONDS if self._chance.random() < self.line.loss else 0.0
                free_at = max(free_at, time.monotonic()) + took + stall
                time.sleep(max(0.0, free_at + self.line.one_way_seconds - time.monotonic()))
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _datagram(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        self._sockets.append(sock)
        return sock

    def _later(self, act: Callable[[], object]) -> None:
        def safely() -> None:
            try:
                act()
            except OSError:
                return

        timer = threading.Timer(self.line.one_way_seconds, safely)
        timer.daemon = True
        timer.start()
