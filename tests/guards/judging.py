"""Judges the entries one after the other or side by side: first every named test as it is, then without each guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.guards.guard import Guard
from tests.guards.runs import FAILED, PASSED, Run

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Judgement:
    """What is wrong with an entry, line by line; nothing when each of its tests fails without the guard.

    `words` is what pytest said last, for who wants to know why.
    """

    guard: Guard
    wrong: tuple[str, ...] = ()
    words: str = ""


class Bench:
    """The copies, each lent to one run at a time."""

    def __init__(self, copies: Sequence[Path], run: Run) -> None:
        self._count = len(copies)
        self._free: SimpleQueue[Path] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)
        self._run = run

    def as_it_is(self, guards: Iterable[Guard]) -> Iterator[tuple[str, Mapping[str, str], str]]:
        """With every guard in place: each test file, how its named tests ended, and pytest's last words.

        One run for each file: a limit for all of them together would be too short for many and too long for one.
        """
        files: dict[str, set[str]] = {}
        for test in (test for guard in guards for test in guard.tests):
            files.setdefault(test.partition("::")[0], set()).add(test)

        def ended(file: str, copy: Path) -> tuple[str, Mapping[str, str], str]:
            outcomes = self._run(copy, sorted(files[file]))
            return file, outcomes.found, outcomes.words

        yield from self._each(ended, sorted(files))

    def judged(self, guards: Sequence[Guard], as_it_is: Mapping[str, str]) -> Iterator[Judgement]:
        """Each entry's judgement, in their order; one whose tests do not pass as it is is not run without its guard."""

        def judge(guard: Guard, copy: Path) -> Judgement:
            never = tuple(
                f"{test}: {as_it_is[test]} with every guard in place"
                for test in guard.tests
                if as_it_is[test] != PASSED
            )
            return Judgement(guard, never) if never else self._without(guard, copy)

        yield from self._each(judge, guards)

    def _without(self, guard: Guard, copy: Path) -> Judgement:
        path = copy / guard.file
        source = path.read_text(encoding="utf-8")
        try:
            path.write_text(guard.removed_from(source), encoding="utf-8")
            outcomes = self._run(copy, guard.tests)
        except ValueError as error:
            return Judgement(guard, (str(error),))
        finally:
            path.write_text(source, encoding="utf-8")
        wrong = tuple(
            f"{test}: {outcomes.found[test]} without the guard"
            for test in guard.tests
            if outcomes.found[test] != FAILED
        )
        return Judgement(guard, wrong, outcomes.words if wrong else "")

    def _each(self, do: Callable[[_Asked, Path], _Answer], asked: Sequence[_Asked]) -> Iterator[_Answer]:
        def lent(one: _Asked) -> _Answer:
            copy = self._free.get()
            try:
                return do(one, copy)
            finally:
                self._free.put(copy)

        with ThreadPoolExecutor(self._count) as pool:
            yield from pool.map(lent, asked)


def summary(judgements: Sequence[Judgement]) -> str:
    """What a whole run came to: the count, and every entry that is not as it should be."""
    bad = [one for one in judgements if one.wrong]
    lines = [f"{len(judgements) - len(bad)} of {len(judgements)} guards are missed by their tests when they are out"]
    if bad:
        lines.append(f"{len(bad)} not:")
    for one in bad:
        lines += [f"✗ {one.guard.promise} ({one.guard.file})", *(f"    {line}" for line in one.wrong)]
    return "\n".join(lines) + "\n"
