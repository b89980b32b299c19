"""Enter a network namespace from Python: for a whole thread, or for the moment in which a socket is made.

A socket belongs for ever to the namespace in which it was created, so a short thread that enters the namespace, makes
the socket and ends is enough to talk from there; the rest of the process stays where it was.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
NAMES_DIR = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)
_Made = TypeVar("_Made")


def enter(namespace: Path) -> None:
    """Move the calling thread (only this one) into a network namespace.

    Args:
        namespace: the bound file of the namespace, such as `/run/netns/NAME`.

    Raises:
        OSError: the file is absent, is no network namespace, or the process may not enter it.
    """
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))
    finally:
        os.close(handle)


def call_inside(namespace: Path, make: Callable[[], _Made]) -> _Made:
    """Call `make` in a short-lived thread inside the namespace and return its result, or raise what it raised."""
    made: list[_Made] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            enter(namespace)
            made.append(make())
        except BaseException as error:  # noqa: BLE001 - carried over to the calling thread, which raises it
            failed.append(error)

    thread = threading.Thread(target=work, name=f"inside {namespace.name}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def connect(namespace: Path, address: str, port: int, timeout_seconds: float) -> socket.socket:
    """Open a TCP connection from inside the namespace to a numeric IPv4 address."""

    def make() -> socket.socket:
        return socket.create_connection((address, port), timeout=timeout_seconds)

    return call_inside(namespace, make)
