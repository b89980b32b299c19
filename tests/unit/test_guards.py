"""The table of guards agrees with the code: what it would take out is there once, and its tests exist."""

import ast
from collections import Counter

import pytest

from tests.guards.guard import ROOT, Guard, every_guard

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
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, test


def test_no_promise_stands_twice() -> None:
    assert [promise for promise, count in Counter(_named(_GUARDS)).items() if count > 1] == []


def test_a_text_that_is_gone_or_there_twice_is_told() -> None:
    guard = Guard(promise="p", file="f.py", text="check()\n", without="", tests=("t",))
    assert guard.removed_from("a\ncheck()\nb\n") == "a\nb\n"
    for source in ("a\n", "check()\ncheck()\n"):
        with pytest.raises(ValueError, match=r"f\.py: the text of 'p' is found"):
            guard.removed_from(source)
