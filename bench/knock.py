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
from pathlib import Path

from bench import trials
from bench.daemons import Fwknop, Knocked, Ours
from bench.network import STRANGER, Network, fresh_address, send_and_connect, serve
from bench.trials import Flood, Kind

OURS_RATES = (0.0, 100_000.0, 50_000.0, 20_000.0)
THEIR_RATES = (50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0)


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
    begun = time.monotonic()
    report: dict[str, object] = {"load": os.getloadavg()[0]}
    with Network() as lab:
        serve(lab, lab.broker)
        serve(lab, lab.other)
        theirs: dict[str, object] | None = None
        if not options.skip_fwknopd:
            with contextlib.closing(Fwknop(lab)) as fwknop:
                theirs = report["fwknopd"] = _measured(fwknop, options.knocks, THEIR_RATES)
        with contextlib.closing(Ours(lab, options.devices)) as many:
            ours = report["sallyport"] = _measured(many, options.knocks, OURS_RATES)
        with contextlib.closing(Ours(lab, 1)) as one:
            say(f"\n{one.name}")
            # One device may knock three times a second, after a burst of thirty.
            alone = trials.latency(one, options.knocks, at_once=20, pause_seconds=0.35)
            report["sallyport_one"] = vars(alone)
            _say_latency(alone)
        revocations = trials.revocation(lab, options.revocations)
    resets, whole = ([getattr(one, name) for one in revocations] for name in ("reset_ms", "done_ms"))
    revoked_ms = statistics.median(resets)
    report["revocation_ms"] = {"p50": revoked_ms, "longest": max(resets), "done_p50": statistics.median(whole)}
    say(f"\nrevocation ({len(resets)}), command to reset: p50 {revoked_ms:.2f} ms, longest {max(resets):.2f} ms;")
    say(f"  until the kernel's whole table was searched as well: p50 {statistics.median(whole):.1f} ms")
    if theirs is not None:
        _say_ratios(ours, theirs, alone, revoked_ms)
    took = time.monotonic() - begun
    say(f"\nload {report['load']:.1f} at the start, {os.getloadavg()[0]:.1f} at the end; {took:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, default=vars))


def _measured(broker: Knocked, knocks: int, rates: tuple[float, ...]) -> dict[str, object]:
    say(f"\n{broker.name}")
    idle = trials.cores_during(broker, lambda: time.sleep(3.0))
    say(f"  idle          {idle:.4f} cores")
    told = trials.latency(broker, knocks)
    _say_latency(told)
    figures: dict[str, object] = {"idle_cores": idle, "latency": vars(told), "floods": {}}
    caught = trials.observed(broker, 16)
    floods: dict[str, Flood] = {}
    for kind in Kind:
        floods[kind] = found = trials.flood(broker, kind, caught, rates)
        limit = ", the generator's limit" if found.is_generators_limit else ""
        failed = f", lost some at {found.failed_at:,.0f}" if found.failed_at else ""
        say(
            f"  {kind.value:<14}{found.rate:>12,.0f} packets/s with {trials.VALID_KNOCKS} of {trials.VALID_KNOCKS} kept"
            f"{limit}{failed}; {found.cores:.4f} cores under it, {found.cores_with_knocks:.2f} with the knocks; "
            f"p50 {found.p50:.1f} ms"
        )
    figures["floods"] = floods
    figures["memory_mib"] = memory = trials.memory_mib(broker)
    say(f"  memory        {memory:.1f} MiB (proportional)")
    _say_scans(broker, figures)
    for how in (signal.SIGTERM, signal.SIGKILL):
        found_restart = trials.restart(broker, how)
        figures[how.name] = vars(found_restart)
        replay = "REPLAY OPENS" if found_restart.replay_opens else "replay refused"
        say(f"  {how.name:<14}{replay}; fresh knock after {found_restart.seconds_to_fresh_knock * 1000:.0f} ms")
    shut = trials.closes_after_kill(broker)
    figures["shut_after_kill_seconds"] = shut
    words = f"shut after {shut:.1f} s" if shut is not None else "STAYS OPEN (not shut within 8 s)"
    say(f"  killed with a 4 s window open: {words}")
    return figures


def _say_latency(told: trials.Latency) -> None:
    say(
        f"  knock to SYN-ACK ({told.knocks}): p50 {told.p50:.2f} ms, p99 {told.p99:.2f} ms, "
        f"longest {told.longest:.1f} ms, lost {told.lost}; {told.cpu_ms:.1f} ms of processor a knock"
    )


def _say_scans(broker: Knocked, figures: dict[str, object]) -> None:
    knocker = fresh_address()
    scans = {"before, knocker": trials.scan(broker, knocker)}
    (packet,) = broker.mint([knocker])
    broker.outside.inside(lambda: send_and_connect(broker.outside.broker, packet, knocker, 3.0))
    scans["after, knocker"] = trials.scan(broker, knocker)
    scans["after, stranger"] = trials.scan(broker, STRANGER)
    figures["nmap"] = scans
    for when, seen in scans.items():
        say(f"  nmap {when:<16} {', '.join(f'{port} {state}' for port, state in seen.items()) or 'nothing'}")


def _say_ratios(ours: dict[str, object], theirs: dict[str, object], alone: trials.Latency, revoked_ms: float) -> None:
    say("\nratios to fwknopd, and the aims")
    mine, other = _section(ours, "latency"), _section(theirs, "latency")
    line("latency p50", _number(mine, "p50") / _number(other, "p50"), lambda x: x <= 0.03, "x", "<= 0.03")
    line("latency p99", _number(mine, "p99") / _number(other, "p99"), lambda x: x <= 0.10, "x", "<= 0.10")
    line("latency p50, 1 device", alone.p50 / _number(other, "p50"), lambda x: x <= 0.03, "x", "<= 0.03")
    line("latency p99, 1 device", alone.p99 / _number(other, "p99"), lambda x: x <= 0.10, "x", "<= 0.10")
    line("valid knocks lost", _number(mine, "lost") + alone.lost, lambda x: x == 0, "", "0")
    mine_floods, their_floods = _section(ours, "floods"), _section(theirs, "floods")
    for kind in Kind:
        found, known = mine_floods[kind], their_floods[kind]
        assert isinstance(found, Flood)
        assert isinstance(known, Flood)
        ratio = found.rate / known.rate if known.rate else math.inf
        line(f"junk, {kind.value}", ratio, lambda x: x >= 100, "x", ">= 100")
        if kind in (Kind.RANDOM, Kind.WELL_FORMED):
            line("  cores under it alone", found.cores, lambda x: x <= 0.05, "", "<= 0.05")
    line("memory, guard + opener", _number(ours, "memory_mib"), lambda x: x <= 48, " MiB", "<= 48")
    line("memory, ratio", _number(ours, "memory_mib") / _number(theirs, "memory_mib"), lambda _: True, "x", "none")
    line("revocation p50", revoked_ms, lambda x: x <= 5, " ms", "<= 5")


def line(what: str, value: float, holds: Callable[[float], bool], unit: str, aim: str) -> None:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
    say(f"  {'ok  ' if holds(value) else 'MISS'} {what:<26}{shown:>12}{unit:<5} aim {aim}")


def say(text: str) -> None:
    print(text, flush=True)


def _section(figures: dict[str, object], name: str) -> dict[str, object]:
    found = figures[name]
    assert isinstance(found, dict)
    return found


def _number(figures: dict[str, object], name: str) -> float:
    found = figures[name]
    assert isinstance(found, int | float)
    return float(found)


if __name__ == "__main__":
    main()
