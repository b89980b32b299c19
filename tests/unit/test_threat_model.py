"""What the threat model says is shown by a test is shown by one that exists; what it says is guarded, by an entry."""

import ast
import re
from functools import cache

import pytest

from tests.guards.guard import ROOT, every_guard

_TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(…|[\w/]+\.py)::(\w+)`|`((?:unit|contract|flows|e2e|guards)/[\w/]*(?:\.py|/))`")
_PROMISE = re.compile(r"^\| ([^|]+) \| ([^|]*`[^|]*) \| (yes|no) \|$", re.M)


def named(text: str) -> list[tuple[str, str]]:
    """Every file below `tests/` that the text names, with a test in it or nothing; `…` is the file named before."""
    found, file = [], ""
    for before, test, whole in _NAMED.findall(text):
        file = whole or (file if before == "…" else before)
        found.append((file, test))
    return found


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("file", "test"), sorted(set(named(_TEXT))))
def test_what_the_threat_model_names_exists(file: str, test: str) -> None:
    if test:
        assert test in functions_of(file)
    else:
        assert (ROOT / "tests" / file).exists()


def test_a_promise_of_the_knock_is_guarded_when_it_says_so() -> None:
    rows = _PROMISE.findall(_TEXT)
    assert len(rows) > 30
    guarded = {test.removeprefix("tests/") for guard in every_guard() for test in guard.tests}
    wrong = [
        promise
        for promise, tests, says in rows
        if (says == "yes") != any(f"{file}::{test}" in guarded for file, test in named(tests))
    ]
    assert wrong == []


def test_a_dots_file_is_the_one_named_before() -> None:
    text = "`unit/a/test_b.py::test_c`, `…::test_d`; `contract/test_e.py` (`…::test_f`), `e2e/site/`"
    assert named(text) == [
        ("unit/a/test_b.py", "test_c"),
        ("unit/a/test_b.py", "test_d"),
        ("contract/test_e.py", ""),
        ("contract/test_e.py", "test_f"),
        ("e2e/site/", ""),
    ]
