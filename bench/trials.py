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
_MINTED_AT_ONCE = 25
"""Few enough that the last is fresh when its turn comes."""
_POLL_SECONDS = 0.25


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
class Load:
    """Processors in use: by each of the daemon's processes, and by the whole machine's soft interrupts.

    The kernel's own shedding is done in soft interrupts, mostly of whoever sends: here the generator, whose sending
    counts in them too. The scheduler counts an interrupt that comes while a process runs as the process's own.
    """

    processes: Mapping[str, float]
    soft_interrupts: float

    @property
    def cores(self) -> float:
        """The daemon's processes together."""
        return sum(self.processes.values())


@dataclass(frozen=True)
class Flood:
    """The highest rate at which every valid knock still opened within a second; and what it cost the daemon.

    alone: under the flood, with no valid knock to judge. with_knocks: while the valid ones came in as well.
    """

    kind: Kind
    rate: float
    is_generators_limit: bool
    failed_at: float | None
    alone: Load
    with_knocks: Load
    p50: float


@dataclass(frozen=True)
class _Trial:
    """One rate tried."""

    kept: bool
    rate: float
    alone: Load
    with_knocks: Load
    p50: float


def knock(broker: Knocked, address: str, packet: bytes, limit_seconds: float) -> float | None:
    """One valid knock, no sooner than the broker's own limits take it. Seconds to the SYN-ACK; None: it never came."""
    broker.pace.take()
    return broker.outside.inside(lambda: send_and_connect(broker.outside.broker, packet, address, limit_seconds))


def latency(broker: Knocked, knocks: int) -> Latency:
    """Fresh source address for each knock, one after another."""
    found: list[float] = []
    cpu_ms = 0.0
    for start in range(0, knocks, _MINTED_AT_ONCE):
        addresses = [fresh_address() for _ in range(min(_MINTED_AT_ONCE, knocks - start))]
        for address, packet in zip(addresses, broker.mint(addresses), strict=True):
            broker.pace.wait_for(1)
            used = sum(cpu_seconds(broker).values())
            seconds = knock(broker, address, packet, 3.0)
            if seconds is not None:
                found.append(seconds * 1000)
            cpu_ms += (sum(cpu_seconds(broker).values()) - used) * 1000 / knocks
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
        knock(broker, address, packet, 3.0)
    return packets


def flood(broker: Knocked, kind: Kind, caught: Sequence[bytes], rates: Sequence[float], begin: int) -> Flood:
    """The highest of these ascending rates that loses nothing, looked for from number `begin` on, up or down.

    The last may be infinite: as fast as the generator goes.
    """
    tried: dict[int, _Trial] = {}
    at = begin
    while 0 <= at < len(rates) and at not in tried:
        tried[at] = _under_flood(broker, kind, caught, rates[at])
        if not tried[at].kept:  # Another chance for both: the machine may have been busy with something else.
            tried[at] = _under_flood(broker, kind, caught, rates[at])
        at += 1 if tried[at].kept else -1
    kept = max((number for number, trial in tried.items() if trial.kept), default=None)
    lost = [trial.rate for _, trial in sorted(tried.items()) if not trial.kept]
    if kept is None:
        nothing = Load({}, 0.0)
        return Flood(
            kind, 0.0, is_generators_limit=False, failed_at=lost[0], alone=nothing, with_knocks=nothing, p50=math.inf
        )
    best = tried[kept]
    return Flood(
        kind, best.rate, math.isinf(rates[kept]), lost[0] if lost else None, best.alone, best.with_knocks, best.p50
    )


def _under_flood(broker: Knocked, kind: Kind, caught: Sequence[bytes], rate: float) -> _Trial:
    broker.pace.wait_for(VALID_KNOCKS)
    addresses = [fresh_address() for _ in range(VALID_KNOCKS)]
    packets = broker.mint(addresses)
    found: list[float] = []
    with _flooding(broker, kind, caught, rate) as result:
        time.sleep(0.3)
        alone = load_during(broker, lambda: time.sleep(_FLOOD_ALONE_SECONDS))

        def knocks() -> None:
            for address, packet in zip(addresses, packets, strict=True):
                seconds = knock(broker, address, packet, _VALID_SECONDS)
                if seconds is None:
                    break
                found.append(seconds * 1000)
                time.sleep(0.02)

        with_knocks = load_during(broker, knocks)
    kept = len(found) == len(addresses)
    return _Trial(kept, result[0], alone, with_knocks, statistics.median(found) if found else math.inf)


@contextlib.contextmanager
def _flooding(broker: Knocked, kind: Kind, caught: Sequence[bytes], rate: float) -> Iterator[list[float]]:
    """The flood runs inside the block; afterwards the list holds its real rate."""
    result: list[float] = []
    command = [
        *("ip", "netns", "exec", broker.outside.namespace, sys.executable, "-m", "bench.junk", "--target"),
        *(broker.outside.broker, "--port", str(KNOCK_PORT), "--kind", kind.value),
        *("--rate", str(0.0 if math.isinf(rate) else rate)),
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


def load_during(broker: Knocked, what: Callable[[], object]) -> Load:
    """What is in use while `what` runs."""
    begun, used, soft = time.monotonic(), cpu_seconds(broker), _soft_interrupt_seconds()
    what()
    took = time.monotonic() - begun
    now = cpu_seconds(broker)
    return Load({name: (now[name] - used[name]) / took for name in now}, (_soft_interrupt_seconds() - soft) / took)


def cpu_seconds(broker: Knocked) -> dict[str, float]:
    """User and system time of the daemon's processes so far, to the nanosecond as the scheduler counts it."""
    return {
        name: sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
        / 1e9
        for name, pid in broker.processes().items()
    }


def _soft_interrupt_seconds() -> float:
    whole_machine = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(whole_machine[7]) / os.sysconf("SC_CLK_TCK")


def memory_mib(broker: Knocked) -> float:
    """Proportional set size of the daemon's processes."""
    kib = 0
    for pid in broker.processes().values():
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
    knock(broker, address, packet, 3.0)
    broker.stop(how)
    time.sleep(WINDOW_SECONDS + 1.0)
    broker.start()
    replay_opens = knock(broker, fresh_address(), packet, 0.7) is not None
    begun = time.monotonic()
    while True:
        source = fresh_address()
        (fresh,) = broker.mint([source])
        seconds = knock(broker, source, fresh, 1.0)
        if seconds is not None:
            return Restart(how.name, time.monotonic() - begun if seconds > 0.9 else seconds, replay_opens)
        if time.monotonic() - begun > 90:
            return Restart(how.name, math.inf, replay_opens)


def closes_after_kill(broker: Knocked) -> float | None:
    """Seconds until a window of 4 s is shut when the daemon is killed with it open; None: not within 8 s. Restarts."""
    address = fresh_address()
    (packet,) = broker.mint([address])
    knock(broker, address, packet, 3.0)
    begun = time.monotonic()
    broker.stop(signal.SIGKILL)
    # Not at once: each look is a first packet, of which a window of ours admits sixteen.
    time.sleep(max(0.0, begun + WINDOW_SECONDS - 1.5 - time.monotonic()))
    shut: float | None = None
    while time.monotonic() - begun < WINDOW_SECONDS + 4:
        if not broker.outside.inside(lambda: is_open(broker.outside.broker, address, _POLL_SECONDS)):
            shut = time.monotonic() - begun
            break
        time.sleep(_POLL_SECONDS)
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
