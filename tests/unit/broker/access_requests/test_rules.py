from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.access_requests import rules
from broker.access_requests.model import (
    AccessRequest,
    Approval,
    Approved,
    Limits,
    NoticeFacts,
    RequestCommand,
    RequestState,
    StillWaiting,
    Wish,
)
from broker.kernel.errors import Conflict, Invalid, SallyportError

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = Limits()
WISH = Wish("pump 3 stands still", "WO-1", None, 2 * HOUR)
REQUEST = AccessRequest(
    id="req_1",
    person_id="psn_vendor",
    device_id="dev_1",
    source="203.0.113.7",
    target_id="tgt_1",
    account="maint",
    protocol="ssh",
    wish=WISH,
    state=RequestState.SUBMITTED,
    submitted_at=NOON,
    lapses_at=NOON + 24 * HOUR,
    window=None,
    decided_at=None,
    decided_by=None,
    decision_reason=None,
    notices=(),
)
people = st.sampled_from(["psn_vendor", "psn_a", "psn_b", "psn_c", "psn_d"])


def approve(
    request: AccessRequest = REQUEST,
    *given_by: str,
    approver: str = "psn_a",
    duration: timedelta | None = None,
    vouchers: frozenset[str] = frozenset({"psn_inviter"}),
    required: int = 1,
    now: datetime = NOON,
) -> Approved | StillWaiting:
    approvals = [Approval(one, NOON, 2 * HOUR) for one in given_by]
    return rules.approve(
        request, approvals, approver_id=approver, duration=duration, vouchers=vouchers, required=required, now=now
    )


# -- the wish ---------------------------------------------------------------------------------------------------------


def test_a_wish_is_trimmed() -> None:
    checked = rules.check_wish(replace(WISH, reason="  pump\n3  "), LIMITS, NOON)
    assert checked.reason == "pump 3"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (replace(WISH, reason="  "), "reason"),
        (replace(WISH, reason="x" * 501), "reason"),
        (replace(WISH, reason="a\x1bb"), "reason"),
        (replace(WISH, work_order=""), "work_order"),
        (replace(WISH, work_order="x" * 81), "work_order"),
        (replace(WISH, duration=timedelta(0)), "duration_seconds"),
        (replace(WISH, duration=-HOUR), "duration_seconds"),
        (replace(WISH, duration=12 * HOUR + timedelta(seconds=1)), "duration_seconds"),
        (replace(WISH, starts_at=NOON + timedelta(days=14, seconds=1)), "starts_at"),
        (replace(WISH, starts_at=NOON - timedelta(minutes=6)), "starts_at"),
    ],
)
def test_a_wish_outside_its_bounds_is_refused_and_says_which_field(wish: Wish, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.check_wish(wish, LIMITS, NOON)
    assert (caught.value.code, caught.value.params["field"]) == ("invalid", field)


def test_the_bounds_themselves_are_allowed() -> None:
    for wish in (
        replace(WISH, duration=12 * HOUR),
        replace(WISH, starts_at=NOON + timedelta(days=14)),
        replace(WISH, starts_at=NOON),
    ):
        assert rules.check_wish(wish, LIMITS, NOON) == wish


def test_an_undecided_request_lapses_when_it_is_worth_nothing_any_more() -> None:
    assert rules.lapses_at(WISH, LIMITS, NOON) == NOON + 24 * HOUR
    assert rules.lapses_at(replace(WISH, starts_at=NOON + HOUR), LIMITS, NOON) == NOON + 3 * HOUR


# -- approving --------------------------------------------------------------------------------------------------------


def test_an_approval_opens_the_window_from_now_when_no_start_was_asked() -> None:
    outcome = approve(now=NOON + HOUR)
    assert isinstance(outcome, Approved)
    assert (outcome.window.not_before, outcome.window.not_after) == (NOON + HOUR, NOON + 3 * HOUR)


def test_an_approval_keeps_the_start_that_was_asked_also_when_it_comes_late() -> None:
    asked = replace(REQUEST, wish=replace(WISH, starts_at=NOON + HOUR))
    for now in (NOON, NOON + 2 * HOUR):
        outcome = approve(asked, now=now)
        assert isinstance(outcome, Approved)
        assert (outcome.window.not_before, outcome.window.not_after) == (NOON + HOUR, NOON + 3 * HOUR)
    with pytest.raises(Conflict) as caught:
        approve(asked, now=NOON + 3 * HOUR)
    assert caught.value.code == "access_requests.window_over"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"approver": "psn_vendor"}, "access_requests.approver_is_requester"),
        ({"approver": "psn_inviter"}, "access_requests.approver_vouched_for_device"),
        ({"duration": 3 * HOUR}, "access_requests.wider_than_asked"),
        ({"duration": timedelta(0)}, "access_requests.wider_than_asked"),
    ],
)
def test_who_may_not_approve_is_told_why(changes: dict[str, object], code: str) -> None:
    with pytest.raises(SallyportError) as caught:
        approve(**changes)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_one_person_counts_once() -> None:
    with pytest.raises(Conflict) as caught:
        approve(REQUEST, "psn_a", required=2)
    assert caught.value.code == "access_requests.approver_counted"


