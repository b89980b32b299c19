"""A flood of one kind of junk at one rate: `python -m bench.junk`, a process of its own in the outside's namespace.

sendmmsg(2) through ctypes, 64 datagrams a call: what is measured is the brokers, not Python. Prints what it sent.
"""

import argparse
import base64
import ctypes
import json
import os
import random
import socket
import sys
import threading
import time
from enum import StrEnum

_BATCH = 64
_POOL = 4_096
_SOURCES = 32


class Kind(StrEnum):
    """What is sent."""

    RANDOM = "random"
    WELL_FORMED = "well-formed"
    TAIL = "tail-altered"
    REPLAY = "replayed"


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


def payloads(kind: Kind, observed: list[bytes], seed: int) -> list[bytes]:
    """The pool that is sent round and round. `observed`: packets that were accepted before."""
    chance = random.Random(seed)  # noqa: S311 - junk
    match kind:
        case Kind.RANDOM:
            return [chance.randbytes(chance.randint(1, 511)) for _ in range(_POOL)]
        case Kind.WELL_FORMED:
            pattern = observed[0]
            if all(byte < 128 for byte in pattern):
                wanted = len(pattern)
                return [base64.b64encode(chance.randbytes(wanted))[:wanted] for _ in range(_POOL)]
            return [chance.randbytes(len(pattern)) for _ in range(_POOL)]
        case Kind.TAIL:
            if all(byte < 128 for byte in observed[0]):
                tails = [base64.b64encode(chance.randbytes(6)) for _ in range(_POOL)]
            else:
                tails = [chance.randbytes(8) for _ in range(_POOL)]
            return [chance.choice(observed)[:-8] + tail for tail in tails]
        case Kind.REPLAY:
            return [chance.choice(observed) for _ in range(_POOL)]


def flood(target: tuple[str, int], pool: list[bytes], rate: float, stop_at: float) -> tuple[int, float]:
    """Send at `rate` packets a second (0: as fast as it goes) until a moment of the monotonic clock."""
    libc = ctypes.CDLL(None, use_errno=True)
    sockets = []
    for number in range(_SOURCES):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.bind((f"10.77.1.{number + 1}", 0))
        sock.connect(target)
        sockets.append(sock)
    buffers = [ctypes.create_string_buffer(one, len(one)) for one in pool]
    vectors = (_Iovec * len(pool))(*[_Iovec(ctypes.addressof(one), len(one)) for one in buffers])
    messages = (_Message * len(pool))()
    for index in range(len(pool)):
        messages[index].header.iov = ctypes.pointer(vectors[index])
        messages[index].header.iovlen = 1
    size = ctypes.sizeof(_Message)
    start = ctypes.addressof(messages)
    batch = _BATCH if not rate else max(1, min(_BATCH, int(rate / 200)))
    sent, at, turn = 0, 0, 0
    begun = time.monotonic()
    while (now := time.monotonic()) < stop_at:
        if rate and sent >= (now - begun) * rate:
            time.sleep(min(0.005, (sent - (now - begun) * rate + batch) / rate))
            continue
        count = min(batch, len(pool) - at)
        done = libc.sendmmsg(sockets[turn % _SOURCES].fileno(), ctypes.c_void_p(start + at * size), count, 0)
        sent += max(0, done)
        at = (at + count) % len(pool)
        turn += 1
    return sent, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", type=Kind, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--longest-seconds", type=float, default=60.0)
    options = parser.parse_args()
    observed = [base64.b64decode(line) for line in sys.stdin.readline().split()]
    pool = payloads(options.kind, observed, os.getpid())
    stop = [time.monotonic() + options.longest_seconds]

    # The parent ends the flood by closing standard input.
    def wait() -> None:
        sys.stdin.read()
        stop[0] = 0.0

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    total, elapsed = 0, 0.0
    while time.monotonic() < stop[0]:
        sent, seconds = flood((options.target, options.port), pool, options.rate, time.monotonic() + 0.25)
        total, elapsed = total + sent, elapsed + seconds
    print(json.dumps({"sent": total, "seconds": elapsed}), flush=True)


if __name__ == "__main__":
    main()
