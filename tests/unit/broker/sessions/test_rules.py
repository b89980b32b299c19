from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.kernel.errors import Conflict, Invalid
from broker.sessions import rules
from broker.sessions.model import SessionCommand, SessionRecord, SessionState

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RECORD = SessionRecord(
    id="ses_1",
    grant_id="grt_1",
    person_id="psn_1",
    device_id="dev_1",
    source="203.0.113.7",
    target_id="tgt_1",
    account="maint",
    protocol="ssh",
    permit_id="prm_1",
    recording_id="rec_1",
    knock_id="00",
    worker="w1",
    boot_id="b1",
    policy_version="1",
    rule_id="r",
    autonomy_seconds=300,
    state=SessionState.LIVE,
    not_after=NOON + timedelta(hours=1),
    admitted_at=NOON,
    started_at=NOON,
    ended_at=None,
    end_reason=None,
    end_ordered_at=None,
    end_order=None,
    end_order_reason=None,
    exit_status=None,
    commands_blocked=0,
    source_port=50123,
    must_be_watched=False,
    frozen_at=None,
    frozen_reason=None,
    unanswered_at=None,
)


@given(state=st.sampled_from(SessionState), command=st.sampled_from(SessionCommand))
def test_whatever_the_table_does_not_hold_is_refused(state: SessionState, command: SessionCommand) -> None:
    after = rules.MOVES.get((state, command))
    if after is None:
        with pytest.raises(Conflict) as caught:
            rules.moved(state, command)
        assert caught.value.code == "sessions.not_in_state"
    else:
        assert rules.moved(state, command) is after


class SessionLife(RuleBasedStateMachine):
    """Any sequence of commands: closed stays closed, and nothing becomes live after an order to end."""

    def __init__(self) -> None:
        super().__init__()
        self.state = SessionState.PENDING
        self.seen = [self.state]

    @rule(command=st.sampled_from(SessionCommand))
    def obey(self, command: SessionCommand) -> None:
        if (self.state, command) in rules.MOVES:
            self.state = rules.moved(self.state, command)
            self.seen.append(self.state)

    @invariant()
    def never_backwards(self) -> None:
        order = list(SessionState)
        positions = [order.index(state) for state in self.seen]
        assert positions == sorted(set(positions))


TestSessionLife = SessionLife.TestCase


def test_a_session_is_lost_only_when_no_gateway_can_hold_it() -> None:
    end = RECORD.not_after + timedelta(seconds=600)
    assert rules.lost_because(RECORD, end - timedelta(seconds=1)) is None
    assert rules.lost_because(RECORD, end) == "gateway_lost"
    pending = replace(RECORD, state=SessionState.PENDING)
    assert rules.lost_because(pending, NOON + timedelta(seconds=59)) is None
    assert rules.lost_because(pending, NOON + timedelta(seconds=60)) == "never_started"
    assert rules.lost_because(replace(RECORD, state=SessionState.CLOSED), end) is None


@pytest.mark.parametrize(
    ("told", "ordered", "trusted", "reason"),
    [
        ("client_left", None, True, "client_left"),
        ("client_left", None, False, "device_not_trusted"),
        ("client_left", "grant_revoked", True, "grant_revoked"),
        ("client_left", "cut", False, "cut"),
        ("target_left", "grant_revoked", False, "target_left"),
        ("recording_lost", None, False, "recording_lost"),
    ],
)
def test_a_client_that_is_gone_left_for_the_reason_that_the_plant_had(
    told: str, ordered: str | None, *, trusted: bool, reason: str
) -> None:
    assert rules.end_reason(told, ordered, device_is_trusted=trusted) == reason


def test_an_order_is_unanswered_after_three_seconds_until_the_firewall_has_answered_it() -> None:
    ordered = replace(RECORD, state=SessionState.CLOSING, end_ordered_at=NOON)
    assert not rules.is_unanswered(ordered, NOON + timedelta(seconds=2))
    assert rules.is_unanswered(ordered, NOON + timedelta(seconds=3))
    assert not rules.is_unanswered(replace(ordered, unanswered_at=NOON), NOON + timedelta(seconds=3))
    assert not rules.is_unanswered(RECORD, NOON + timedelta(hours=9))


def test_reasons_are_codes_and_words_are_words() -> None:
    assert rules.check_reason("grant_revoked") == "grant_revoked"
    for bad in ("", "Two Words", "x" * 61, "9a"):
        with pytest.raises(Invalid):
            rules.check_reason(bad)
    assert rules.check_words("  call   us ") == "call us"
    for bad in ("", "x" * 201, "a\x1b[2Jb"):
        with pytest.raises(Invalid):
            rules.check_words(bad)
