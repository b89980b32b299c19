"""The table of guards agrees with the code: what it would take out is there once, and its tests exist."""

import ast
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.guards.guard import ROOT, Guard, every_guard
from tests.guards.judging import Bench, Judgement, summary
from tests.guards.runs import FAILED, PASSED, Outcomes

_GUARDS = every_guard()


def _named(guards: list[Guard]) -> list[str]:
    return [guard.promise for guard in guards]


@pytest.mark.parametrize("guard", _GUARDS, ids=_named(_GUARDS))
def test_a_guards_text_stands_once_and_what_is_left_without_it_compiles(guard: Guard) -> None:
    source = (ROOT / guard.file).read_text(encoding="utf-8")
    compile(guard.removed_from(source), guard.file, "exec")


@pytest.mark.parametrize("guard", _GUARDS, ids=_named(_GUARDS))
def test_a_guards_tests_exist(guard: Guard) -> None:
    assert guard.tests
    for test in guard.tests:
        path, _, name = test.partition("::")
        assert name in _functions_of(path), test


@cache
def _functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_no_promise_stands_twice() -> None:
    assert [promise for promise, count in Counter(_named(_GUARDS)).items() if count > 1] == []


def test_a_text_that_is_gone_or_there_twice_is_told() -> None:
    guard = Guard(promise="p", file="f.py", text="check()\n", without="", tests=("t",))
    assert guard.removed_from("a\ncheck()\nb\n") == "a\nb\n"
    for source in ("a\n", "check()\ncheck()\n"):
        with pytest.raises(ValueError, match=r"f\.py: the text of 'p' is found"):
            guard.removed_from(source)


# -- a whole run ------------------------------------------------------------------------------------------------------


def _entry(name: str, *tests: str) -> Guard:
    return Guard(promise=name, file="guarded.py", text=f"check_{name}()\n", without="pass\n", tests=tests)


class _Pytest:
    """Tests that pass while each check stands in the copy, and those whose end is given."""

    def __init__(self, ends: dict[str, str]) -> None:
        self.ends = ends
        self.runs: list[list[str]] = []

    def __call__(self, copy: Path, tests: Sequence[str]) -> Outcomes:
        self.runs.append(list(tests))
        whole = (copy / "guarded.py").read_text().count("check_") == 2
        return Outcomes({test: self.ends.get(test, PASSED if whole else FAILED) for test in tests}, "last words")


def _run(copy: Path, pytest_: _Pytest, guards: Sequence[Guard]) -> list[Judgement]:
    (copy / "guarded.py").write_text("check_one()\ncheck_two()\n")
    bench = Bench([copy], pytest_)
    as_it_is = {test: end for _, found, _ in bench.as_it_is(guards) for test, end in found.items()}
    judgements = list(bench.judged(guards, as_it_is))
    assert (copy / "guarded.py").read_text() == "check_one()\ncheck_two()\n"
    return judgements


def test_each_file_is_run_once_as_it_is_and_each_entry_once_without_its_guard(tmp_path: Path) -> None:
    tests = _Pytest({})
    judgements = _run(tmp_path, tests, [_entry("one", "a.py::x", "b.py::y"), _entry("two", "a.py::z", "a.py::x")])
    assert tests.runs == [["a.py::x", "a.py::z"], ["b.py::y"], ["a.py::x", "b.py::y"], ["a.py::z", "a.py::x"]]
    assert summary(judgements) == "2 of 2 guards are missed by their tests when they are out\n"


@pytest.mark.parametrize("end", ["skipped", "error", "did not run", "not done after 300 s", FAILED])
def test_a_test_that_does_not_pass_as_it_is_fails_its_entry_and_no_other(tmp_path: Path, end: str) -> None:
    tests = _Pytest({"a.py::x": end})
    judgements = _run(tmp_path, tests, [_entry("one", "a.py::x"), _entry("two", "b.py::y")])
    assert [bool(one.wrong) for one in judgements] == [True, False]
    assert summary(judgements).splitlines() == [
        "1 of 2 guards are missed by their tests when they are out",
        "1 not:",
        "✗ one (guarded.py)",
        f"    a.py::x: {end} with every guard in place",
    ]


def test_a_test_that_passes_without_its_guard_or_cannot_tell_fails_its_entry(tmp_path: Path) -> None:
    tests = _Pytest({"a.py::x": PASSED})
    (judgement,) = _run(tmp_path, tests, [_entry("one", "a.py::x", "a.py::y")])
    assert judgement.wrong == ("a.py::x: passed without the guard",)
    assert judgement.words == "last words"
    (gone,) = _run(tmp_path, _Pytest({}), [_entry("three", "a.py::x")])
    assert "found 0 times" in gone.wrong[0]
