"""Every route that changes something tells the trail, by an event of its own: read from the routers and the use-cases.

A new mutating route fails here until it has a line, and so does a use-case whose event is taken out or doubled.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import broker

ROOT: Final = Path(broker.__file__).parent
MUTATING: Final = {"post", "put", "patch", "delete"}

OWN_EVENT: Final[dict[str, str]] = {
    "sign_in": "SignedIn",
    "sign_out": "SignedOut",
    "choose_language": "LanguageChosen",
    "begin_activation": "SecondFactorOffered",
    "complete_activation": "PersonActivated",
    "create_person": "PersonCreated",
    "confirm_person": "PersonConfirmed",
    "reset_person": "PersonReset",
    "suspend_person": "PersonSuspended",
    "create_device_invite": "DeviceInvited",
    "trust_device": "DeviceTrusted",
    "suspend_device": "DeviceSuspended",
    "resume_device": "DeviceResumed",
    "retire_device": "DeviceRetired",
    "create_zone": "ZoneCreated",
    "create_target": "TargetCreated",
    "change_target_endpoint": "TargetEndpointChanged",
    "retire_target": "TargetRetired",
    "put_credential": "CredentialPut",
    "approve_access_request": "AccessRequestApproved",
    "deny_access_request": "AccessRequestDenied",
    "revoke_grant": "GrantRevoked",
    "unmask_recording": "RecordingUnmasked",
    "place_recording_hold": "RecordingHoldPlaced",
    "lift_recording_hold": "RecordingHoldLifted",
    "ask_purge": "PurgeAsked",
    "confirm_purge": "PurgeConfirmed",
    "decline_purge": "PurgeDeclined",
    "withdraw_purge": "PurgeWithdrawn",
    "cut_session": "SessionEndOrdered",
    "freeze_session": "SessionFrozen",
    "thaw_session": "SessionThawed",
    "message_session": "SessionMessaged",
    "change_device_policy": "DevicePolicyChanged",
    "enrol_device": "DeviceEnrolled",
    "renew_device": "DeviceRenewing",
    "activate_engineer": "PersonActivated",
    "login": "SignedIn",
    "logout": "SignedOut",
    "submit_access_request": "AccessRequestSubmitted",
    "withdraw_access_request": "AccessRequestWithdrawn",
    "issue_ssh_certificate": "CertificateIssued",
    "finish_grant": "GrantFinished",
    "give_receipt": "ReceiptReceived",
}
"""The event by which the trail tells that this operation was done."""

ALSO: Final[dict[str, dict[str, str]]] = {
    "sign_in": {"SignInRefused": "instead of its own: a failed attempt is told too"},
    "login": {"SignInRefused": "instead of its own: a failed attempt is told too"},
    "confirm_person": {"ConfirmationRefused": "instead of its own: a wrong code is told too"},
    "approve_access_request": {"AccessRequestEndorsed": "instead of its own, while another approval is missing"},
    "cut_session": {
        "GrantRevoked": "a cut takes the grant back in the same transaction, which is an event of the grant"
    },
    "unmask_recording": {
        "RecordingUnmaskAsked": "before its own: the first auditor's part waits for the second's",
        "RecordingUnmaskRefused": "instead of its own: parts that do not fit are told too",
    },
    "confirm_purge": {"RecordingPurged": "for each recording its tombstone, in the same transaction"},
    "give_receipt": {
        "ReceiptRefused": "instead of its own: the device says why it does not confirm",
        "ReceiptNotTaken": "instead of its own: a receipt that is not right is told too",
        "DeviceRenewed": "before its own: the first connection that shows a renewed certificate ends the old one",
    },
    "enrol_device": {"InviteBurnt": "instead of its own: a wrong code spends the invite"},
}
"""Other events of an operation, and why it has them."""

SHARED: Final[dict[str, str]] = {
    "PersonActivated": "an engineer at the vendor face and the plant's people do the same; the event names the face",
    "SignedIn": "the same at both faces; the event names the face",
    "SignedOut": "the same at both faces; the event names the face",
}
"""Events that are the own event of more than one operation, and why."""

CHANGES_NOTHING: Final[dict[str, str]] = {
    "probe_address": "looks at a machine that is to be entered; that somebody did is told",
    "probe_target": "looks at a machine that is known; that somebody did is told",
    "check_boundary": "compares rules that it is sent with the plan; that somebody did is told all the same",
}
"""Operations that are no GET because of what they are sent."""


def _functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {one.name: one for one in body if isinstance(one, ast.FunctionDef)}


@cache
def _classes() -> dict[str, tuple[ast.ClassDef, dict[str, ast.FunctionDef]]]:
    """Every class of the broker with the functions of its module, by name."""
    found: dict[str, tuple[ast.ClassDef, dict[str, ast.FunctionDef]]] = {}
    for path in ROOT.rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for one in module.body:
            if isinstance(one, ast.ClassDef):
                found[one.name] = (one, _functions(module.body))
    return found


def _annotated(arguments: ast.arguments) -> dict[str, str]:
    """The classes of a function's parameters, by the parameter's name."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {one.arg: one.annotation.id for one in every if isinstance(one.annotation, ast.Name)}


