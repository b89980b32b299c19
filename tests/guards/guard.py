"""What an entry is, and where the entries are."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One promise, the source text that keeps it, and the tests that must fail without it.

    Args:
        promise: one sentence, in the words of the threat model.
        file: the source file, from the checkout's root.
        text: what keeps the promise, exactly as it stands there, and nowhere else in that file.
        without: what stands there when the guard is taken out; the file must still compile.
        tests: test ids from the checkout's root (`tests/….py::test_name`, without parameters). Each must fail.
    """

    promise: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]

    def removed_from(self, source: str) -> str:
        """The source without the guard.

        Raises:
            ValueError: the text does not stand there exactly once, or the change is none.
        """
        count = source.count(self.text)
        if count != 1:
            raise ValueError(f"{self.file}: the text of '{self.promise}' is found {count} times instead of once")
        if self.without == self.text:
            raise ValueError(f"{self.file}: '{self.promise}' is not taken out")
        return source.replace(self.text, self.without)

    def is_about(self, words: Sequence[str]) -> bool:
        """Whether one of these words stands in it; no words fit everything."""
        told = " ".join((self.promise, self.file, *self.tests)).lower()
        return not words or any(word.lower() in told for word in words)


def every_guard() -> list[Guard]:
    """All entries, in the order of the tables' names."""
    from tests.guards import tables

    names = sorted(module.name for module in pkgutil.iter_modules(tables.__path__))
    found: list[Guard] = []
    for name in names:
        found += import_module(f"{tables.__name__}.{name}").GUARDS
    return found
