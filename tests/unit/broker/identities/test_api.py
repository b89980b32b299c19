import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from broker.identities import api
from broker.identities.access import COOKIE
from broker.identities.model import Role, VendorWelcome
from broker.identities.testing import NOON, PASSWORD, a_console_session, a_vendor_connection, code_at
from tests.unit.broker.identities.world import World, an_application


def console(world: World, role: Role | None = None) -> TestClient:
    client = an_application(api.plant_router(world.people, world.confirmation, world.sign_in, world.plant_access))
    if role is not None:
        cookie, csrf = a_console_session(world.database, world.somebody(role))
        client.cookies.set(COOKIE, cookie)
        client.headers["X-CSRF-Token"] = csrf
    return client


def test_signing_in_sets_a_host_cookie_that_scripts_cannot_read(world: World) -> None:
    world.somebody(Role.PLANT_ADMIN, "li.na")
    client = console(world)
    answer = client.post("/session", json={"username": "li.na", "password": PASSWORD, "totp": code_at(NOON)})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-sallyport=")
    assert all(mark in cookie for mark in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    assert "Domain" not in cookie
    body = answer.json()
    assert body["person"]["role"] == "plant_admin"
    assert "access_requests.request.approve" in body["permissions"]
    assert client.get("/session").json() == body
    assert client.delete("/session").status_code == 403
    assert client.delete("/session", headers={"X-CSRF-Token": body["csrf_token"]}).status_code == 204
    assert client.get("/session").status_code == 401


def test_a_refused_sign_in_is_a_problem_document_and_sets_no_cookie(world: World) -> None:
    answer = console(world).post("/session", json={"username": "x", "password": "y", "totp": "123456"})
    assert (answer.status_code, answer.json()["code"]) == (401, "identities.sign_in_refused")
    assert "set-cookie" not in answer.headers


def test_unknown_fields_and_long_ones_are_refused_without_echo(world: World) -> None:
    secret = "p" * 300
    answer = console(world).post("/session", json={"username": "x", "password": secret, "totp": "123456", "y": 1})
    assert answer.status_code == 422
    assert secret not in answer.text


def test_an_account_is_activated_over_the_console(world: World) -> None:
    administrator = console(world, Role.SYSTEM_ADMINISTRATOR)
    created = administrator.post(
        "/people", json={"username": "li.na", "display_name": "Li Na", "role": "auditor", "language": "zh-CN"}
    )
    assert created.status_code == 201
    token = created.json()["activation_token"]
    assert created.json()["activation_url"] == f"/activate#{token}"
    anyone = console(world)
    offer = anyone.post("/activation/begin", json={"token": token}).json()
    assert offer["username"] == "li.na"
    done = anyone.post(
        "/activation/complete",
        json={"token": token, "password": PASSWORD, "totp": code_at(NOON, offer["totp_secret"])},
    )
    assert done.status_code == 200
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}", done.json()["confirmation_code"])
    assert done.headers["Cache-Control"] == "no-store"
    typed = {
        "username": "li.na",
        "password": PASSWORD,
        "totp": code_at(NOON + timedelta(seconds=30), offer["totp_secret"]),
    }
    assert anyone.post("/session", json=typed).status_code == 401
    confirm = f"/people/{created.json()['person']['id']}/confirm"
    assert administrator.post(confirm, json=done.json() | {}).status_code in {403, 422}
    security = console(world, Role.SECURITY_ADMINISTRATOR)
    wrong = security.post(confirm, json={"code": "0000-0000"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "identities.confirmation_code_differs")
    confirmed = security.post(confirm, json={"code": done.json()["confirmation_code"]})
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "active")
    assert anyone.post("/session", json=typed).status_code == 200
    again = anyone.post("/activation/begin", json={"token": token})
    assert (again.status_code, again.json()["code"]) == (401, "identities.activation_refused")


def test_an_engineers_token_has_no_link(world: World) -> None:
    created = console(world, Role.SYSTEM_ADMINISTRATOR).post(
        "/people",
        json={"username": "kuka.meier", "display_name": "K. Meier", "role": "vendor_engineer", "company": "KUKA"},
    )
    assert created.json()["activation_url"] is None
    assert created.json()["person"]["company"] == "KUKA"


