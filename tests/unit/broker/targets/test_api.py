from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.sign_in import Credentials
from broker.identities.testing import NOON, PASSWORD, a_console_session, a_vendor_connection, code_at
from broker.kernel.sensitivity import SecretText
from broker.targets import api
from broker.targets.testing import a_host_key, a_target, a_zone
from tests.unit.broker.identities.world import World, an_application


def console(world: World, role: Role) -> TestClient:
    client = an_application(api.plant_router(world.targets, world.plant_access))
    cookie, csrf = a_console_session(world.database, world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def body(zone_id: str) -> dict[str, object]:
    return {
        "name": "press-4",
        "zone_id": zone_id,
        "address": "10.20.0.4",
        "port": 22,
        "protocol": "ssh",
        "host_key": a_host_key(),
        "description": "",
        "accounts": ["maint"],
    }


@pytest.mark.parametrize("role", list(Role))
def test_only_security_administrators_enter_move_and_retire_targets(world: World, role: Role) -> None:
    zone, target = a_zone(world.database), a_target(world.database, name="press-9")
    client = console(world, role)
    endpoint = {"address": "10.20.0.9", "port": 22, "host_key": a_host_key(9)}
    statuses = [
        client.post("/zones", json={"name": "Paint shop"}).status_code,
        client.post("/targets", json=body(zone.id)).status_code,
        client.put(f"/targets/{target.id}/endpoint", json=endpoint).status_code,
        client.post(f"/targets/{target.id}/retire").status_code,
    ]
    assert statuses == ([201, 201, 200, 200] if role is Role.SECURITY_ADMINISTRATOR else [403] * 4)


def test_targets_are_read_in_pages(world: World) -> None:
    first = a_target(world.database, name="press-4")
    second = a_target(world.database, name="press-5", at=NOON + timedelta(seconds=1))
    client = console(world, Role.AUDITOR)
    page = client.get("/targets", params={"limit": 1}).json()
    assert [item["name"] for item in page["items"]] == ["press-4"]
    page = client.get("/targets", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in page["items"]] == [second.id]
    assert client.get(f"/targets/{first.id}").json()["accounts"] == ["maint"]
    assert client.get("/targets/tgt_x").json()["code"] == "not_found"
    assert len(client.get("/zones").json()["items"]) == 2


def test_a_bad_address_is_a_problem_that_names_the_field(world: World) -> None:
    zone = a_zone(world.database)
    answer = console(world, Role.SECURITY_ADMINISTRATOR).post(
        "/targets", json=body(zone.id) | {"address": "press-4.example"}
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["params"]) == (
        422,
        "targets.unfit",
        {"field": "address"},
    )


def test_nobody_reads_targets_without_a_cookie(world: World) -> None:
    client = an_application(api.plant_router(world.targets, world.plant_access))
    assert client.get("/targets").status_code == 401


def test_an_engineer_sees_targets_without_their_addresses(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(engineer, admin)
    a_target(world.database, name="press-4", address="10.20.0.4")
    world.targets.retire("psn_sec", a_target(world.database, name="press-3").id)
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    typed = Credentials("kuka.meier", SecretText(PASSWORD), SecretText(code_at(NOON)))
    token = world.sign_in.sign_in_at_vendor_face(typed, connection).token.reveal()
    client = an_application(api.vendor_router(world.targets, world.vendor_access), connection=connection)
    assert client.get("/targets").json()["code"] == "not_signed_in"
    answer = client.get("/targets", headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == {
        "items": [{"name": "press-4", "protocol": "ssh", "description": "", "accounts": ["maint"]}]
    }
    assert "10.20.0.4" not in answer.text


def test_a_retired_target_is_listed_with_the_moment_and_refuses_what_is_done_to_it(world: World) -> None:
    target = a_target(world.database)
    client = console(world, Role.SECURITY_ADMINISTRATOR)
    assert client.get(f"/targets/{target.id}").json()["retired_at"] is None
    assert client.post(f"/targets/{target.id}/retire").json()["retired_at"] is not None
    again = client.post(f"/targets/{target.id}/retire")
    assert (again.status_code, again.json()["code"]) == (409, "targets.retired")
    (listed,) = client.get("/targets").json()["items"]
    assert listed["retired_at"] is not None
    assert client.post("/targets/tgt_x/retire").status_code == 404
