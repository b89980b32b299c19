from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.grants import rules
from broker.grants.model import Grant, GrantCommand, GrantState
from broker.kernel.errors import Conflict, Forbidden, Invalid, SallyportError
from broker.policy.model import Standing

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GRANT = Grant(
    id="grt_1",
    request_id="req_1",
    person_id="psn_1",
    device_id="dev_1",
    target_id="tgt_1",
    account="maint",
    protocol="ssh",
    not_before=NOON,
    not_after=NOON + timedelta(hours=1),
    approvals=1,
    state=GrantState.ISSUED,
    issued_at=NOON,
    ended_at=None,
    ended_by=None,
    end_reason=None,
)


@given(state=st.sampled_from(GrantState), command=st.sampled_from(GrantCommand))
def test_a_grant_that_is_over_stays_over(state: GrantState, command: GrantCommand) -> None:
    if state in rules.LIVE_STATES:
        assert rules.moved(state, command) is rules.MOVES[state, command]
        return
    with pytest.raises(Conflict) as caught:
        rules.moved(state, command)
    assert caught.value.code == "grants.not_in_state"


class GrantLife(RuleBasedStateMachine):
    """Any sequence of commands: live first, then one end for good."""

    def __init__(self) -> None:
        super().__init__()
        self.state = GrantState.ISSUED
        self.ends: list[GrantState] = []

    @rule(command=st.sampled_from(GrantCommand))
    def obey(self, command: GrantCommand) -> None:
        try:
            self.state = rules.moved(self.state, command)
        except Conflict:
            return
        if self.state not in rules.LIVE_STATES:
            self.ends.append(self.state)

    @invariant()
    def one_end(self) -> None:
        assert len(self.ends) <= 1
        assert (rules.standing(replace(GRANT, state=self.state)) is Standing.LIVE) == (not self.ends)


TestGrantLife = GrantLife.TestCase


@pytest.mark.parametrize(
    ("grant", "device_id", "now", "code"),
    [
        (GRANT, "dev_2", NOON, "device_not_trusted"),
        (replace(GRANT, state=GrantState.REVOKED), "dev_1", NOON, "denied"),
        (replace(GRANT, state=GrantState.USED), "dev_1", NOON, "denied"),
        (replace(GRANT, state=GrantState.EXPIRED), "dev_1", NOON, "outside_window"),
        (GRANT, "dev_1", NOON - timedelta(seconds=1), "outside_window"),
        (GRANT, "dev_1", NOON + timedelta(hours=1), "outside_window"),
    ],
)
def test_a_certificate_is_refused_with_the_clients_own_code(
    grant: Grant, device_id: str, now: datetime, code: str
) -> None:
    rules.check_usable(GRANT, "dev_1", NOON)
    with pytest.raises(Forbidden) as caught:
        rules.check_usable(grant, device_id, now)
    assert caught.value.code == code


@given(
    offset=st.floats(-3600, 7200, allow_nan=False).map(lambda seconds: timedelta(seconds=seconds)),
    length=st.floats(0.1, 90_000, allow_nan=False).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_a_certificate_never_leaves_its_grants_window(offset: timedelta, length: timedelta) -> None:
    grant = replace(
        GRANT, not_before=NOON + timedelta(milliseconds=300), not_after=NOON + length + timedelta(seconds=1)
    )
    now = NOON + offset
    try:
        begin, end = rules.certificate_times(grant, now)
    except SallyportError:
        return
    assert grant.not_before <= begin < end <= grant.not_after
    assert end - now <= rules.CERTIFICATE_LIFETIME
    assert now - begin <= rules.CERTIFICATE_BACKDATED
    assert begin.microsecond == end.microsecond == 0


def test_a_revocation_has_a_reason() -> None:
    assert rules.check_reason("  line is\nup again ") == "line is up again"
    for bad in (" ", "x" * 501, "\x07"):
        with pytest.raises(Invalid):
            rules.check_reason(bad)
