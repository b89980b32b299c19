"""Getting through a door that a knock has just been sent to. Standard library only and light: the ssh helper imports
it.

The door opens some milliseconds after the knock and drops every SYN before that, so one connect would wait a second
for the kernel's own retry. Several sockets are started instead, one after another; the first that is up wins.
"""

import contextlib
import errno
import selectors
import socket
import time

ROUND_SECONDS = (1.0, 1.5, 2.2, 3.3)
"""How long the door of each knock is tried before the next knock: slow lines get longer, 8 s in all."""

_ATTEMPTS_AT_SECONDS = (0.03, 0.12, 0.35, 0.7, 1.2, 2.0)
_STARTED = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


class Trace:
    """What was seen on the way: system error numbers of attempts that failed, and when the winning one was started."""

    def __init__(self) -> None:
        self.errors: set[int] = set()
        self.won_after_seconds: float | None = None


def connect_within(address: str, port: int, seconds: float, trace: Trace | None = None) -> socket.socket | None:
    """A blocking TCP socket to the numeric `address`, or None when nothing was up within `seconds`.

    `trace` takes down what was seen.
    """
    trace = trace if trace is not None else Trace()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    begun_at = time.monotonic()
    waiting = [at for at in _ATTEMPTS_AT_SECONDS if at < seconds]
    with contextlib.ExitStack() as attempts, selectors.DefaultSelector() as selector:
        while (elapsed := time.monotonic() - begun_at) < seconds:
            if waiting and elapsed >= waiting[0]:
                waiting.pop(0)
                attempt = attempts.enter_context(socket.socket(family, socket.SOCK_STREAM))
                attempt.setblocking(False)
                number = attempt.connect_ex((address, port))
                if number in _STARTED:
                    selector.register(attempt, selectors.EVENT_WRITE, elapsed)
                else:
                    trace.errors.add(number)
                continue
            until = min(waiting[0], seconds) if waiting else seconds
            for key, _ in selector.select(until - elapsed):
                found = key.fileobj
                assert isinstance(found, socket.socket)  # noqa: S101 - only sockets are registered
                selector.unregister(found)
                number = found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number == 0:
                    trace.won_after_seconds = key.data
                    return _ours(found)
                trace.errors.add(number)
    return None


def _ours(found: socket.socket) -> socket.socket:
    """The winner as a socket of its own: the losers, and this object, are closed by the caller."""
    winner = found.dup()
    winner.settimeout(None)
    winner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return winner
