"""How the harness that takes guards out reads a run of pytest."""

from pathlib import Path

from tests.guards.runs import ERROR, FAILED, PASSED, SKIPPED, run_tests

_EVERY_END = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_case_fails(number):
    assert number != 2

def test_passes():
    pass

@pytest.fixture
def broken():
    raise RuntimeError

def test_cannot_begin(broken):
    pass

def test_is_skipped():
    pytest.skip("not here")
"""


def test_a_run_tells_how_each_test_ended_and_a_hanging_one_is_over_with_its_time(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "test_ends.py").write_text(_EVERY_END)
    wanted = {"one_case_fails": FAILED, "passes": PASSED, "cannot_begin": ERROR, "is_skipped": SKIPPED}
    named = {f"test_ends.py::test_{name}": end for name, end in wanted.items()}
    outcomes = run_tests(copy, sorted(named))
    assert outcomes.found == named
    assert "assert 2 != 2" in outcomes.words or "1 error" in outcomes.words
    assert run_tests(copy, ["test_ends.py::test_gone"]).found == {"test_ends.py::test_gone": "did not run"}
    hangs = run_tests(copy, ["test_ends.py::test_passes"], limit_seconds=0.05)
    assert hangs.found == {"test_ends.py::test_passes": "not done after 0.05 s"}
