from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy.command_rules import CommandRules
from broker.policy.judge import judge
from broker.policy.model import (
    AccessRule,
    Allow,
    ClientProof,
    Deny,
    Duty,
    Effect,
    Facts,
    LiveKnock,
    NeedsApproval,
    NotProven,
    PolicyRules,
    Standing,
)
from broker.policy.rules import standard_rules
from broker.policy.testing import NOON, good_facts

RULES = standard_rules()
texts = st.text(min_size=1, max_size=12)
moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - the zone is added below
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001 - the zone is added below
).map(lambda moment: moment.replace(tzinfo=NOON.tzinfo))


def _with_knock(facts: Facts, **changes: object) -> Facts:
    assert isinstance(facts.knock, LiveKnock)
    return replace(facts, knock=replace(facts.knock, **changes))  # type: ignore[arg-type]


def _with_proof(facts: Facts, **changes: object) -> Facts:
    assert isinstance(facts.proof, ClientProof)
    return replace(facts, proof=replace(facts.proof, **changes))  # type: ignore[arg-type]


def _with_grant(facts: Facts, **changes: object) -> Facts:
    return replace(facts, grant=replace(facts.grant, **changes))  # type: ignore[arg-type]


def _with_asked(facts: Facts, **changes: object) -> Facts:
    return replace(facts, asked=replace(facts.asked, **changes))  # type: ignore[arg-type]


def test_good_facts_give_a_permit_that_names_everything_and_demands_recording() -> None:
    verdict = judge(good_facts(), RULES, NOON)
    assert isinstance(verdict, Allow)
    permit = verdict.permit
    assert (permit.person_id, permit.device_id, permit.target_id) == ("psn_1", "dev_1", "tgt_1")
    assert (permit.account, permit.protocol, permit.source) == ("operator", "ssh", "203.0.113.10")
    assert permit.not_after == NOON + timedelta(hours=1)
    assert permit.duties == verdict.duties == (Duty.RECORD,)
    assert permit.channels == ("shell", "exec", "file_upload", "file_download")
    assert (verdict.rule_id, verdict.policy_version) == ("access.ssh-after-approval", "1")


def test_a_rule_may_demand_that_somebody_watches() -> None:
    verdict = judge(good_facts(), standard_rules(must_be_watched=True), NOON)
    assert isinstance(verdict, Allow)
    assert verdict.permit.duties == verdict.duties == (Duty.RECORD, Duty.WATCHED)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: replace(f, person=replace(f.person, is_active=False)), "policy.person_not_active"),
        (lambda f: replace(f, person=replace(f.person, person_id="psn_2")), "policy.other_person"),
        (lambda f: replace(f, device=replace(f.device, is_trusted=False)), "device_not_trusted"),
        (lambda f: replace(f, device=replace(f.device, person_id="psn_2")), "policy.other_person"),
        (lambda f: _with_grant(f, device_id="dev_2"), "policy.other_device"),
        (lambda f: _with_knock(f, device_id="dev_2"), "policy.other_device"),
        (lambda f: _with_proof(f, device_id="dev_2"), "policy.other_device"),
        (lambda f: _with_asked(f, device_id="dev_2"), "policy.other_device"),
        (lambda f: _with_asked(f, grant_id="grt_2"), "policy.other_grant"),
        (lambda f: _with_knock(f, grant_id="grt_2"), "policy.other_grant"),
        (lambda f: _with_proof(f, grant_id="grt_2"), "policy.other_grant"),
        (lambda f: _with_grant(f, standing=Standing.REVOKED), "policy.grant_revoked"),
        (lambda f: _with_grant(f, standing=Standing.USED), "policy.grant_used"),
        (lambda f: _with_grant(f, standing=Standing.EXPIRED), "outside_window"),
        (lambda f: _with_grant(f, not_after=NOON), "outside_window"),
        (lambda f: _with_grant(f, not_before=NOON + timedelta(seconds=1)), "outside_window"),
        (lambda f: _with_knock(f, stamp_at=NOON - timedelta(seconds=61)), "policy.knock_stale"),
        (lambda f: _with_knock(f, stamp_at=NOON + timedelta(seconds=61)), "policy.knock_stale"),
        (lambda f: _with_knock(f, door=1), "policy.other_door"),
        (lambda f: _with_knock(f, bind=bytes(32)), "policy.other_key"),
        (lambda f: _with_knock(f, address="203.0.113.11"), "policy.other_source"),
        (lambda f: _with_knock(f, address=None), "policy.source_not_named"),
        (lambda f: _with_proof(f, source="203.0.113.11"), "policy.other_source"),
        (lambda f: _with_asked(f, source="203.0.113.11"), "policy.other_source"),
        (lambda f: _with_proof(f, valid_before=NOON), "policy.certificate_expired"),
        (lambda f: _with_proof(f, valid_after=NOON + timedelta(seconds=1)), "policy.certificate_expired"),
        (lambda f: _with_asked(f, account="root"), "policy.other_account"),
        (lambda f: replace(f, knock=NotProven("knock.forged", "no")), "knock.forged"),
        (lambda f: replace(f, proof=NotProven("proof.forged", "no")), "proof.forged"),
    ],
)
def test_one_thing_that_is_not_as_it_should_be_is_enough_to_deny(spoil: Callable[[Facts], Facts], code: str) -> None:
    verdict = judge(spoil(good_facts()), RULES, NOON)
    assert isinstance(verdict, Deny)
    assert verdict.code == code
    assert verdict.rule_id
    assert verdict.policy_version == "1"


