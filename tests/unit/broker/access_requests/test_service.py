from datetime import timedelta

import pytest

from broker.access_requests.model import Limits, RequestState, Wish
from broker.access_requests.service import AccessRequestService, Asker, RequestView
from broker.devices.model import DeviceState
from broker.devices.testing import a_device
from broker.identities.model import Role
from broker.kernel.errors import SallyportError
from broker.policy.command_rules import CommandRules
from broker.policy.model import AccessRule, Effect, PolicyRules
from broker.targets.testing import a_target
from tests.unit.broker.sessions.plant import SOURCE, Plant

HOUR = timedelta(hours=1)
WISH = Wish("pump 3 stands still", "WO-1", None, 2 * HOUR)


def submitted(plant: Plant, wish: Wish = WISH) -> RequestView:
    return plant.requests.submit(plant.asker, plant.target.name, "maint", wish)


def service_with(plant: Plant, policy: PolicyRules, limits: Limits | None = None) -> AccessRequestService:
    world = plant.world
    return AccessRequestService(
        world.database,
        world.clock,
        people=world.people,
        devices=world.devices,
        targets=world.targets,
        policy=policy,
        limits=limits,
    )


def policy(*rules: AccessRule) -> PolicyRules:
    return PolicyRules(version="1", access=rules, commands={"ssh": CommandRules("1")})


