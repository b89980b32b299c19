import io
from typing import cast

import pytest

from deploy.demo import acts
from deploy.demo.plant_api import PlantApiError
from deploy.demo.stage import Stage, StepFailed, run_step


def test_a_complete_trail_misses_nothing_whatever_stands_between() -> None:
    told = [code for event in acts.STORY for code in (event, "something.else")]
    assert acts.missing_from_story([*told, *acts.ALSO_TOLD]) == []


def test_a_trail_without_an_event_or_in_the_wrong_order_is_named() -> None:
    without = [code for code in (*acts.STORY, *acts.ALSO_TOLD) if code not in {"knock.accepted", acts.STORY[3]}]
    assert acts.missing_from_story(without) == ["knock.accepted", acts.STORY[3]]
    swapped = [*acts.ALSO_TOLD, acts.STORY[1], acts.STORY[0], *acts.STORY[2:]]
    assert acts.missing_from_story(swapped) == [acts.STORY[1]]


def test_a_refusal_gives_its_code_and_success_none() -> None:
    def refuse() -> None:
        raise PlantApiError("POST", "/x", 403, "forbidden", "no")

    assert acts.refusal_of(refuse) == "forbidden"
    assert acts.refusal_of(lambda: None) == ""


def _stage() -> tuple[Stage, io.StringIO]:
    out = io.StringIO()
    nothing = cast("object", None)
    return Stage(nothing, nothing, nothing, {}, "", out=out), out  # type: ignore[arg-type]


def test_a_step_that_proves_all_passes_and_says_what() -> None:
    stage, out = _stage()
    result = run_step(stage, 1, "Hidden", lambda on: on.prove("nothing answers", holds=True), "A stranger looks.")
    assert (result.passed, result.proofs) == (True, ["nothing answers"])
    assert "1. Hidden - A stranger looks." in out.getvalue()
    assert "✓ nothing answers" in out.getvalue()


@pytest.mark.parametrize("error", [StepFailed("it does not hold"), OSError("no way there")])
def test_a_step_that_fails_is_a_result_and_no_crash(error: Exception) -> None:
    stage, out = _stage()

    def fail(on: Stage) -> None:
        on.prove("first", holds=True)
        raise error

    result = run_step(stage, 2, "Enrolled", fail, "An invite.")
    assert not result.passed
    assert result.proofs == ["first"]
    assert str(error) in result.failure
    assert "✗" in out.getvalue()


def test_a_claim_that_does_not_hold_says_what_was_found() -> None:
    stage, _ = _stage()
    with pytest.raises(StepFailed, match=r"the door is shut - this does not hold\. Found: open"):
        stage.prove("the door is shut", holds=False, found="open")