@pytest.mark.parametrize("role", list(Role))
def test_only_system_administrators_make_and_suspend_people(world: World, role: Role) -> None:
    client, victim = console(world, role), world.somebody(Role.AUDITOR)
    made = client.post("/people", json={"username": "new", "display_name": "New", "role": "auditor"})
    gone = client.post(f"/people/{victim.id}/suspend")
    allowed = role is Role.SYSTEM_ADMINISTRATOR
    assert (made.status_code, gone.status_code) == ((201, 200) if allowed else (403, 403))


@pytest.mark.parametrize("role", list(Role))
def test_resetting_and_confirming_are_in_different_hands(world: World, role: Role) -> None:
    client, person = console(world, role), world.somebody(Role.PLANT_ADMIN)
    reset = client.post(f"/people/{person.id}/reset")
    confirmed = client.post(f"/people/{person.id}/confirm", json={"code": "0000-0000"})
    assert reset.status_code == (200 if role is Role.SYSTEM_ADMINISTRATOR else 403)
    assert confirmed.status_code == (409 if role is Role.SECURITY_ADMINISTRATOR else 403)


def test_a_reset_shows_a_new_link_once(world: World) -> None:
    client, person = console(world, Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.AUDITOR)
    answer = client.post(f"/people/{person.id}/reset")
    body = answer.json()
    assert body["person"]["state"] == "invited"
    assert body["activation_url"] == f"/activate#{body['activation_token']}"
    assert answer.headers["Cache-Control"] == "no-store"


def test_people_are_listed_in_pages_without_secrets(world: World) -> None:
    client = console(world, Role.PLANT_ADMIN)
    world.somebody(Role.AUDITOR)
    first = client.get("/people", params={"limit": 1}).json()
    second = client.get("/people", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert first["items"][0]["id"] < second["items"][0]["id"]
    assert set(first["items"][0]) == {
        "id", "username", "display_name", "role", "state", "company", "language", "created_at",
    }  # fmt: skip


def test_the_language_is_kept(world: World) -> None:
    client = console(world, Role.AUDITOR)
    assert client.put("/session/language", json={"language": "zh-CN"}).status_code == 204
    assert client.get("/session").json()["person"]["language"] == "zh-CN"
    assert client.put("/session/language", json={"language": "fr"}).status_code == 422


def test_the_people_routes_need_a_sign_in_and_a_csrf_token(world: World) -> None:
    assert console(world).get("/people").status_code == 401
    client = console(world, Role.SYSTEM_ADMINISTRATOR)
    client.headers["X-CSRF-Token"] = "wrong"
    answer = client.post("/people", json={"username": "n", "display_name": "N", "role": "auditor"})
    assert (answer.status_code, answer.json()["code"]) == (403, "identities.csrf_mismatch")


def test_an_engineer_activates_signs_in_and_out_at_the_vendor_face(world: World) -> None:
    administrator = console(world, Role.SYSTEM_ADMINISTRATOR)
    created = administrator.post(
        "/people",
        json={"username": "kuka.meier", "display_name": "K. Meier", "role": "vendor_engineer", "company": "KUKA"},
    ).json()
    engineer = world.people.get(created["person"]["id"])
    built = world.device_of(engineer, world.somebody(Role.PLANT_ADMIN))
    welcome = VendorWelcome("North plant", "plant", "ssh-ed25519 AAAA", "north.sallyport", 1, ((20777, bytes(32)),))
    client = an_application(
        api.vendor_router(world.people, world.sign_in, world.vendor_access, lambda: welcome),
        connection=a_vendor_connection(built.device.id, built.device.certificate_der),
    )
    seed = client.post("/activation", json={"token": created["activation_token"], "password": PASSWORD}).json()
    typed = {"username": "kuka.meier", "password": PASSWORD, "totp": code_at(NOON, seed["totp_secret"])}
    login = client.post("/login", json=typed)
    assert login.status_code == 200
    body = login.json()
    assert body["idle_seconds"] == 900
    assert body["person"]["username"] == "kuka.meier"
    assert body["source"] == "203.0.113.7"
    assert body["site"]["host_key_alias"] == "north.sallyport"
    assert body["day_keys"][0]["day"] == 20777
    assert client.post("/login", json=typed).json()["code"] == "not_signed_in"
    headers = {"Authorization": f"Bearer {body['token']}"}
    assert client.post("/logout", headers=headers).status_code == 204
    assert client.post("/logout", headers=headers).status_code == 401
