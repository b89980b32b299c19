"""Two hidden brokers and everybody outside them, in network namespaces: one for us, one for fwknopd, one client side.

The outside owns two whole networks, so that each knock has a source address of its own: `10.66.0.0/16` for those who
knock and `10.77.0.0/16` for everybody else.
"""

import contextlib
import ctypes
import itertools
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from tests.contract.namespaces import BROKER4, DOORS, KNOCK_PORT, VENDOR4, Lab, run

OTHER_BROKER4, OTHER_VENDOR4 = "192.0.2.1", "192.0.2.7"
KNOCKERS, STRANGERS = "10.66.0.0/16", "10.77.0.0/16"
STRANGER = "10.77.0.9"
PORT = DOORS[1]
SYN_EVERY_SECONDS = 0.0002
_MOST_WAITING = 64

Result = TypeVar("Result")
_numbers = itertools.count(256)


def fresh_address() -> str:
    """An address outside that has not knocked yet."""
    return str(IPv4Address("10.66.0.0") + next(_numbers))


@dataclass
class Outside:
    """The network namespace of everybody outside, seen from this process."""

    namespace: str
    broker: str

    def inside(self, function: Callable[[], Result]) -> Result:
        """Run `function` there, in this thread."""
        with _entered(self.namespace):
            return function()


class Network(Lab):
    """Our broker's lab with the outside's networks, and a second broker for fwknopd on a cable of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.other = f"spt-{os.getpid()}-f"

    def _build(self) -> None:
        super()._build()
        run("ip", "netns", "add", self.other)
        run("ip", "-n", self.other, "link", "set", "lo", "up")
        run("ip", "-n", self.vendor, "link", "add", "far1", "type", "veth", "peer", "name", "out0", "netns", self.other)
        self._address(self.vendor, "far1", [f"{OTHER_VENDOR4}/24"])
        self._address(self.other, "out0", [f"{OTHER_BROKER4}/24"])
        for network in (KNOCKERS, STRANGERS):
            run("ip", "-n", self.vendor, "route", "add", "local", network, "dev", "lo")
            run("ip", "-n", self.broker, "route", "add", network, "via", VENDOR4)
            run("ip", "-n", self.other, "route", "add", network, "via", OTHER_VENDOR4)

    def __exit__(self, *error: object) -> None:
        super().__exit__(None, None, None)
        subprocess.run(["ip", "netns", "del", self.other], check=False, capture_output=True)

    def ours(self) -> Outside:
        return Outside(self.vendor, BROKER4)

    def fwknops(self) -> Outside:
        return Outside(self.vendor, OTHER_BROKER4)


def serve(lab: Network, namespace: str) -> socket.socket:
    """A TCP listener behind the door that takes and drops connections in a thread."""
    listener = lab.listen(namespace, PORT)
    listener.settimeout(None)

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.close()

    threading.Thread(target=take, daemon=True).start()
    return listener


def send_and_connect(broker: str, packet: bytes, source: str, limit_seconds: float) -> float | None:
    """Seconds from the datagram to the first SYN-ACK; None when none came. Runs in the outside's namespace.

    A new SYN leaves every 0.2 ms, so that the result does not round up to the kernel's own retry.
    """
    with contextlib.ExitStack() as stack:
        poller = stack.enter_context(contextlib.closing(select.epoll()))
        waiting: list[socket.socket] = []
        stack.callback(lambda: [one.close() for one in waiting])
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.bind((source, 0))
        begun = time.perf_counter()
        sender.sendto(packet, (broker, KNOCK_PORT))
        while (now := time.perf_counter()) - begun < limit_seconds:
            attempt = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            attempt.settimeout(0)
            attempt.bind((source, 0))
            attempt.connect_ex((broker, PORT))
            poller.register(attempt, select.EPOLLOUT)
            waiting.append(attempt)
            if len(waiting) > _MOST_WAITING:
                waiting.pop(0).close()
            for number, _events in poller.poll(max(0.0, SYN_EVERY_SECONDS - (time.perf_counter() - now))):
                for one in waiting:
                    if one.fileno() == number and one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        return time.perf_counter() - begun
    return None


def is_open(broker: str, source: str, seconds: float = 0.4) -> bool:
    """Whether a connection from `source` is let in now. Runs in the outside's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(seconds)
        try:
            sock.connect((broker, PORT))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _entered(namespace: str) -> Iterator[None]:
    """This thread lives in the namespace until the end of the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{namespace}").open() as there:
        if libc.setns(there.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), 0x40000000)
