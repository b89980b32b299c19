"""Our knock beside Debian's fwknopd, in one run on one machine: `./dev bench knock`. Prints the ratios.

fwknopd runs as a process of its own with its packaged behaviour (libpcap, iptables); ours are opener and guard as in
production. Both get the same treatment: knock to SYN-ACK, the highest junk rate that loses no valid knock, processor
and memory, nmap from inside and outside a window, stop, kill and replay. Absolute figures depend on the machine and its
load; compare only what one run printed.
"""

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import trials
from bench.daemons import Fwknop, Knocked, Ours
from bench.network import STRANGER, Network, fresh_address, serve
from bench.trials import Flood, Kind, Latency, Load, Restart

OURS_RATES = (20_000.0, 50_000.0, 100_000.0, math.inf)
THEIR_RATES = (50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0)
THEIR_BEGIN = THEIR_RATES.index(500.0)


@dataclass(frozen=True)
class Measured:
    """What one broker did."""

    idle: Load
    latency: Latency
    floods: dict[Kind, Flood]
    memory_mib: float
    nmap: dict[str, dict[str, str]]
    restarts: list[Restart]
    shut_after_kill_seconds: float | None


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench knock", description=__doc__)
    parser.add_argument("--knocks", type=int, default=200, help="knocks of each latency trial (default 200)")
    parser.add_argument("--devices", type=int, default=10_000, help="enrolled devices of the large roster")
    parser.add_argument("--revocations", type=int, default=50)
    parser.add_argument("--skip-fwknopd", action="store_true", help="ours alone, without ratios")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this builds network namespaces: run it as root")
    begun, load = time.monotonic(), os.getloadavg()[0]
    ours: dict[str, Measured] = {}
    theirs: Measured | None = None
    with Network() as lab:
        serve(lab, lab.broker)
        serve(lab, lab.other)
        if not options.skip_fwknopd:
            with contextlib.closing(Fwknop(lab)) as fwknop:
                theirs = _measured(fwknop, options.knocks, THEIR_RATES, THEIR_BEGIN)
        for devices in (options.devices, 1):
            with contextlib.closing(Ours(lab, devices)) as broker:
                ours[broker.name] = _measured(broker, options.knocks, OURS_RATES, len(OURS_RATES) - 1)
        revocations = trials.revocation(lab, options.revocations)
    resets, whole = ([getattr(one, name) for one in revocations] for name in ("reset_ms", "done_ms"))
    revoked_ms = statistics.median(resets)
    say(f"\nrevocation ({len(resets)}), command to reset: p50 {revoked_ms:.2f} ms, longest {max(resets):.2f} ms;")
    say(f"  until the kernel's whole table was searched as well: p50 {statistics.median(whole):.1f} ms")
    for name, mine in ours.items():
        if theirs is not None:
            _say_ratios(name, mine, theirs)
    line("revocation p50", revoked_ms, lambda x: x <= 5, " ms", "<= 5")
    took = time.monotonic() - begun
    say(f"\nload {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end; {took:.0f} s")
    if options.json:
        report = {"fwknopd": theirs, **ours, "revocations": revocations, "load": load, "seconds": took}
        options.json.write_text(json.dumps(report, indent=1, default=asdict))


def _measured(broker: Knocked, knocks: int, rates: tuple[float, ...], begin: int) -> Measured:
    say(f"\n{broker.name}")
    idle = trials.load_during(broker, lambda: time.sleep(3.0))
    say(f"  idle          {_cores(idle)}")
    told = trials.latency(broker, knocks)
    _say_latency(told)
    caught = trials.observed(broker, 16)
    floods = {}
    for kind in Kind:
        floods[kind] = trials.flood(broker, kind, caught, rates, begin)
        _say_flood(floods[kind])
    memory = trials.memory_mib(broker)
    say(f"  memory        {memory:.1f} MiB (proportional)")
    nmap = _scanned(broker)
    restarts = []
    for how in (signal.SIGTERM, signal.SIGKILL):
        restarts.append(found := trials.restart(broker, how))
        replay = "REPLAY OPENS" if found.replay_opens else "replay refused"
        say(f"  {how.name:<14}{replay}; fresh knock after {found.seconds_to_fresh_knock * 1000:.0f} ms")
    shut = trials.closes_after_kill(broker)
    words = f"shut after {shut:.1f} s" if shut is not None else "STAYS OPEN (not shut within 8 s)"
    say(f"  killed with a 4 s window open: {words}")
    return Measured(idle, told, floods, memory, nmap, restarts, shut)