def test_with_two_to_approve_one_of_them_may_have_vouched_for_the_device() -> None:
    assert approve(approver="psn_inviter", required=2) == StillWaiting(1)
    assert isinstance(approve(REQUEST, "psn_inviter", required=2), Approved)
    with pytest.raises(SallyportError) as caught:
        approve(
            REQUEST,
            "psn_inviter",
            approver="psn_truster",
            required=2,
            vouchers=frozenset({"psn_inviter", "psn_truster"}),
        )
    assert caught.value.code == "access_requests.approver_vouched_for_device"


def test_the_yes_of_somebody_who_may_no_longer_approve_does_not_count() -> None:
    def outcome(able: set[str]) -> Approved | StillWaiting:
        return rules.approve(
            REQUEST,
            [Approval("psn_gone", NOON, HOUR)],
            approver_id="psn_b",
            duration=None,
            vouchers=frozenset({"psn_b"}),
            required=2,
            now=NOON,
            able=able,
        )

    assert isinstance(outcome({"psn_gone"}), Approved)
    assert outcome(set()) == StillWaiting(1)


def test_the_shortest_duration_that_somebody_allowed_counts() -> None:
    outcome = rules.approve(
        REQUEST,
        [Approval("psn_b", NOON, timedelta(minutes=20))],
        approver_id="psn_a",
        duration=HOUR,
        vouchers=frozenset(),
        required=2,
        now=NOON,
    )
    assert isinstance(outcome, Approved)
    assert outcome.window.not_after == NOON + timedelta(minutes=20)


@given(
    approver=people,
    earlier=st.lists(people, unique=True, max_size=3),
    vouchers=st.frozensets(people),
    required=st.integers(1, 3),
)
def test_what_is_approved_was_approved_by_enough_people_who_may(
    approver: str, earlier: list[str], vouchers: frozenset[str], required: int
) -> None:
    try:
        outcome = approve(REQUEST, *earlier, approver=approver, vouchers=vouchers, required=required)
    except SallyportError:
        return
    assert approver != REQUEST.person_id
    assert approver not in earlier
    approvers = {approver, *earlier}
    if isinstance(outcome, StillWaiting):
        assert len(approvers) + outcome.missing == required
        return
    assert len(approvers) >= required
    assert not approvers <= vouchers
    assert outcome.approvals == len(approvers)


