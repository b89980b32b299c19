"""What is measured, one function each; every one takes a broker behind `daemons.Knocked` and returns plain figures."""

import base64
import contextlib
import json
import math
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.daemons import WINDOW_SECONDS, Knocked
from bench.junk import Kind
from bench.network import PORT, STRANGER, Network, fresh_address, is_open, send_and_connect
from tests.contract.namespaces import BROKER4, DOORS, KNOCK_PORT, Peer

VALID_KNOCKS = 20
_VALID_SECONDS = 1.0
_FLOOD_ALONE_SECONDS = 2.0


@dataclass(frozen=True)
class Latency:
    """Knock to SYN-ACK in milliseconds, and the daemon's processor time for each knock."""

    knocks: int
    lost: int
    p50: float
    p99: float
    longest: float
    cpu_ms: float


@dataclass(frozen=True)
class Flood:
    """The highest rate at which every valid knock still opened within a second; and what it cost the daemon.

    cores: under the flood alone, with no valid knock to judge. cores_with_knocks: while the valid ones came in as well.
    """

    kind: Kind
    rate: float
    is_generators_limit: bool
    failed_at: float | None
    cores: float
    cores_with_knocks: float
    p50: float


@dataclass(frozen=True)
class _Trial:
    """One rate tried."""

    kept: bool
    rate: float
    cores: float
    cores_with_knocks: float
    p50: float


def latency(broker: Knocked, knocks: int, *, at_once: int = 0, pause_seconds: float = 0.0) -> Latency:
    """Fresh source address for each knock, one after another; after `at_once` of them with a pause before each."""
    found: list[float] = []
    used = cpu_seconds(broker)
    for start in range(0, knocks, 50):
        addresses = [fresh_address() for _ in range(min(50, knocks - start))]
        for number, (address, packet) in enumerate(zip(addresses, broker.mint(addresses), strict=True), start):
            if number >= at_once:
                time.sleep(pause_seconds)
            seconds = broker.outside.inside(
                lambda a=address, p=packet: send_and_connect(broker.outside.broker, p, a, 3.0)
            )  # type: ignore[misc]
            if seconds is not None:
                found.append(seconds * 1000)
    cpu_ms = (cpu_seconds(broker) - used) * 1000 / knocks
    found.sort()
    if not found:
        return Latency(knocks, knocks, math.inf, math.inf, math.inf, cpu_ms)
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    return Latency(knocks, knocks - len(found), statistics.median(found), p99, found[-1], cpu_ms)


def observed(broker: Knocked, count: int) -> list[bytes]:
    """Packets that were sent and opened: what somebody on the path could have caught."""
    addresses = [fresh_address() for _ in range(count)]
    packets = broker.mint(addresses)
    for address, packet in zip(addresses, packets, strict=True):
        broker.outside.inside(lambda a=address, p=packet: send_and_connect(broker.outside.broker, p, a, 3.0))  # type: ignore[misc]
    return packets


def flood(broker: Knocked, kind: Kind, caught: Sequence[bytes], rates: Sequence[float]) -> Flood:
    """Try the rates in order. Ascending ones (fwknopd) end at the first loss; descending ones at the first success.

    Rate 0 is as fast as the generator goes.
    """
    best: _Trial | None = None
    best_rate = failed_at = None
    ascending = len(rates) > 1 and rates[0] < rates[1] and rates[0] != 0
    for rate in rates:
        tried = _under_flood(broker, kind, caught, rate)
        if not tried.kept:  # Another chance for both: the machine may have been busy with something else.
            tried = _under_flood(broker, kind, caught, rate)
        if tried.kept:
            best, best_rate = tried, rate
            if not ascending:
                break
        else:
            failed_at = tried.rate
            if ascending:
                break
    if best is None:
        return Flood(
            kind, 0.0, is_generators_limit=False, failed_at=failed_at, cores=0, cores_with_knocks=0, p50=math.inf
        )
    return Flood(kind, best.rate, best_rate == 0, failed_at, best.cores, best.cores_with_knocks, best.p50)


def _under_flood(broker: Knocked, kind: Kind, caught: Sequence[bytes], rate: float) -> _Trial:
    addresses = [fresh_address() for _ in range(VALID_KNOCKS)]
    packets = broker.mint(addresses)
    found: list[float] = []
    with _flooding(broker, kind, caught, rate) as result:
        time.sleep(0.3)
        cores = cores_during(broker, lambda: time.sleep(_FLOOD_ALONE_SECONDS))

        def knock() -> None:
            for address, packet in zip(addresses, packets, strict=True):
                seconds = broker.outside.inside(
                    lambda a=address, p=packet: send_and_connect(broker.outside.broker, p, a, _VALID_SECONDS)
                )  # type: ignore[misc]
                if seconds is None:
                    break
                found.append(seconds * 1000)
                time.sleep(0.02)

        with_knocks = cores_during(broker, knock)
    kept = len(found) == len(addresses)
    return _Trial(kept, result[0], cores, with_knocks, statistics.median(found) if found else math.inf)


