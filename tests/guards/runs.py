"""Runs named tests in copies of the checkout, from which guards can be taken out; the work tree stays as it is."""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.guards.guard import ROOT

PASSED, FAILED, ERROR, SKIPPED = "passed", "failed", "error", "skipped"
# For the named tests of one file or one entry. It ends what hangs; it does not judge how fast a machine is.
LIMIT_SECONDS = 300.0
_WORDS = 2000


@dataclass(frozen=True)
class Outcomes:
    """How each test of a run ended (the worst of its parameters), and pytest's last words."""

    found: Mapping[str, str]
    words: str = ""


Run = Callable[[Path, Sequence[str]], Outcomes]


def run_tests(copy: Path, tests: Sequence[str], limit_seconds: float = LIMIT_SECONDS) -> Outcomes:
    """Run tests in a copy; one that takes too long, or does not come to its end, is told as such and not raised."""
    report = copy.with_suffix(".xml")
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        argv,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):  # it may have ended in this moment
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Outcomes(dict.fromkeys(tests, f"not done after {limit_seconds:g} s"))
    outcomes = dict(_outcomes(report))
    words = "\n".join(said.splitlines()[-15:])[-_WORDS:] + complained[-_WORDS:]
    return Outcomes({test: outcomes.get(test, "did not run") for test in tests}, words)


def _outcomes(report: Path) -> Iterator[tuple[str, str]]:
    """Each test id without parameters and how it ended: failed when one of its cases did, by its own assertion."""
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by the pytest that we started
    except (OSError, ET.ParseError):
        return
    order = (PASSED, SKIPPED, ERROR, FAILED)
    found: dict[str, str] = {}
    for case in cases:
        name = case.attrib["name"].partition("[")[0]
        test = f"{case.attrib['classname'].replace('.', '/')}.py::{name}"
        ended = PASSED
        for mark, outcome in (("skipped", SKIPPED), ("error", ERROR), ("failure", FAILED)):
            if case.find(mark) is not None:
                ended = outcome
        found[test] = max(found.get(test, PASSED), ended, key=order.index)
    yield from found.items()


@contextmanager
def copies(count: int) -> Iterator[list[Path]]:
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
        first, *others = [folder / f"copy{number}" for number in range(count)]
        for name in names:
            if (ROOT / name).is_file():
                (first / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, first / name)
        _compile(first)
        for copy in others:
            shutil.copytree(first, copy)
        yield [first, *others]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compile(copy: Path) -> None:
    # Once for all runs: most of a short run was compiling. What counts is a module's hash, so that one without its
    # guard is compiled again, and one whose guard was put back is not taken for the one without.
    compileall.compile_dir(copy, quiet=1, workers=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