MINUTE = timedelta(minutes=1)
ANSWERS: dict[str, Callable[[timedelta], st.SearchStrategy[timedelta | None]]] = {
    "as asked": lambda asked: st.none() | st.just(asked),
    "narrower": lambda asked: st.integers(1, asked // MINUTE - 1).map(lambda minutes: minutes * MINUTE),
    "wider": lambda asked: st.timedeltas(min_value=asked + timedelta.resolution, max_value=3 * asked),
    "nothing": lambda asked: st.timedeltas(min_value=-asked, max_value=timedelta(0)),
}


@pytest.mark.parametrize("answer", ANSWERS)
@given(data=st.data())
def test_what_is_approved_is_never_wider_than_what_was_asked(answer: str, data: st.DataObject) -> None:
    """Everybody may approve, so that the durations alone decide: by construction no other refusal is in the way."""
    asked_for = data.draw(st.integers(2, 720)) * MINUTE
    starts_at = data.draw(st.none() | st.integers(0, 600).map(lambda minutes: NOON + minutes * MINUTE))
    asked = replace(REQUEST, wish=replace(WISH, starts_at=starts_at, duration=asked_for))
    allowed = data.draw(ANSWERS[answer](asked_for))
    earlier = data.draw(st.lists(st.timedeltas(min_value=MINUTE, max_value=asked_for), max_size=3))

    def last_yes() -> Approved | StillWaiting:
        return rules.approve(
            asked,
            [Approval(f"psn_earlier_{number}", NOON, duration) for number, duration in enumerate(earlier)],
            approver_id="psn_last",
            duration=allowed,
            vouchers=frozenset(),
            required=len(earlier) + 1,
            now=NOON,
        )

    if answer in ("wider", "nothing"):
        with pytest.raises(SallyportError) as caught:
            last_yes()
        assert caught.value.code == "access_requests.wider_than_asked"
        return
    outcome = last_yes()
    assert isinstance(outcome, Approved)
    assert outcome.window.not_before == (NOON if starts_at is None else starts_at)
    shortest = min([asked_for if allowed is None else allowed, *earlier])
    assert outcome.window.not_after - outcome.window.not_before == shortest <= asked_for


# -- states -----------------------------------------------------------------------------------------------------------


@given(state=st.sampled_from(RequestState), command=st.sampled_from(RequestCommand))
def test_only_what_waits_can_be_decided(state: RequestState, command: RequestCommand) -> None:
    if state is RequestState.SUBMITTED:
        assert rules.moved(state, command) is rules.MOVES[state, command]
        return
    with pytest.raises(Conflict) as caught:
        rules.moved(state, command)
    assert caught.value.code == "access_requests.not_in_state"


class RequestLife(RuleBasedStateMachine):
    """Any sequence of commands: the first decision stands."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RequestState.SUBMITTED
        self.decision: RequestState | None = None

    @rule(command=st.sampled_from(RequestCommand))
    def obey(self, command: RequestCommand) -> None:
        try:
            self.state = rules.moved(self.state, command)
        except Conflict:
            return
        assert self.decision is None
        self.decision = self.state

    @invariant()
    def the_decision_stands(self) -> None:
        assert self.state is (self.decision or RequestState.SUBMITTED)


TestRequestLife = RequestLife.TestCase


# -- notices ----------------------------------------------------------------------------------------------------------


def test_an_ordinary_request_has_no_notices() -> None:
    usual = NoticeFacts(3, "tpm", "203.0.113.7", "203.0.113.7", NOON - timedelta(days=30))
    assert rules.notices(usual, NOON) == ()


def test_everything_unusual_is_noticed() -> None:
    unusual = NoticeFacts(0, "file", "203.0.113.7", "198.51.100.1", NOON - HOUR)
    assert [(notice.code, notice.value) for notice in rules.notices(unusual, NOON)] == [
        ("access_requests.first_request", None),
        ("access_requests.device_key_in_file", None),
        ("access_requests.source_differs", "198.51.100.1"),
        ("access_requests.device_newly_trusted", None),
    ]


def test_a_refusal_says_why() -> None:
    assert rules.check_refusal(" not now ") == "not now"
    for bad in ("", "x" * 501):
        with pytest.raises(Invalid):
            rules.check_refusal(bad)
