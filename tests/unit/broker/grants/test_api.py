import pytest
from starlette.testclient import TestClient

from broker.grants import api
from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session, a_vendor_connection
from tests.unit.broker.access_requests.test_api import signed_in
from tests.unit.broker.grants.test_service import LINE
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.sessions.plant import Plant


def vendor(plant: Plant) -> TestClient:
    device = plant.laptop.device
    connection = a_vendor_connection(device.id, device.certificate_der)
    client = an_application(api.vendor_router(plant.grants, plant.world.vendor_access), connection=connection)
    client.headers["Authorization"] = f"Bearer {signed_in(plant, connection)}"
    return client


def console(plant: Plant, role: Role) -> TestClient:
    client = an_application(api.plant_router(plant.grants, plant.world.plant_access))
    cookie, csrf = a_console_session(plant.world.database, plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_an_engineer_gets_a_certificate_for_the_address_that_was_seen(plant: Plant) -> None:
    grant = plant.a_grant()
    client = vendor(plant)
    assert client.get("/grants").json() == {
        "items": [
            {
                "id": grant.id,
                "target": "press-4",
                "account": "maint",
                "protocol": "ssh",
                "not_before": "2026-11-20T12:00:00Z",
                "not_after": "2026-11-20T14:00:00Z",
                "state": "issued",
            }
        ],
        "next_cursor": None,
    }
    answer = client.post(f"/grants/{grant.id}/ssh-certificate", json={"public_key": LINE})
    assert answer.status_code == 200
    body = answer.json()
    read = plant.grants.authority.read(body["certificate"].encode())
    assert (read.serial, read.source) == (body["serial"], "203.0.113.7")
    assert body["valid_before"] == "2026-11-20T12:15:00Z"
    assert client.post(f"/grants/{grant.id}/finish").json()["state"] == "used"
    refused = client.post(f"/grants/{grant.id}/ssh-certificate", json={"public_key": LINE})
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")


def test_bad_keys_and_unknown_grants_are_refused(plant: Plant) -> None:
    grant = plant.a_grant()
    client = vendor(plant)
    bad = client.post(f"/grants/{grant.id}/ssh-certificate", json={"public_key": "junk"})
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid")
    assert client.post("/grants/grt_x/ssh-certificate", json={"public_key": LINE}).json()["code"] == "not_found"
    del client.headers["Authorization"]
    assert client.get("/grants").status_code == 401


def test_the_plant_sees_grants_and_takes_them_back(plant: Plant) -> None:
    grant = plant.a_grant()
    client = console(plant, Role.PLANT_ADMIN)
    (item,) = client.get("/grants").json()["items"]
    assert item["person"] == {"id": plant.engineer.id, "display_name": plant.engineer.display_name}
    assert item["device"] == {"id": plant.laptop.device.id, "name": "service-laptop"}
    assert item["target"] == {"id": plant.target.id, "name": "press-4"}
    revoked = client.post(f"/grants/{grant.id}/revoke", json={"reason": "line is up"}).json()
    assert (revoked["state"], revoked["end_reason"]) == ("revoked", "line is up")
    assert client.post(f"/grants/{grant.id}/revoke", json={"reason": "again"}).status_code == 409


@pytest.mark.parametrize(
    ("role", "reads", "revokes"),
    [
        (Role.PLANT_ADMIN, 200, 404),
        (Role.AUDITOR, 200, 403),
        (Role.SECURITY_ADMINISTRATOR, 403, 403),
        (Role.SYSTEM_ADMINISTRATOR, 403, 403),
        (Role.VENDOR_ENGINEER, 403, 403),
    ],
)
def test_each_role_may_do_just_what_it_may(plant: Plant, role: Role, reads: int, revokes: int) -> None:
    client = console(plant, role)
    assert client.get("/grants").status_code == reads
    assert client.post("/grants/grt_x/revoke", json={"reason": "x"}).status_code == revokes