@contextlib.contextmanager
def _flooding(broker: Knocked, kind: Kind, caught: Sequence[bytes], rate: float) -> Iterator[list[float]]:
    """The flood runs inside the block; afterwards the list holds its real rate."""
    result: list[float] = []
    command = [
        *("ip", "netns", "exec", broker.outside.namespace, sys.executable, "-m", "bench.junk", "--target"),
        *(broker.outside.broker, "--port", str(KNOCK_PORT), "--kind", kind.value, "--rate", str(rate)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(" ".join(base64.b64encode(one).decode() for one in caught) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        try:
            yield result
        finally:
            process.stdin.close()
            said = json.loads(process.stdout.readline())
            result.append(said["sent"] / said["seconds"])


def cores_during(broker: Knocked, what: Callable[[], object]) -> float:
    """Processor time of the daemon's processes while `what` runs, in cores."""
    begun, used = time.monotonic(), cpu_seconds(broker)
    what()
    return (cpu_seconds(broker) - used) / (time.monotonic() - begun)


def cpu_seconds(broker: Knocked) -> float:
    """User and system time of the daemon's threads so far, to the nanosecond as the scheduler counts it.

    An interrupt that comes while a process runs, and the network's work in it, counts as the process's own: no better
    is to be had, and it can only make the figure worse.
    """
    total = 0
    for pid in broker.processes():
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mib(broker: Knocked) -> float:
    """Proportional set size of the daemon's processes."""
    kib = 0
    for pid in broker.processes():
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        kib += int(found.group(1)) if found else 0
    return kib / 1024


def scan(broker: Knocked, source: str) -> dict[str, str]:
    """What nmap sees from an address: TCP door, another TCP port, UDP knock port, ping."""
    command = [
        *("ip", "netns", "exec", broker.outside.namespace, "nmap", "-n", "-Pn", "-sS", "-sU", "-S", source, "-e"),
        *(_interface(broker), "-p", f"T:{PORT},T:{DOORS[2]},U:{KNOCK_PORT}", "--max-retries", "1"),
        *("--host-timeout", "15s", broker.outside.broker),
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False).stdout
    return {f"{proto} {port}": state for port, proto, state in re.findall(r"^(\d+)/(tcp|udp)\s+(\S+)", said, re.M)}


def _interface(broker: Knocked) -> str:
    return "far0" if broker.outside.broker == BROKER4 else "far1"


@dataclass(frozen=True)
class Restart:
    """What a stop and a new start do."""

    how: str
    seconds_to_fresh_knock: float
    replay_opens: bool


def restart(broker: Knocked, how: signal.Signals) -> Restart:
    """Stop the daemon, start it again; a replay of the last accepted knock, and a fresh one."""
    address = fresh_address()
    (packet,) = broker.mint([address])
    outside = broker.outside
    outside.inside(lambda: send_and_connect(outside.broker, packet, address, 3.0))
    broker.stop(how)
    time.sleep(WINDOW_SECONDS + 1.0)
    broker.start()
    other = fresh_address()
    replay_opens = outside.inside(lambda: send_and_connect(outside.broker, packet, other, 0.7)) is not None
    begun = time.monotonic()
    while True:
        source = fresh_address()
        (fresh,) = broker.mint([source])
        seconds = outside.inside(lambda: send_and_connect(outside.broker, fresh, source, 1.0))  # noqa: B023
        if seconds is not None:
            return Restart(how.name, time.monotonic() - begun if seconds > 0.9 else seconds, replay_opens)
        if time.monotonic() - begun > 90:
            return Restart(how.name, math.inf, replay_opens)


def closes_after_kill(broker: Knocked) -> float | None:
    """Seconds until a window of 4 s is shut when the daemon is killed with it open; None: not within 8 s. Restarts."""
    address = fresh_address()
    (packet,) = broker.mint([address])
    outside = broker.outside
    outside.inside(lambda: send_and_connect(outside.broker, packet, address, 3.0))
    begun = time.monotonic()
    broker.stop(signal.SIGKILL)
    shut: float | None = None
    while time.monotonic() - begun < WINDOW_SECONDS + 4:
        if not outside.inside(lambda: is_open(outside.broker, address, 0.3)):
            shut = time.monotonic() - begun
            break
        time.sleep(0.1)
    broker.start()
    return shut


@dataclass(frozen=True, slots=True)
class Revocation:
    """Milliseconds from control's `revoke` to the reset at the client, and to the opener's answer that all is done."""

    reset_ms: float
    done_ms: float


def revocation(lab: Network, rounds: int) -> list[Revocation]:
    """Revoke devices one after another, each with one flow that the gateway has marked."""
    gateway, control, guard = lab.peer("gateway"), lab.peer("control"), lab.peer("guard")
    listener = lab.listen(lab.broker, DOORS[2])
    found = []
    for number in range(rounds):
        mark = 1_000_000 + number
        # An address of its own, so that no connection takes over the tracking entry, and the mark, of one before it.
        source = fresh_address()
        _done(guard, type="open", door=2, address=source, seconds=5, knock_id=os.urandom(12).hex())
        client = lab.dial(source, BROKER4, DOORS[2], seconds=3)
        ours, _ = listener.accept()
        port = client.getsockname()[1]
        _done(gateway, type="mark", door=2, address=source, port=port, mark=mark)
        poller = select.poll()
        poller.register(client, select.POLLIN | select.POLLHUP | select.POLLERR)
        begun = time.perf_counter()
        control.tell(type="revoke", mark=mark)
        poller.poll(2000)
        reset_at = time.perf_counter()
        if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            raise AssertionError("a revoked flow was not reset")
        _require_done(control.hear(), "revoke")
        found.append(Revocation((reset_at - begun) * 1000, (time.perf_counter() - begun) * 1000))
        client.close()
        ours.close()
        _done(control, type="unrevoke", mark=mark)
    return found


def _done(peer: Peer, **message: object) -> None:
    _require_done(peer.ask(**message), str(message["type"]))


def _require_done(answer: Mapping[str, object], what: str) -> None:
    if answer["type"] != "done":
        raise AssertionError(f"{what}: {answer}")


__all__ = ["STRANGER", "Flood", "Kind", "Latency", "Restart", "closes_after_kill", "flood", "latency", "memory_mib"]