def _parts(owner: ast.ClassDef) -> dict[str, str]:
    """The services that a class holds: attribute to class."""
    made = _functions(owner.body).get("__init__")
    parameters = _annotated(made.args) if made is not None else {}
    built = {
        target.attr: node.value.func.id
        for node in (ast.walk(made) if made is not None else ())
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }
    fields = {one.target.id: one.annotation for one in owner.body if isinstance(one, ast.AnnAssign)}  # type: ignore[union-attr]
    return (
        {f"_{name}": kind for name, kind in parameters.items()}
        | built
        | {name: kind.id for name, kind in fields.items() if isinstance(kind, ast.Name)}
    )


def _emitted(class_name: str, method: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Every event class that this method, and what it calls of ours, hands to `emit`; one for each place."""
    if (class_name, method) in seen or class_name not in _classes():
        return
    seen.add((class_name, method))
    owner, beside = _classes()[class_name]
    body = _functions(owner.body).get(method)
    if body is None:
        return
    yield from _emitted_in(body, owner, beside, seen)


def _emitted_in(
    body: ast.FunctionDef, owner: ast.ClassDef, beside: dict[str, ast.FunctionDef], seen: set[tuple[str, str]]
) -> Iterator[str]:
    parts = _parts(owner)
    for call in (node for node in ast.walk(body) if isinstance(node, ast.Call)):
        match call.func:
            case ast.Attribute(attr="emit"):
                (event,) = call.args
                if isinstance(event, ast.Call) and isinstance(event.func, ast.Name) and event.func.id in _classes():
                    yield event.func.id
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield from _emitted(owner.name, name, seen)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=part), attr=name) if part in parts:
                yield from _emitted(parts[part], name, seen)
            case ast.Name(id=name) if name in beside and (owner.name, name) not in seen:
                seen.add((owner.name, name))
                yield from _emitted_in(beside[name], owner, beside, seen)
            case _:
                pass


def _of_use_case(called: ast.expr, services: dict[str, str]) -> Iterator[str]:
    match called:
        case ast.Attribute(value=ast.Name(id=name), attr=method) if name in services:
            yield from _emitted(services[name], method, set())
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr=part), attr=method) if name in services:
            if services[name] in _classes():
                yield from _emitted(_parts(_classes()[services[name]][0]).get(part, ""), method, set())
        case _:
            pass


@cache
def operations() -> dict[str, list[str]]:
    """The events that each mutating operation's use-cases may emit, by operation id."""
    found: dict[str, list[str]] = {}
    for path in ROOT.glob("*/*api.py"):
        for router in _functions(ast.parse(path.read_text(encoding="utf-8")).body).values():
            services = _annotated(router.args)
            for name, endpoint in _functions(router.body).items():
                for decorator in endpoint.decorator_list:
                    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
                        continue
                    if decorator.func.attr not in MUTATING:
                        continue
                    given = {word.arg: word.value for word in decorator.keywords}
                    operation = given.get("operation_id")
                    assert isinstance(operation, ast.Constant), f"{path.parent.name}: {name} has no operation id"
                    found[str(operation.value)] = [
                        event
                        for statement in endpoint.body
                        for node in ast.walk(statement)
                        if isinstance(node, ast.Call)
                        for event in _of_use_case(node.func, services)
                    ]
    return found


def test_every_mutating_operation_has_its_line() -> None:
    assert set(operations()) == set(OWN_EVENT) | set(CHANGES_NOTHING)


@pytest.mark.parametrize("operation", sorted(OWN_EVENT))
def test_an_operation_emits_one_event_of_its_own_and_no_other_than_are_listed(operation: str) -> None:
    emitted = operations()[operation]
    assert emitted.count(OWN_EVENT[operation]) == 1, emitted
    assert set(emitted) - {OWN_EVENT[operation]} == set(ALSO.get(operation, {})), emitted


def test_an_own_event_is_one_operations_unless_it_says_why() -> None:
    own = list(OWN_EVENT.values())
    assert {event for event in own if own.count(event) > 1} == set(SHARED)
    assert all(SHARED.values())
    assert all(reason for reasons in ALSO.values() for reason in reasons.values())


def test_even_a_check_that_changes_nothing_is_told() -> None:
    for operation in CHANGES_NOTHING:
        assert len(operations()[operation]) >= 1
