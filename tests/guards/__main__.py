"""`python -m tests.guards [WORD…]`: takes each guard out of a copy of the checkout and sees its tests fail."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.guards.guard import ROOT, Guard, every_guard

_LIMIT_SECONDS = 300.0
_PASSED, _FAILED, _ERROR, _SKIPPED = "passed", "failed", "error", "skipped"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev guards", description=__doc__)
    parser.add_argument("words", nargs="*", help="only entries in which one of these words stands")
    parser.add_argument("--jobs", type=int, default=2, help="how many entries at a time (default: 2)")
    options = parser.parse_args()
    chosen = [guard for guard in every_guard() if guard.is_about(options.words)]
    if not chosen:
        sys.stderr.write("guards: no entry holds these words\n")
        return 2
    with _copies(max(1, min(options.jobs, len(chosen)))) as copies:
        if trouble := _passes_as_it_is(copies[0], chosen):
            sys.stdout.write(f"✗ {trouble}\n")
            return 1
        free: SimpleQueue[Path] = SimpleQueue()
        for copy in copies:
            free.put(copy)

        def judged(guard: Guard) -> str:
            copy = free.get()
            try:
                return _without(copy, guard)
            finally:
                free.put(copy)

        with ThreadPoolExecutor(len(copies)) as pool:
            failures = 0
            for guard, trouble in zip(chosen, pool.map(judged, chosen), strict=True):
                failures += bool(trouble)
                sys.stdout.write(f"✗ {guard.promise}\n    {trouble}\n" if trouble else f"✓ {guard.promise}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - failures} of {len(chosen)} guards are missed by their tests when they are out\n")
    return 1 if failures else 0


def _passes_as_it_is(copy: Path, guards: Iterable[Guard]) -> str:
    """Every named test must pass before anything is taken out: a test that always fails proves nothing."""
    tests = sorted({test for guard in guards for test in guard.tests})
    found, words = _run(copy, tests, _LIMIT_SECONDS * 2)
    bad = [f"{test}: {found[test]}" for test in tests if found[test] != _PASSED]
    return f"with every guard in place: {'; '.join(bad)}\n{words}" if bad else ""


def _without(copy: Path, guard: Guard) -> str:
    """What is wrong with an entry, empty when each of its tests fails without the guard."""
    path = copy / guard.file
    source = path.read_text(encoding="utf-8")
    try:
        path.write_text(guard.removed_from(source), encoding="utf-8")
        found, words = _run(copy, guard.tests, _LIMIT_SECONDS)
    except ValueError as error:
        return str(error)
    finally:
        path.write_text(source, encoding="utf-8")
    bad = [f"{test}: {found[test]}" for test in guard.tests if found[test] != _FAILED]
    return f"{'; '.join(bad)}\n{words}" if bad else ""


def _run(copy: Path, tests: Iterable[str], limit_seconds: float) -> tuple[dict[str, str], str]:
    """How each test ended (the worst of its parameters), and pytest's last words."""
    tests = list(tests)
    report = copy.with_suffix(".xml")
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    started = time.monotonic()
    try:
        done = subprocess.run(
            argv, cwd=copy, env=environment, capture_output=True, text=True, timeout=limit_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(tests, f"hangs ({time.monotonic() - started:.0f} s)"), ""
    outcomes = dict(_outcomes(report)) if report.exists() else {}
    words = "\n".join(done.stdout.splitlines()[-15:]) + done.stderr[-2000:]
    return {test: outcomes.get(test, "did not run") for test in tests}, words


def _outcomes(report: Path) -> Iterator[tuple[str, str]]:
    """Each test id without parameters and how it ended: failed when one of its cases did, by its own assertion."""
    order = (_PASSED, _SKIPPED, _ERROR, _FAILED)
    found: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - written by the pytest that we started
        name = case.attrib["name"].partition("[")[0]
        test = f"{case.attrib['classname'].replace('.', '/')}.py::{name}"
        ended = _PASSED
        for mark, outcome in (("skipped", _SKIPPED), ("error", _ERROR), ("failure", _FAILED)):
            if case.find(mark) is not None:
                ended = outcome
        found[test] = max(found.get(test, _PASSED), ended, key=order.index)
    yield from found.items()


@contextmanager
def _copies(count: int) -> Iterator[list[Path]]:
    """Copies of what git knows here, as it stands in the work tree; every user id may read them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name and not name.startswith("web/")]
    folder = Path(tempfile.mkdtemp(prefix="sp-guards-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        copies = [folder / f"copy{number}" for number in range(count)]
        for copy in copies:
            for name in names:
                if (ROOT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)
        yield copies
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