def refusal(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(SallyportError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_request_is_bound_to_person_device_source_target_and_account(plant: Plant) -> None:
    view = submitted(plant)
    request = view.request
    assert (request.person_id, request.device_id, request.source) == (
        plant.engineer.id,
        plant.laptop.device.id,
        SOURCE,
    )
    assert (request.target_id, request.account, request.protocol) == (plant.target.id, "maint", "ssh")
    assert request.state is RequestState.SUBMITTED
    last = plant.world.trail()[-1]
    assert (last.code, last.subject, last.actor) == ("access.request.submitted", request.id, plant.engineer.id)
    assert last.params["work_order"] == "WO-1"


def test_an_account_may_be_left_out_when_the_target_has_one(plant: Plant) -> None:
    single = a_target(plant.world.database, name="single", accounts=("only",))
    assert plant.requests.submit(plant.asker, single.name, None, WISH).request.account == "only"
    assert refusal(plant.requests.submit, plant.asker, plant.target.name, None, WISH) == "invalid"


def test_unknown_targets_and_accounts_look_alike(plant: Plant) -> None:
    assert refusal(plant.requests.submit, plant.asker, "nowhere", "maint", WISH) == "not_found"
    assert refusal(plant.requests.submit, plant.asker, plant.target.name, "nobody", WISH) == "not_found"


@pytest.mark.parametrize("state", [DeviceState.PENDING, DeviceState.SUSPENDED, DeviceState.RETIRED])
def test_only_a_trusted_device_asks(plant: Plant, state: DeviceState) -> None:
    world = plant.world
    other = a_device(
        world.database,
        world.sealer,
        world.authorities,
        person_id=plant.engineer.id,
        invited_by=plant.inviter.id,
        state=state,
    )
    asker = Asker(plant.engineer.id, other.device.id, SOURCE)
    assert refusal(plant.requests.submit, asker, plant.target.name, "maint", WISH) == "device_not_trusted"


def test_nobody_asks_from_another_persons_device(plant: Plant) -> None:
    stranger = plant.world.somebody(Role.VENDOR_ENGINEER)
    asker = Asker(stranger.id, plant.laptop.device.id, SOURCE)
    assert refusal(plant.requests.submit, asker, plant.target.name, "maint", WISH) == "device_not_trusted"


def test_what_the_policy_never_allows_cannot_be_asked_for(plant: Plant) -> None:
    for rules in (policy(), policy(AccessRule("no", Effect.DENY, frozenset({"ssh"})))):
        service = service_with(plant, rules)
        assert refusal(service.submit, plant.asker, plant.target.name, "maint", WISH) == "denied"


def test_a_person_can_have_only_so_many_requests_waiting(plant: Plant) -> None:
    one = policy(AccessRule("yes", Effect.ALLOW, frozenset({"ssh"})))
    service = service_with(plant, one, Limits(waiting_per_person=2))
    for _ in range(2):
        service.submit(plant.asker, plant.target.name, "maint", WISH)
    refused = refusal(service.submit, plant.asker, plant.target.name, "maint", WISH)
    assert refused == "access_requests.too_many_waiting"


def test_notices_tell_what_is_unusual(plant: Plant) -> None:
    first = submitted(plant)
    plant.pass_time(days=2)
    moved = Asker(plant.engineer.id, plant.laptop.device.id, "198.51.100.9")
    second = plant.requests.submit(moved, plant.target.name, "maint", WISH)
    assert [notice.code for notice in first.request.notices] == [
        "access_requests.first_request",
        "access_requests.device_key_in_file",
        "access_requests.device_newly_trusted",
    ]
    assert [(notice.code, notice.value) for notice in second.request.notices] == [
        ("access_requests.device_key_in_file", None),
        ("access_requests.source_differs", SOURCE),
    ]


def test_an_approval_by_another_administrator_decides(plant: Plant) -> None:
    view = submitted(plant)
    plant.pass_time(minutes=5)
    approved = plant.requests.approve(plant.approver.id, view.request.id, HOUR)
    request = approved.request
    assert request.state is RequestState.APPROVED
    assert request.window is not None
    assert request.window.not_before == plant.world.clock.now()
    assert request.window.not_after == plant.world.clock.now() + HOUR
    assert (request.decided_by, [one.approver_id for one in approved.approvals]) == (
        plant.approver.id,
        [plant.approver.id],
    )
    last = plant.world.trail()[-1]
    assert (last.code, last.actor, last.subject) == ("access.request.approved", plant.approver.id, request.id)
    assert refusal(plant.requests.approve, plant.approver.id, request.id, None) == "access_requests.not_in_state"


def test_who_invited_the_device_cannot_approve_alone(plant: Plant) -> None:
    view = submitted(plant)
    refused = refusal(plant.requests.approve, plant.inviter.id, view.request.id, None)
    assert refused == "access_requests.approver_vouched_for_device"
    assert plant.requests.get(view.request.id).request.state is RequestState.SUBMITTED


def test_who_trusted_the_device_cannot_approve_alone(plant: Plant) -> None:
    world, truster = plant.world, plant.world.somebody(Role.PLANT_ADMIN)
    laptop = a_device(
        world.database,
        world.sealer,
        world.authorities,
        person_id=plant.engineer.id,
        invited_by=plant.inviter.id,
        trusted_by=truster.id,
    )
    asker = Asker(plant.engineer.id, laptop.device.id, SOURCE)
    view = plant.requests.submit(asker, plant.target.name, "maint", WISH)
    for person in (plant.inviter.id, truster.id):
        refused = refusal(plant.requests.approve, person, view.request.id, None)
        assert refused == "access_requests.approver_vouched_for_device"
    assert plant.requests.approve(plant.approver.id, view.request.id, None).request.window is not None


def test_who_let_a_suspended_device_in_again_cannot_approve_alone(plant: Plant) -> None:
    device_id, resumer = plant.laptop.device.id, plant.world.somebody(Role.PLANT_ADMIN)
    plant.world.devices.suspend(plant.approver.id, device_id)
    plant.world.devices.resume(resumer.id, device_id)
    view = submitted(plant)
    for person in (plant.inviter.id, resumer.id):
        refused = refusal(plant.requests.approve, person, view.request.id, None)
        assert refused == "access_requests.approver_vouched_for_device"
    assert plant.requests.approve(plant.approver.id, view.request.id, None).request.window is not None


@pytest.mark.parametrize(
    "role", [Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_ADMINISTRATOR, Role.AUDITOR, Role.VENDOR_ENGINEER]
)
def test_other_roles_neither_approve_nor_deny(plant: Plant, role: Role) -> None:
    view, person = submitted(plant), plant.world.somebody(role)
    refused = "access_requests.approver_not_allowed"
    assert refusal(plant.requests.approve, person.id, view.request.id, None) == refused
    assert refusal(plant.requests.deny, person.id, view.request.id, "no") == refused


def test_the_requester_and_a_suspended_administrator_do_not_approve(plant: Plant) -> None:
    view = submitted(plant)
    refused = "access_requests.approver_not_allowed"
    assert refusal(plant.requests.approve, plant.engineer.id, view.request.id, None) == refused
    plant.world.people.suspend_person(plant.inviter.id, plant.approver.id)
    assert refusal(plant.requests.approve, plant.approver.id, view.request.id, None) == refused


def test_two_people_approve_where_the_policy_wants_two(plant: Plant) -> None:
    service = service_with(plant, policy(AccessRule("two", Effect.ALLOW, frozenset({"ssh"}), approvals=2)))
    view = service.submit(plant.asker, plant.target.name, "maint", WISH)
    waiting = service.approve(plant.inviter.id, view.request.id, HOUR)
    assert waiting.request.state is RequestState.SUBMITTED
    assert plant.codes()[-1] == "access.request.endorsed"
    assert refusal(service.approve, plant.inviter.id, view.request.id, None) == "access_requests.approver_counted"
    approved = service.approve(plant.approver.id, view.request.id, None)
    assert approved.request.state is RequestState.APPROVED
    assert len(approved.approvals) == 2
    assert approved.request.ends_at - approved.request.starts_at == HOUR


def test_a_denial_has_its_reason(plant: Plant) -> None:
    view = submitted(plant)
    assert refusal(plant.requests.deny, plant.approver.id, view.request.id, " ") == "invalid"
    denied = plant.requests.deny(plant.inviter.id, view.request.id, "not today").request
    assert (denied.state, denied.decision_reason) == (RequestState.DENIED, "not today")
    assert plant.codes()[-1] == "access.request.denied"


def test_only_the_requester_withdraws_and_reads_their_own(plant: Plant) -> None:
    view, stranger = submitted(plant), plant.world.somebody(Role.VENDOR_ENGINEER)
    assert refusal(plant.requests.withdraw, stranger.id, view.request.id) == "not_found"
    with pytest.raises(SallyportError):
        plant.requests.get(view.request.id, person_id=stranger.id)
    assert plant.requests.requests(limit=5, person_id=stranger.id) == []
    withdrawn = plant.requests.withdraw(plant.engineer.id, view.request.id).request
    assert withdrawn.state is RequestState.WITHDRAWN
    assert refusal(plant.requests.approve, plant.approver.id, view.request.id, None) == "access_requests.not_in_state"


def test_what_nobody_decides_lapses(plant: Plant) -> None:
    later = submitted(plant, Wish("r", "w", plant.world.clock.now() + 30 * HOUR, HOUR)).request
    soon = submitted(plant).request
    plant.pass_time(hours=23)
    assert plant.requests.lapse_overdue() == 0
    plant.pass_time(hours=1)
    assert plant.requests.lapse_overdue() == 1
    assert plant.requests.get(soon.id).request.state is RequestState.LAPSED
    assert plant.requests.get(later.id).request.state is RequestState.SUBMITTED
    assert plant.codes()[-1] == "access.request.lapsed"


def test_nothing_is_asked_for_or_approved_at_a_retired_target(plant: Plant) -> None:
    waiting = submitted(plant)
    plant.world.targets.retire("psn_sec", plant.target.id)
    assert refusal(plant.requests.submit, plant.asker, plant.target.name, "maint", WISH) == "targets.retired"
    assert refusal(plant.requests.approve, plant.approver.id, waiting.request.id, HOUR) == "targets.retired"
    denied = plant.requests.deny(plant.approver.id, waiting.request.id, "the machine is gone")
    assert denied.target.name == plant.target.name
