from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.identities import rules
from broker.identities.model import Language, Person, PersonState, Role
from broker.identities.testing import NOON
from broker.kernel.errors import Conflict, Forbidden


def test_every_role_has_its_permissions_and_an_engineer_has_none() -> None:
    assert set(rules.PERMISSIONS) == set(Role)
    assert rules.permissions_of(Role.VENDOR_ENGINEER) == frozenset()


def test_an_auditor_changes_nothing_but_what_keeps_or_ends_evidence_and_the_latter_not_alone() -> None:
    held = rules.permissions_of(Role.AUDITOR)
    evidence = {"recordings.hold.place", "recordings.purge.confirm"}
    assert evidence <= held
    actions = {permission.rpartition(".")[2] for permission in held - evidence}
    assert actions == {"read", "replay", "unmask", "watch"}
    assert not {"recordings.purge.ask", "recordings.hold.lift"} & held


def test_destroying_a_recording_takes_two_roles_and_one_that_was_held_takes_three() -> None:
    for permission, holder in (
        ("recordings.purge.ask", Role.SYSTEM_ADMINISTRATOR),
        ("recordings.purge.confirm", Role.AUDITOR),
        ("recordings.hold.place", Role.AUDITOR),
        ("recordings.hold.lift", Role.SECURITY_ADMINISTRATOR),
    ):
        assert [role for role in Role if permission in rules.permissions_of(role)] == [holder]


def test_nobody_both_stores_credentials_and_approves_requests() -> None:
    for role in Role:
        assert not {"vault.credential.put", "access_requests.request.approve"} <= rules.permissions_of(role)


def test_only_the_system_administrator_makes_people_and_that_role_approves_nothing() -> None:
    holders = [role for role in Role if "identities.person.create" in rules.permissions_of(role)]
    assert holders == [Role.SYSTEM_ADMINISTRATOR]
    assert "access_requests.request.approve" not in rules.permissions_of(Role.SYSTEM_ADMINISTRATOR)


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", "too_short"),
        ("x" * 257, "too_long"),
        ("ababababababab", "too_uniform"),
        ("i am wang.wei truly", "holds_username"),
        ("correct horse battery", None),
        ("正确的马电池订书钉安全可靠吗", None),
    ],
)
def test_a_password_is_judged_by_length_and_obvious_weakness(password: str, fault: str | None) -> None:
    assert rules.password_fault(password, "wang.wei") == fault


def test_the_first_four_failures_lock_nobody_and_later_ones_back_off_to_a_quarter_of_an_hour() -> None:
    waits = [rules.locked_until(count, NOON) for count in range(1, 30)]
    assert waits[:4] == [None] * 4
    assert waits[4] == NOON + timedelta(seconds=30)
    assert waits[5] == NOON + timedelta(seconds=60)
    assert waits[-1] == NOON + timedelta(minutes=15)


@given(st.integers(min_value=5, max_value=10**6))
def test_a_lock_always_ends_within_a_quarter_of_an_hour(failures: int) -> None:
    until = rules.locked_until(failures, NOON)
    assert until is not None
    assert timedelta(seconds=30) <= until - NOON <= timedelta(minutes=15)


def test_a_code_is_taken_one_step_early_or_late_but_never_at_or_before_the_last_used_step() -> None:
    present = rules.totp_step(NOON)
    assert set(rules.acceptable_steps(NOON, None)) == {present - 1, present, present + 1}
    assert rules.acceptable_steps(NOON, present) == [present + 1]
    assert rules.acceptable_steps(NOON, present + 1) == []


def test_a_sign_in_ends_by_idleness_and_by_age() -> None:
    limits = rules.CONSOLE_LIMITS
    assert not rules.is_over(limits, NOON, NOON, NOON + timedelta(minutes=29))
    assert rules.is_over(limits, NOON, NOON, NOON + timedelta(minutes=30))
    late = NOON + timedelta(hours=12)
    assert rules.is_over(limits, NOON, late - timedelta(minutes=1), late)


@pytest.mark.parametrize("text", ["", ".wei", "wei.", "Wang", "wang wei", "a" * 65, "wäng"])
def test_what_is_no_user_name_is_refused(text: str) -> None:
    assert not rules.is_username(text)


@pytest.mark.parametrize("text", ["a", "wang.wei", "k-7_b"])
def test_plain_user_names_are_taken(text: str) -> None:
    assert rules.is_username(text)


def test_who_enters_people_never_confirms_them() -> None:
    for role in Role:
        held = rules.permissions_of(role)
        assert not (
            {"identities.person.create", "identities.person.reset"} & held and "identities.person.confirm" in held
        )
        assert ("identities.person.confirm" in held) is (role is rules.CONFIRMING_ROLE)


@pytest.mark.parametrize(("first", "second"), list(combinations(sorted(Role, key=lambda role: role.value), 2)))
def test_roles_share_nothing_by_which_one_could_act_as_the_other(first: Role, second: Role) -> None:
    shared = rules.permissions_of(first) & rules.permissions_of(second)
    assert {permission.rpartition(".")[2] for permission in shared} <= {"read", "watch"}


def test_people_of_the_plant_wait_for_a_second_administrator_unless_root_made_them() -> None:
    for role in Role:
        waits = rules.state_when_activated(role, None) is PersonState.UNCONFIRMED
        assert waits is rules.is_plant_role(role)
        assert rules.state_when_activated(role, rules.HOST) is PersonState.ACTIVE


def _person(person_id: str, role: Role, state: PersonState, entered_by: str = "psn_admin") -> Person:
    return Person(person_id, person_id, "X", role, state, None, Language.ENGLISH, NOON, entered_by, None)


def test_only_another_active_security_administrator_confirms() -> None:
    waiting = _person("psn_1", Role.SECURITY_ADMINISTRATOR, PersonState.UNCONFIRMED, entered_by="psn_2")
    for role in Role:
        for state in PersonState:
            confirmer = _person("psn_3", role, state)
            if (role, state) == (Role.SECURITY_ADMINISTRATOR, PersonState.ACTIVE):
                rules.check_confirmer(waiting, confirmer)
                continue
            with pytest.raises(Forbidden):
                rules.check_confirmer(waiting, confirmer)
    for same in ("psn_1", "psn_2"):
        with pytest.raises(Forbidden):
            rules.check_confirmer(waiting, _person(same, Role.SECURITY_ADMINISTRATOR, PersonState.ACTIVE))


@pytest.mark.parametrize("state", [state for state in PersonState if state is not PersonState.UNCONFIRMED])
def test_nobody_else_is_to_be_confirmed(state: PersonState) -> None:
    confirmer = _person("psn_3", Role.SECURITY_ADMINISTRATOR, PersonState.ACTIVE)
    with pytest.raises(Conflict) as refusal:
        rules.check_confirmer(_person("psn_1", Role.AUDITOR, state), confirmer)
    assert refusal.value.code == "identities.not_to_be_confirmed"
