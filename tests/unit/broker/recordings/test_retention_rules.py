from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from broker.app.settings import LEAST_KEEP_DAYS
from broker.identities.testing import NOON
from broker.kernel.errors import Conflict, Forbidden, Invalid
from broker.recordings import retention_rules as rules
from broker.recordings.model import Recording, RecordingState
from broker.recordings.retention_model import Barrier, Hold, Purge, PurgeCommand, PurgeState

KEEP = timedelta(days=180)
RECORDING = Recording(
    id="rec_1",
    session_id="ses_1",
    file_name="rec_1.sallyrec",
    state=RecordingState.SEALED,
    signing_public=bytes(32),
    header_sha256=bytes(32),
    opened_at=NOON,
    closed_at=NOON + timedelta(hours=1),
    head_sha256=bytes(32),
    head_signature=bytes(64),
    frames=1,
    batches=1,
    bytes_written=1000,
)
HOLD = Hold("hld_1", "rec_1", "case 7", "psn_auditor", NOON, None, None, None)
PURGE = Purge(
    id="prg_1",
    state=PurgeState.ASKED,
    reason="old",
    recording_count=1,
    total_bytes=1000,
    list_sha256=rules.list_sha256(["rec_1"]),
    asked_by="psn_system",
    asked_at=NOON,
    expires_at=NOON + rules.ASK_VALID,
    decided_by=None,
    decided_at=None,
    decision_reason=None,
)


def test_a_purge_is_decided_once_and_only_from_asked() -> None:
    for state, command in product(PurgeState, PurgeCommand):
        if state is PurgeState.ASKED:
            assert rules.moved(state, command) is not state
        else:
            with pytest.raises(Conflict, match="already"):
                rules.moved(state, command)


def test_a_recording_is_kept_for_180_days_after_its_end_to_the_moment() -> None:
    until = NOON + timedelta(hours=1) + KEEP
    assert rules.keep_until(RECORDING, KEEP) == until
    assert rules.barrier(RECORDING, [], KEEP, until - timedelta(microseconds=1)) is Barrier.TOO_YOUNG
    assert rules.barrier(RECORDING, [], KEEP, until) is None


def test_less_than_180_days_is_never_meant() -> None:
    assert rules.keep_until(RECORDING, timedelta(0)) == NOON + timedelta(hours=1) + KEEP
    assert rules.LEAST_KEPT == timedelta(days=LEAST_KEEP_DAYS) == KEEP


def test_a_gateway_that_tells_an_end_in_the_past_shortens_nothing() -> None:
    told = replace(RECORDING, closed_at=NOON - timedelta(days=400))
    assert rules.keep_until(told, KEEP) == NOON + KEEP
    assert rules.barrier(told, [], KEEP, NOON + KEEP - timedelta(seconds=1)) is Barrier.TOO_YOUNG


def test_what_is_still_written_is_never_destroyed() -> None:
    running = replace(RECORDING, state=RecordingState.OPEN, closed_at=None)
    assert rules.barrier(running, [], KEEP, NOON + timedelta(days=4000)) is Barrier.OPEN


def test_one_standing_hold_bars_whatever_was_lifted_beside_it() -> None:
    late = NOON + timedelta(days=4000)
    lifted = replace(HOLD, lifted_by="psn_security", lifted_at=late, lift_reason="done")
    assert rules.barrier(RECORDING, [lifted], KEEP, late) is None
    assert rules.barrier(RECORDING, [lifted, HOLD], KEEP, late) is Barrier.ON_HOLD


def test_a_list_has_one_name_in_any_order_and_another_with_any_change() -> None:
    assert rules.list_sha256(["rec_1", "rec_2"]) == rules.list_sha256(["rec_2", "rec_1"])
    names = {rules.list_sha256(ids) for ids in ([], ["rec_1"], ["rec_2"], ["rec_1", "rec_2"], ["rec_1rec_2"])}
    assert len(names) == 5


def test_who_asked_never_confirms_and_neither_does_who_reviewed_another_list_or_came_late() -> None:
    rules.check_confirmer(PURGE, "psn_auditor", PURGE.list_sha256, PURGE.expires_at - timedelta(microseconds=1))
    with pytest.raises(Forbidden, match="another person"):
        rules.check_confirmer(PURGE, "psn_system", PURGE.list_sha256, NOON)
    with pytest.raises(Conflict, match="in time"):
        rules.check_confirmer(PURGE, "psn_auditor", PURGE.list_sha256, PURGE.expires_at)
    with pytest.raises(Conflict, match="reviewed"):
        rules.check_confirmer(PURGE, "psn_auditor", rules.list_sha256(["rec_2"]), NOON)
    with pytest.raises(Conflict, match="already"):
        rules.check_confirmer(replace(PURGE, state=PurgeState.CONFIRMED), "psn_auditor", PURGE.list_sha256, NOON)


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 501])
def test_a_reason_says_something(text: str) -> None:
    with pytest.raises(Invalid, match="reason"):
        rules.checked_reason(text)
    assert rules.checked_reason(" 案件七 ") == "案件七"
