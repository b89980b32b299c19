from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from broker.access_requests import api
from broker.identities.access import COOKIE
from broker.identities.model import Role, VendorConnection
from broker.identities.sign_in import Credentials
from broker.identities.testing import PASSWORD, a_console_session, a_vendor_connection, code_at
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.access_requests.test_service import submitted
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.sessions.plant import Plant

ASK = {
    "target": "press-4",
    "account": "maint",
    "reason": "pump 3 stands still",
    "work_order": "WO-1",
    "duration_seconds": 3600,
}


def signed_in(plant: Plant, connection: VendorConnection) -> str:
    """A token of the engineer on this connection."""
    now = plant.world.clock.now()
    typed = Credentials("vera", SecretText(PASSWORD), SecretText(code_at(now)))
    return plant.world.sign_in.sign_in_at_vendor_face(typed, connection).token.reveal()


def vendor(plant: Plant) -> TestClient:
    device = plant.laptop.device
    connection = a_vendor_connection(device.id, device.certificate_der)
    client = an_application(
        api.vendor_router(plant.requests, plant.world.vendor_access, plant.grants.ids_by_request),
        connection=connection,
    )
    client.headers["Authorization"] = f"Bearer {signed_in(plant, connection)}"
    return client


def console(plant: Plant, role: Role) -> TestClient:
    client = an_application(api.plant_router(plant.requests, plant.world.plant_access))
    person = plant.approver if role is Role.PLANT_ADMIN else plant.world.somebody(role)
    cookie, csrf = a_console_session(plant.world.database, person)
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_an_engineer_asks_sees_and_withdraws(plant: Plant) -> None:
    client = vendor(plant)
    asked = client.post("/access-requests", json=ASK)
    assert asked.status_code == 201
    body = asked.json()
    assert body == {
        "id": body["id"],
        "target": "press-4",
        "account": "maint",
        "protocol": "ssh",
        "reason": "pump 3 stands still",
        "work_order": "WO-1",
        "starts_at": "2026-11-20T12:00:00Z",
        "ends_at": "2026-11-20T13:00:00Z",
        "state": "submitted",
        "submitted_at": "2026-11-20T12:00:00Z",
        "decided_at": None,
        "decided_by": None,
        "decision_reason": None,
        "grant_id": None,
    }
    assert client.get("/access-requests").json() == {"items": [body], "next_cursor": None}
    assert client.get(f"/access-requests/{body['id']}").json() == body
    plant.requests.approve(plant.approver.id, body["id"], timedelta(minutes=30))
    grant = plant.grants.issue(body["id"])
    approved = client.get(f"/access-requests/{body['id']}").json()
    assert (approved["state"], approved["grant_id"]) == ("approved", grant.id)
    assert (approved["ends_at"], approved["decided_by"]) == ("2026-11-20T12:30:00Z", plant.approver.display_name)
    assert client.post(f"/access-requests/{body['id']}/withdraw").status_code == 409
    second = client.post("/access-requests", json=ASK).json()
    assert client.post(f"/access-requests/{second['id']}/withdraw").json()["state"] == "withdrawn"


@pytest.mark.parametrize(
    "bad",
    [
        {"reason": ""},
        {"reason": "x" * 501},
        {"duration_seconds": 0},
        {"duration_seconds": 10**9},
        {"starts_at": "2026-11-20T12:00:00"},
        {"starts_at": "2027-11-20T12:00:00Z"},
        {"more": 1},
    ],
)
def test_what_cannot_be_asked_is_invalid(plant: Plant, bad: dict[str, object]) -> None:
    answer = vendor(plant).post("/access-requests", json=ASK | bad)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_nobody_asks_without_signing_in(plant: Plant) -> None:
    client = vendor(plant)
    del client.headers["Authorization"]
    assert client.post("/access-requests", json=ASK).json()["code"] == "not_signed_in"


def test_an_approver_sees_what_there_is_to_know_and_decides(plant: Plant) -> None:
    first, second = submitted(plant).request, submitted(plant).request
    client = console(plant, Role.PLANT_ADMIN)
    items = client.get("/access-requests?state=submitted").json()["items"]
    item = next(item for item in items if item["id"] == first.id)
    assert item["person"] == {"id": plant.engineer.id, "display_name": plant.engineer.display_name}
    assert item["company"] == "Acme Robotics"
    assert item["device"] == {"id": plant.laptop.device.id, "name": "service-laptop", "state": "trusted"}
    assert item["target"] == {"id": plant.target.id, "name": "press-4"}
    assert item["zone"] == {"id": plant.target.zone_id, "name": plant.target.zone_name}
    assert (item["source"], item["account"]) == ("203.0.113.7", "maint")
    assert item["starts_on_approval"] is True
    assert {"code": "access_requests.device_key_in_file", "params": {}} in item["notices"]
    approved = client.post(f"/access-requests/{first.id}/approve", json={"duration_seconds": 600}).json()
    assert (approved["state"], approved["ends_at"]) == ("approved", "2026-11-20T12:10:00Z")
    assert approved["decided_by"] == {"id": plant.approver.id, "display_name": plant.approver.display_name}
    assert [one["person"]["id"] for one in approved["approvals"]] == [plant.approver.id]
    denied = client.post(f"/access-requests/{second.id}/deny", json={"reason": "not today"}).json()
    assert (denied["state"], denied["decision_reason"]) == ("denied", "not today")
    assert client.post(f"/access-requests/{first.id}/approve", json={}).status_code == 409
    assert client.get(f"/access-requests/{first.id}").json()["state"] == "approved"
    assert client.get("/access-requests/req_x").status_code == 404


@pytest.mark.parametrize(
    ("role", "reads", "decides"),
    [
        (Role.PLANT_ADMIN, 200, 404),
        (Role.AUDITOR, 200, 403),
        (Role.SECURITY_ADMINISTRATOR, 403, 403),
        (Role.SYSTEM_ADMINISTRATOR, 403, 403),
        (Role.VENDOR_ENGINEER, 403, 403),
    ],
)
def test_each_role_may_do_just_what_it_may(plant: Plant, role: Role, reads: int, decides: int) -> None:
    client = console(plant, role)
    assert client.get("/access-requests").status_code == reads
    assert client.post("/access-requests/req_x/approve", json={}).status_code == decides
    assert client.post("/access-requests/req_x/deny", json={"reason": "no"}).status_code == decides
    del client.headers["X-CSRF-Token"]
    assert client.post("/access-requests/req_x/approve", json={}).status_code == 403
