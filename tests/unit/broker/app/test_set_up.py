from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from broker.app import set_up
from broker.app.set_up import StepState
from broker.audit.model import AuditEvent
from broker.identities.access import COOKIE
from broker.identities.model import PersonState, Role
from broker.identities.store import PersonRow
from broker.identities.testing import a_console_session
from broker.recordings.events import RecordingReplayed
from broker.sessions.model import Ended
from broker.targets.events import TargetKeyMatched
from tests.unit.broker.identities.world import World, a_world, an_application
from tests.unit.broker.sessions.plant import GATEWAY, Plant, a_plant


def state_of(world: World, code: str) -> StepState:
    with world.database.reading() as session:
        return dict(set_up.steps(session, world.clock.now()))[code]


def entered(world: World, event: AuditEvent) -> None:
    with world.database.unit_of_work() as unit:
        unit.emit(event)


def test_a_new_site_has_everything_before_it(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    with world.database.reading() as session:
        found = set_up.steps(session, world.clock.now())
    assert len(found) == 11
    assert {state for _, state in found} == {StepState.OPEN}


def test_a_role_is_filled_by_active_people_and_plant_admins_are_two(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    person = world.somebody(Role.AUDITOR)
    assert state_of(world, "auditor") is StepState.DONE
    for state in (PersonState.INVITED, PersonState.UNCONFIRMED, PersonState.SUSPENDED):
        with world.database.unit_of_work() as unit:
            row = unit.session.get(PersonRow, person.id)
            assert row is not None
            row.state = state
            unit.session.add(row)
        waits = state is not PersonState.SUSPENDED
        assert state_of(world, "auditor") is (StepState.WAITING if waits else StepState.OPEN)
    world.somebody(Role.PLANT_ADMIN)
    assert state_of(world, "plant_admins") is StepState.WAITING
    world.somebody(Role.PLANT_ADMIN)
    assert state_of(world, "plant_admins") is StepState.DONE


def test_a_job_ticks_the_steps_it_took(tmp_path: Path) -> None:
    plant: Plant = a_plant(tmp_path)
    world = plant.world
    for code in ("target", "credential", "vendor_engineer", "device"):
        assert state_of(world, code) is StepState.DONE, code
    for code in ("connection_test", "session", "replay"):
        assert state_of(world, code) is StepState.OPEN, code
    matched = TargetKeyMatched(actor="psn_1", subject=plant.target.id, probe_id="prb_1", host_key_sha256="SHA256:x")
    entered(world, matched)
    assert state_of(world, "connection_test") is StepState.DONE
    admitted = plant.admitted()
    assert state_of(world, "session") is StepState.OPEN
    plant.lease(admitted)
    assert state_of(world, "session") is StepState.WAITING
    plant.reports.ended(GATEWAY, "boot-1", 1, Ended(admitted.session_id, "client_left", world.clock.now(), None, 0))
    assert state_of(world, "session") is StepState.DONE
    entered(world, RecordingReplayed(actor="psn_1", subject=admitted.recording_id, session_id="ses_1", what="cast"))
    assert state_of(world, "replay") is StepState.DONE


def test_an_invited_device_waits_until_its_invite_is_over(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(Role.VENDOR_ENGINEER)
    world.devices.enrolments.invite(admin.id, engineer.id)
    assert state_of(world, "device") is StepState.WAITING
    world.clock.move(timedelta(hours=1))
    assert state_of(world, "device") is StepState.OPEN


@pytest.mark.parametrize("role", list(Role))
def test_everybody_of_the_plant_reads_the_list(tmp_path: Path, role: Role) -> None:
    world = a_world(tmp_path)
    client = an_application(set_up.plant_router(world.database, world.clock, world.plant_access))
    cookie, _ = a_console_session(world.database, world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    answer = client.get("/set-up")
    assert answer.status_code == (403 if role is Role.VENDOR_ENGINEER else 200)
    if answer.status_code == 200:
        assert answer.json()["complete"] is False
        assert len(answer.json()["steps"]) == 11


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    client: TestClient = an_application(set_up.plant_router(world.database, world.clock, world.plant_access))
    assert client.get("/set-up").status_code == 401