def _cores(load: Load) -> str:
    each = ", ".join(f"{name} {cores:.4f}" for name, cores in load.processes.items())
    return f"{load.cores:.4f} cores" + (f" ({each})" if len(load.processes) > 1 else "")


def _say_flood(found: Flood) -> None:
    limit = ", the generator's limit" if found.is_generators_limit else ""
    failed = f", lost some at {found.failed_at:,.0f}" if found.failed_at else ""
    say(
        f"  {found.kind.value:<14}{found.rate:>12,.0f} packets/s with {trials.VALID_KNOCKS} of {trials.VALID_KNOCKS} "
        f"kept{limit}{failed}; p50 {found.p50:.1f} ms"
    )
    say(
        f"    under it alone {_cores(found.alone)}, with the knocks {found.with_knocks.cores:.2f}; "
        f"soft interrupts of the whole machine {found.alone.soft_interrupts:.2f}"
    )


def _say_latency(told: trials.Latency) -> None:
    say(
        f"  knock to SYN-ACK ({told.knocks}): p50 {told.p50:.2f} ms, p99 {told.p99:.2f} ms, "
        f"longest {told.longest:.1f} ms, lost {told.lost}; {told.cpu_ms:.1f} ms of processor a knock"
    )


def _scanned(broker: Knocked) -> dict[str, dict[str, str]]:
    knocker = fresh_address()
    scans = {
        f"before, {who}": trials.scan(broker, source) for who, source in (("knocker", knocker), ("stranger", STRANGER))
    }
    (packet,) = broker.mint([knocker])
    trials.knock(broker, knocker, packet, 3.0)
    scans["after, knocker"] = trials.scan(broker, knocker)
    scans["after, stranger"] = trials.scan(broker, STRANGER)
    for when, seen in scans.items():
        say(f"  nmap {when:<16} {', '.join(f'{port} {state}' for port, state in seen.items()) or 'nothing'}")
    return scans


def _say_ratios(name: str, ours: Measured, theirs: Measured) -> None:
    say(f"\n{name}: ratios to fwknopd, and the aims")
    line("latency p50", ours.latency.p50 / theirs.latency.p50, lambda x: x <= 0.03, "x", "<= 0.03")
    line("latency p99", ours.latency.p99 / theirs.latency.p99, lambda x: x <= 0.10, "x", "<= 0.10")
    line("valid knocks lost", ours.latency.lost, lambda x: x == 0, "", "0")
    for kind in Kind:
        found, known = ours.floods[kind], theirs.floods[kind]
        line(
            f"junk, {kind.value}",
            found.rate / known.rate if known.rate else math.inf,
            lambda x: x >= 100,
            "x",
            ">= 100",
        )
        if kind in (Kind.RANDOM, Kind.WELL_FORMED):
            line("  cores under it alone", found.alone.cores, lambda x: x <= 0.05, "", "<= 0.05")
    line("memory, guard + opener", ours.memory_mib, lambda x: x <= 48, " MiB", "<= 48")
    line("memory, ratio", ours.memory_mib / theirs.memory_mib, lambda _: True, "x", "none")


def line(what: str, value: float, holds: Callable[[float], bool], unit: str, aim: str) -> None:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
    say(f"  {'ok  ' if holds(value) else 'MISS'} {what:<26}{shown:>12}{unit:<5} aim {aim}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
