"""`python -m tests.guards [WORD…]`: takes each guard out of a copy of the checkout and sees its tests fail."""

from __future__ import annotations

import argparse
import sys
import time

from tests.guards.guard import every_guard
from tests.guards.judging import Bench, Judgement, summary
from tests.guards.runs import PASSED, copies, run_tests


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev guards", description=__doc__)
    parser.add_argument("words", nargs="*", help="only entries in which one of these words stands")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at a time (default: 2)")
    options = parser.parse_args()
    chosen = [guard for guard in every_guard() if guard.is_about(options.words)]
    if not chosen:
        sys.stderr.write("guards: no entry holds these words\n")
        return 2
    started = time.monotonic()
    judgements: list[Judgement] = []
    with copies(max(1, min(options.jobs, len(chosen)))) as places:
        bench = Bench(places, run_tests)
        as_it_is: dict[str, str] = {}
        for file, found, words in bench.as_it_is(chosen):
            as_it_is |= found
            if bad := [f"{test}: {outcome}" for test, outcome in found.items() if outcome != PASSED]:
                _say(f"✗ with every guard in place, {file}:\n    " + "\n    ".join(bad) + f"\n{words}")
        _say(f"{len(as_it_is)} tests as they are: {_minutes(started)}")
        for judgement in bench.judged(chosen, as_it_is):
            judgements.append(judgement)
            mark = "✗" if judgement.wrong else "✓"
            told = (f"{mark} {judgement.guard.promise}", *(f"    {line}" for line in judgement.wrong), judgement.words)
            _say("\n".join(filter(None, told)))
    _say(f"\nAfter {_minutes(started)}: {summary(judgements)}".rstrip())
    return 1 if any(judgement.wrong for judgement in judgements) else 0


def _minutes(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds} s"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
