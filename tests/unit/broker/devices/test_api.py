import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from starlette.testclient import TestClient

from broker.devices import api
from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.sign_in import Credentials
from broker.identities.testing import PASSWORD, a_console_session, a_vendor_connection, code_at
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.devices.laptop import Laptop
from tests.unit.broker.devices.requests import a_request
from tests.unit.broker.identities.world import World, an_application


def console(world: World, role: Role) -> TestClient:
    client = an_application(api.plant_router(world.devices, world.plant_access))
    cookie, csrf = a_console_session(world.database, world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


@pytest.mark.parametrize("role", list(Role))
def test_only_plant_admins_invite_trust_and_suspend(world: World, role: Role) -> None:
    laptop = Laptop(world)
    device = laptop.enrol().device
    client = console(world, role)
    statuses = [
        client.post("/device-invites", json={"person_id": laptop.engineer.id}).status_code,
        client.post(f"/devices/{device.id}/trust", json={"short_code": device.short_code}).status_code,
        client.post(f"/devices/{device.id}/suspend").status_code,
        client.post(f"/devices/{device.id}/resume").status_code,
        client.post(f"/devices/{device.id}/retire").status_code,
    ]
    assert statuses == ([201, 200, 200, 200, 200] if role is Role.PLANT_ADMIN else [403] * 5)


def test_a_device_is_listed_with_its_owners_name_and_without_keys(world: World) -> None:
    laptop = Laptop(world)
    device = laptop.enrol().device
    listed = console(world, Role.AUDITOR).get("/devices").json()
    assert listed["next_cursor"] is None
    (item,) = listed["items"]
    assert item["person"] == {"id": laptop.engineer.id, "display_name": laptop.engineer.display_name}
    assert (item["state"], item["short_code"], item["key_storage"]) == ("pending", device.short_code, "file")
    assert not {"knock_key", "certificate", "public_key"} & set(item)
    assert console(world, Role.AUDITOR).get(f"/devices/{device.id}").json() == item


def test_nobody_lists_devices_without_a_cookie_or_changes_one_without_the_csrf_token(world: World) -> None:
    anyone = an_application(api.plant_router(world.devices, world.plant_access))
    assert anyone.get("/devices").json()["code"] == "not_signed_in"
    client = console(world, Role.PLANT_ADMIN)
    client.headers["X-CSRF-Token"] = "wrong"
    answer = client.post("/devices/dev_1/retire")
    assert (answer.status_code, answer.json()["code"]) == (403, "identities.csrf_mismatch")


def test_an_unknown_device_is_not_found(world: World) -> None:
    answer = console(world, Role.PLANT_ADMIN).post("/devices/dev_1/suspend")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_laptop_enrols_over_its_invites_connection(world: World) -> None:
    laptop = Laptop(world)
    client = an_application(
        api.vendor_router(world.devices, world.vendor_access),
        connection=a_vendor_connection(laptop.invite.id, laptop.certificate_der),
    )
    body = {
        "code": laptop.content["code"],
        "csr_pem": a_request(ed25519.Ed25519PrivateKey.generate()),
        "device_name": "service-laptop",
        "posture": {"os": "Windows 11", "key_storage": "tpm", "disk_encrypted": True},
    }
    answer = client.post("/enrol", json=body)
    assert answer.status_code == 201
    enrolled = answer.json()
    assert set(enrolled) == {
        "device_id", "certificate_pem", "knock_key_b64", "day_keys", "short_code", "state",
    }  # fmt: skip
    assert enrolled["state"] == "pending"
    assert world.devices.get(enrolled["device_id"]).key_storage == "tpm"
    again = client.post("/enrol", json=body)
    assert (again.status_code, again.json()["code"]) == (403, "devices.invite_refused")


def test_an_enrolled_device_cannot_enrol_another(world: World) -> None:
    client = an_application(
        api.vendor_router(world.devices, world.vendor_access), connection=a_vendor_connection("dev_1")
    )
    answer = client.post("/enrol", json={"code": "c", "csr_pem": "x", "device_name": "n"})
    assert (answer.status_code, answer.json()["code"]) == (403, "devices.not_an_invite")


def test_a_plant_admin_says_what_a_devices_knocks_may_leave_open(world: World) -> None:
    device = Laptop(world).enrol().device
    path = f"/devices/{device.id}/policy"
    answer = console(world, Role.PLANT_ADMIN).put(path, json={"allow_header_address": False, "loose_clock": True})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["allow_header_address"], answer.json()["loose_clock"]) == (False, True)
    assert console(world, Role.AUDITOR).put(path, json={"allow_header_address": True}).status_code == 403


def test_a_signed_in_engineers_device_is_renewed_once_the_guard_knows(world: World) -> None:
    engineer = world.somebody()
    built = world.device_of(engineer, invited_by=world.somebody(Role.PLANT_ADMIN))
    told: list[bool] = []

    def tell() -> bool:
        told.append(any(one.next_knock_key for one in world.devices.roster_devices()))
        return True

    client = an_application(
        api.vendor_router(world.devices, world.vendor_access, tell),
        connection=a_vendor_connection(built.device.id, built.device.certificate_der),
    )
    assert client.post("/device/renewal", json={}).status_code == 401
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    typed = Credentials(engineer.username, SecretText(PASSWORD), SecretText(code_at(world.clock.now())))
    token = world.sign_in.sign_in_at_vendor_face(typed, connection).token.reveal()
    answer = client.post("/device/renewal", json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"certificate_pem", "knock_key_b64", "day_keys"}
    assert told == [True]
