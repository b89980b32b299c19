"""`python -m deploy.demo`: sets the laboratory up, walks the tour, and keeps everything running until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.demo import boundary, newcomer
from deploy.demo.acts import NAME
from deploy.demo.console_relay import start_console_relay
from deploy.demo.lab import OFFICE, RUNS_DIR, VENDOR, Lab, LabError
from deploy.demo.people import ADMIN, CAST, KELLER, LIN, SUN, WU, ZHAO, People, Role
from deploy.demo.plant_api import PlantApiError
from deploy.demo.site import Site
from deploy.demo.stage import Stage, StepResult
from deploy.demo.target import HOSTNAME, start_target
from deploy.demo.tour import STEPS, run_tour
from deploy.demo.workstation import open_desks

_PLANT_PEOPLE = (ADMIN, SUN, LIN, ZHAO, WU)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--tour-only", action="store_true", help="walk the tour and end with its result")
    parser.add_argument(
        "--state", type=Path, help="keep the site's state here and use it again; default: only this run"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="the console's port on this machine's loopback; default: any"
    )
    parser.add_argument("--log", type=Path, help="write what the site's processes say to this file, to read it later")
    parser.add_argument("--set-up-started", type=float, help="when the set-up began, in seconds since the epoch")
    parser.add_argument("--code", metavar="USER", help="print a one-time code of the running demo's USER and end")
    parser.add_argument("--run", metavar="ID", help="with --code: which demo, when several run")
    options = parser.parse_args()
    if options.code:
        return _print_code(options.code, options.run)
    try:
        with Lab() as lab:
            return _demonstrate(lab, options)
    except (LabError, PlantApiError) as error:
        sys.stderr.write(f"\ndemo: {error}\n")
        return 1
    except KeyboardInterrupt:
        _say("\nEverything was taken down.")
        return 130


def _demonstrate(lab: Lab, options: argparse.Namespace) -> int:
    started = time.monotonic()
    stage = _furnish(lab, options.state, options.log)
    _say(f"Everything runs after {time.monotonic() - started:.1f} s" + _since(options.set_up_started))
    try:
        results = run_tour(stage)
    finally:
        stage.sign_out_all()
    passed = all(result.passed for result in results)
    _summarise(stage, results, time.monotonic() - started)
    if not passed:
        _say(f"\nThe site's last words:\n{stage.site.last_words()}")
    if options.tour_only or not passed:
        return 0 if passed else 1
    _keep_open(stage, start_console_relay(lab, options.port))
    return 0


def _furnish(lab: Lab, state: Path | None, log: Path | None) -> Stage:
    """Start the target and the site, give everybody an account and a desk."""
    kept = state.resolve() if state else lab.dir
    kept.mkdir(mode=0o755, parents=True, exist_ok=True)
    _say(f"Laboratory {lab.id}: {lab.dir}")
    target = start_target(lab, kept / "target")
    boundary.load(lab, boundary.rendered(boundary.whole_plan(lab, HOSTNAME, target.port)))
    vendors = _names((KELLER,)) | {newcomer.USERNAME: newcomer.DISPLAY_NAME}
    desks = open_desks(lab, VENDOR, "keller-laptop", vendors)
    desks |= open_desks(lab, OFFICE, "office", _names(_PLANT_PEOPLE))
    site = Site(lab, kept, log.resolve() if log else None)
    init_seconds = site.init()
    cold_seconds = site.start()
    site.stop()
    warm_seconds = site.start()
    _say(
        f"The site's keys and database in {init_seconds:.1f} s; its processes ready in {cold_seconds:.1f} s cold, "
        f"{warm_seconds:.1f} s warm"
    )
    token = site.settle_people()
    site.settle_target(target)
    return Stage(lab, site, target, desks, token)


def _summarise(stage: Stage, results: Sequence[StepResult], seconds: float) -> None:
    _say(f"\nThe tour, {seconds:.0f} s with the start:")
    for result in results:
        mark = "✓" if result.passed else "✗"
        _say(f"  {mark} {result.number:2}. {result.name:16} {len(result.proofs):2} proofs, {result.seconds:.1f} s")
    left = len(STEPS) - len(results)
    if left:
        _say(f"  - {left} steps were not reached")
    if stage.ssh_to_prompt_seconds:
        _say(f"From 'ssh {NAME}' to the prompt: {stage.ssh_to_prompt_seconds:.2f} s")


def _keep_open(stage: Stage, port: int) -> None:
    """Say how to look around, then wait for Ctrl-C."""
    people = stage.site.people
    _say(f"\nThe console: https://127.0.0.1:{port} (this machine only; its certificate is the site's own)")
    for role in CAST:
        person = people[role]
        _say(f"  {role.username:7} {person.password}  {role.role}, authenticator key {person.totp_secret}")
    people.save()
    _say(f"A one-time code: ./dev shell -m deploy.demo --code zhao --run {stage.lab.id}   (all of it: {people.path})")
    ssh = " ".join(stage.desk(people[KELLER]).argv(["ssh", NAME]))
    _say(f"As the vendor's engineer: {ssh}")
    _say("Ctrl-C takes everything down.")
    while stage.site.runs():
        time.sleep(1.0)
    _say(f"The site ended by itself; its last words:\n{stage.site.last_words()}")


def _print_code(username: str, run: str | None) -> int:
    """Print a one-time code that the site will take from somebody of a running demo."""
    files = sorted(RUNS_DIR.glob(f"{run or '*'}/credentials.json"))
    role = next((role for role in CAST if role.username == username), None)
    if role is None or len(files) != 1:
        known = ", ".join(path.parent.name for path in files) or "none"
        sys.stderr.write(f"demo: name one of the demo's people, and with --run which run it is (running: {known})\n")
        return 1
    people = People(files[0])
    _say(people[role].code(within_seconds=20))
    people.save()
    return 0


def _names(roles: Sequence[Role]) -> dict[str, str]:
    return {role.username: role.display_name for role in roles}


def _since(set_up_started: float | None) -> str:
    return "" if set_up_started is None else f"; {time.time() - set_up_started:.0f} s since the command was given"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
