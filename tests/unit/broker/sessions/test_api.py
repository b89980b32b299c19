import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.sessions import api
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.sessions.plant import Plant


def console(plant: Plant, role: Role) -> TestClient:
    router = api.plant_router(plant.sessions, plant.live, plant.watching, plant.world.plant_access)
    client = an_application(router)
    cookie, csrf = a_console_session(plant.world.database, plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_sessions_are_listed_with_who_what_and_whence(plant: Plant) -> None:
    grant = plant.a_grant()
    pending, live = plant.admitted(grant), plant.admitted(grant)
    plant.lease(live)
    client = console(plant, Role.AUDITOR)
    items = {item["id"]: item for item in client.get("/sessions").json()["items"]}
    assert items[live.session_id] | {} == {
        "id": live.session_id,
        "grant_id": grant.id,
        "person": {"id": plant.engineer.id, "display_name": plant.engineer.display_name},
        "device": {"id": plant.laptop.device.id, "name": "service-laptop"},
        "source": "203.0.113.7",
        "target": {"id": plant.target.id, "name": plant.target.name},
        "account": "maint",
        "protocol": "ssh",
        "state": "live",
        "admitted_at": "2026-11-20T12:00:00Z",
        "not_after": "2026-11-20T14:00:00Z",
        "started_at": "2026-11-20T12:00:00Z",
        "ended_at": None,
        "end_reason": None,
        "exit_status": None,
        "recording_id": live.recording_id,
        "commands_blocked": 0,
        "recording_health": "good",
        "must_be_watched": False,
        "frozen": None,
        "watchers": [],
    }
    assert items[pending.session_id]["recording_id"] is None
    assert [item["id"] for item in client.get("/sessions?state=live").json()["items"]] == [live.session_id]
    page = client.get("/sessions?limit=1").json()
    assert client.get(f"/sessions?limit=1&cursor={page['next_cursor']}").json()["items"][0]["id"] == pending.session_id
    assert client.get(f"/sessions/{live.session_id}").json()["id"] == live.session_id
    assert client.get("/sessions/ses_x").json()["code"] == "not_found"


def test_a_session_is_cut_by_the_plants_administrator(plant: Plant) -> None:
    admitted = plant.admitted()
    client = console(plant, Role.PLANT_ADMIN)
    answer = client.post(f"/sessions/{admitted.session_id}/cut", json={"reason": "call us"})
    assert (answer.status_code, answer.json()["state"]) == (200, "closing")


def test_input_is_held_and_let_go_and_a_line_is_written(plant: Plant) -> None:
    admitted = plant.admitted()
    path = f"/sessions/{admitted.session_id}"
    client = console(plant, Role.PLANT_ADMIN)
    assert client.post(f"{path}/freeze", json={"reason": "wait"}).json()["code"] == "sessions.not_live"
    plant.lease(admitted)
    frozen = client.post(f"{path}/freeze", json={"reason": "wait"}).json()["frozen"]
    assert frozen == {"at": "2026-11-20T12:00:00Z", "reason": "wait"}
    assert client.post(f"{path}/message", json={"text": "who is there?"}).status_code == 204
    assert client.post(f"{path}/thaw", json={"reason": "fine"}).json()["frozen"] is None
    assert client.post(f"{path}/message", json={"text": ""}).status_code == 422
    auditor = console(plant, Role.AUDITOR)
    for act, body in (("freeze", {"reason": "x"}), ("thaw", {"reason": "x"}), ("message", {"text": "x"})):
        assert auditor.post(f"{path}/{act}", json=body).status_code == 403


@pytest.mark.parametrize(
    ("role", "reads", "cuts"),
    [
        (Role.PLANT_ADMIN, 200, 404),
        (Role.AUDITOR, 200, 403),
        (Role.SECURITY_ADMINISTRATOR, 403, 403),
        (Role.SYSTEM_ADMINISTRATOR, 403, 403),
        (Role.VENDOR_ENGINEER, 403, 403),
    ],
)
def test_each_role_may_do_just_what_it_may(plant: Plant, role: Role, reads: int, cuts: int) -> None:
    client = console(plant, role)
    assert client.get("/sessions").status_code == reads
    assert client.post("/sessions/ses_x/cut", json={"reason": "x"}).status_code == cuts


def test_nobody_reads_or_cuts_without_signing_in_or_without_the_token(plant: Plant) -> None:
    client = console(plant, Role.PLANT_ADMIN)
    del client.headers["X-CSRF-Token"]
    assert client.post("/sessions/ses_x/cut", json={"reason": "x"}).status_code == 403
    client.cookies.clear()
    assert client.get("/sessions").status_code == 401
