"""Guards of what keeps administrators apart, ends sessions by itself, and keeps the trail told."""

from tests.guards.guard import Guard

_CONFIRMATION = "tests/unit/broker/identities/test_confirmation.py"
_RULES = "tests/unit/broker/identities/test_rules.py"
_STORE = "tests/unit/broker/identities/test_store.py"
_APPROVING = "tests/unit/broker/access_requests/test_service.py"
_WIRING = "tests/unit/broker/app/test_reaction_table.py"
_ROUTES = "tests/unit/broker/app/test_authorisation.py"
_EMISSIONS = "tests/unit/broker/app/test_audit_emissions.py"

GUARDS = (
    Guard(
        promise="a person of the plant waits for a second administrator",
        file="broker/identities/rules.py",
        text="    if is_plant_role(role) and confirmed_by is None:\n",
        without="    if False:\n",
        tests=(
            f"{_CONFIRMATION}::test_a_system_administrator_alone_lets_nobody_in",
            f"{_CONFIRMATION}::test_a_reset_takes_the_factors_the_sign_ins_and_the_confirmation",
        ),
    ),
    Guard(
        promise="only a security administrator confirms",
        file="broker/identities/rules.py",
        text="    if confirmer.role is not CONFIRMING_ROLE or confirmer.state is not PersonState.ACTIVE:\n",
        without="    if False:\n",
        tests=(f"{_RULES}::test_only_another_active_security_administrator_confirms",),
    ),
    Guard(
        promise="nobody confirms themselves or whom they entered",
        file="broker/identities/rules.py",
        text="    if confirmer.id in {person.id, person.entered_by}:\n",
        without="    if False:\n",
        tests=(f"{_RULES}::test_only_another_active_security_administrator_confirms",),
    ),
    Guard(
        promise="the confirmation code belongs to the factors and the person",
        file="broker/identities/confirmation.py",
        text='            is_right = hmac.compare_digest(row.confirmation_hash or b"", store.confirmation_hash(row.id, code))\n',
        without="            is_right = hmac is not None\n",
        tests=(
            f"{_CONFIRMATION}::test_a_security_administrator_alone_takes_over_nobody",
            f"{_CONFIRMATION}::test_the_code_of_another_person_confirms_nobody",
        ),
    ),
    Guard(
        promise="a reset takes the confirmation away",
        file="broker/identities/confirmation.py",
        text="            row.entered_by, row.confirmed_by = actor, None\n",
        without="            row.entered_by = actor\n",
        tests=(f"{_CONFIRMATION}::test_every_account_can_be_reset_also_one_that_was_suspended",),
    ),
    Guard(
        promise="the first administrator of a role is made once",
        file="broker/identities/service.py",
        text="            if store.had_role_once(unit.session, role):\n",
        without="            if False:\n",
        tests=("tests/unit/broker/identities/test_service.py::test_the_first_administrator_of_a_role_is_made_once",),
    ),
    Guard(
        promise="the database lets nobody change role",
        file="broker/identities/store.py",
        text='        refuses_when="NEW.role <> OLD.role",\n',
        without='        refuses_when="NEW.role <> NEW.role",\n',
        tests=(f"{_STORE}::test_the_database_lets_nobody_change_role",),
    ),
    Guard(
        promise="who let a device in again vouches for it",
        file="broker/devices/service.py",
        text="            row.resumed_by = actor\n",
        without="",
        tests=(
            f"{_APPROVING}::test_who_let_a_suspended_device_in_again_cannot_approve_alone",
            f"{_WIRING}::test_who_approved_alone_and_lets_the_device_in_again_loses_the_grant",
        ),
    ),
    Guard(
        promise="a route that asks for another permission than the table says is noticed",
        file="broker/grants/api.py",
        text='"grants.grant.revoke"',
        without='"grants.grant.read"',
        tests=(f"{_ROUTES}::test_a_role_calls_what_the_table_says_and_nothing_else",),
    ),
    Guard(
        promise="a signed-in person's browser acts only for the console's own page",
        file="broker/identities/access.py",
        text="            if not hmac.compare_digest(offered.encode(), session.csrf_token.reveal().encode()):\n",
        without="            if False:\n",
        tests=(f"{_ROUTES}::test_a_page_of_somebody_else_cannot_make_a_signed_in_persons_browser_act",),
    ),
    Guard(
        promise="a target that moves ends its sessions",
        file="broker/app/reaction_table.py",
        text="    on(TargetEndpointChanged, leave_target)\n",
        without="",
        tests=(f"{_WIRING}::test_a_target_that_moves_or_gets_another_key_ends_its_sessions_and_closes_the_way",),
    ),
    Guard(
        promise="a retired target loses its sessions, grants and credentials",
        file="broker/app/reaction_table.py",
        text="    on(TargetRetired, give_up_target)\n",
        without="",
        tests=(f"{_WIRING}::test_a_retired_target_loses_its_sessions_grants_credential_and_way_and_keeps_its_history",),
    ),
    Guard(
        promise="no secret leaves for a retired target",
        file="broker/vault/service.py",
        text="        target = self._targets.in_use_within(unit.session, target_id)\n        owner",
        without="        target = self._targets.get_within(unit.session, target_id)\n        owner",
        tests=("tests/unit/broker/vault/test_service.py::test_a_retired_target_gets_no_secret_and_takes_none",),
    ),
    Guard(
        promise="a retired target admits nobody",
        file="broker/sessions/admission.py",
        text="            target = self._targets.in_use_within(session, grant.target_id)\n",
        without="            target = self._targets.get_within(session, grant.target_id)\n",
        tests=(
            "tests/unit/broker/sessions/test_admission.py::"
            "test_a_retired_target_admits_nobody_also_before_its_grants_are_taken_back",
        ),
    ),
    Guard(
        promise="a retired target's name is not given to another machine",
        file="broker/targets/service.py",
        text='raise name_taken("target") if namesake.retired_at is None else name_kept()',
        without="pass",
        tests=(
            "tests/unit/broker/targets/test_service.py::test_a_retired_targets_name_is_not_given_to_another_machine",
        ),
    ),
    Guard(
        promise="a replaced credential ends the sessions that use it",
        file="broker/app/reaction_table.py",
        text="    on(CredentialPut, drop_credential)\n",
        without="",
        tests=(f"{_WIRING}::test_a_replaced_credential_ends_the_sessions_that_use_it",),
    ),
    Guard(
        promise="a device that signs in from another address loses what runs from the old one",
        file="broker/app/reaction_table.py",
        text="    on(SignedIn, follow_device)\n",
        without="",
        tests=(f"{_WIRING}::test_signing_in_from_another_address_ends_what_runs_from_the_old_one",),
    ),
    Guard(
        promise="a token is worth nothing from another address",
        file="broker/identities/sign_in.py",
        text="        if source_before is not None and source_before != connection.source:\n",
        without="        if False:\n",
        tests=(
            f"{_WIRING}::test_a_token_that_is_used_from_another_address_is_over_and_so_is_what_runs_from_the_old_one",
        ),
    ),
    Guard(
        promise="an operation without its audit event is noticed",
        file="broker/targets/service.py",
        text="            unit.emit(ZoneCreated(actor=actor, subject=zone.id, name=zone.name))\n",
        without="",
        tests=(f"{_EMISSIONS}::test_an_operation_emits_one_event_of_its_own_and_no_other_than_are_listed",),
    ),
    Guard(
        promise="no session begins while the trail cannot be written",
        file="broker/sessions/service.py",
        text="        return self._trail is None or self._trail.is_writable\n",
        without="        return True\n",
        tests=(
            "tests/contract/test_audit_failure.py::"
            "test_no_session_begins_while_the_trail_cannot_be_written_and_what_runs_goes_on",
        ),
    ),
)