def test_a_device_that_may_do_so_takes_its_address_from_the_header() -> None:
    facts = good_facts()
    facts = replace(facts, device=replace(facts.device, may_take_address_from_header=True))
    assert isinstance(judge(_with_knock(facts, address=None), RULES, NOON), Allow)


def test_what_no_rule_allows_is_denied() -> None:
    nothing = PolicyRules(version="3", access=(), commands={"ssh": CommandRules("3")})
    verdict = judge(good_facts(), nothing, NOON)
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.rule_id, verdict.policy_version) == ("policy.nothing_allows_it", "base.default", "3")


def _policy(rule: AccessRule) -> PolicyRules:
    return PolicyRules(version="1", access=(rule,), commands={"ssh": CommandRules("1")})


def test_a_rule_that_denies_wins_over_a_grant() -> None:
    verdict = judge(good_facts(), _policy(AccessRule("shut", Effect.DENY, frozenset({"ssh"}))), NOON)
    assert isinstance(verdict, Deny)
    assert verdict.rule_id == "shut"


def test_a_rule_that_wants_two_people_sends_a_grant_of_one_back_for_approval() -> None:
    two = _policy(AccessRule("two", Effect.ALLOW, frozenset({"ssh"}), approvals=2))
    verdict = judge(good_facts(), two, NOON)
    assert isinstance(verdict, NeedsApproval)
    assert (verdict.by, verdict.rule_id) == ("plant_admin", "two")
    assert isinstance(judge(_with_grant(good_facts(), approvals=2), two, NOON), Allow)


def test_a_rule_may_bound_a_session_below_its_grant() -> None:
    short = _policy(AccessRule("short", Effect.ALLOW, frozenset({"ssh"}), max_session=timedelta(minutes=10)))
    verdict = judge(good_facts(), short, NOON)
    assert isinstance(verdict, Allow)
    assert verdict.permit.not_after == NOON + timedelta(minutes=10)


@given(now=moments)
def test_no_permit_outside_the_window(now: datetime) -> None:
    facts = _with_proof(
        _with_knock(good_facts(), stamp_at=now),
        valid_after=now - timedelta(minutes=1),
        valid_before=now + timedelta(minutes=1),
    )
    inside = facts.grant.not_before <= now < facts.grant.not_after
    assert isinstance(judge(facts, RULES, now), Allow) == inside


@given(age_seconds=st.integers(-600, 600))
def test_no_permit_on_a_stale_knock(age_seconds: int) -> None:
    facts = _with_knock(good_facts(), stamp_at=NOON - timedelta(seconds=age_seconds))
    assert isinstance(judge(facts, RULES, NOON), Allow) == (abs(age_seconds) <= 60)


@given(
    device=texts,
    source=texts,
    account=texts,
    grant=texts,
    trusted=st.booleans(),
    active=st.booleans(),
    standing=st.sampled_from(Standing),
    bind=st.binary(min_size=32, max_size=32) | st.none(),
    proven=st.sampled_from(["both", "knock", "proof"]),
    keep=st.sets(st.sampled_from(["device", "source", "account", "grant"])),
)
def test_a_permit_always_names_what_was_proved_and_nothing_else(
    *,
    device: str,
    source: str,
    account: str,
    grant: str,
    trusted: bool,
    active: bool,
    standing: Standing,
    bind: bytes | None,
    proven: str,
    keep: set[str],
) -> None:
    good = good_facts()
    facts = _with_asked(
        good,
        device_id=good.asked.device_id if "device" in keep else device,
        source=good.asked.source if "source" in keep else source,
        account=good.asked.account if "account" in keep else account,
        grant_id=good.asked.grant_id if "grant" in keep else grant,
    )
    facts = replace(
        _with_grant(facts, standing=standing),
        device=replace(facts.device, is_trusted=trusted),
        person=replace(facts.person, is_active=active),
    )
    if bind is not None:
        facts = _with_knock(facts, bind=bind)
    if proven == "knock":
        facts = replace(facts, proof=NotProven("x", "x"))
    elif proven == "proof":
        facts = replace(facts, knock=NotProven("x", "x"))
    verdict = judge(facts, RULES, NOON)
    all_good = (
        facts.asked == good.asked
        and facts.knock == good.knock
        and proven == "both"
        and trusted
        and active
        and standing is Standing.LIVE
    )
    assert isinstance(verdict, Allow) == all_good


def test_the_duty_to_wait_for_room_is_the_rules() -> None:
    verdict = judge(good_facts(), standard_rules(hold_when_full=True), NOON)
    assert isinstance(verdict, Allow)
    assert verdict.permit.duties == (Duty.RECORD, Duty.HOLD_WHEN_FULL)
