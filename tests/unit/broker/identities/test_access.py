from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Principal, Role, VendorConnection, VendorPrincipal
from broker.identities.sign_in import Credentials
from broker.identities.testing import NOON, PASSWORD, a_console_session, a_vendor_connection, code_at
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.identities.world import World, an_application


def guarded(world: World) -> TestClient:
    router = APIRouter()

    @router.get("/thing")
    def read(principal: Annotated[Principal, Depends(world.plant_access.requires("audit.event.read"))]) -> str:
        return principal.username

    @router.post("/thing")
    def write(principal: Annotated[Principal, Depends(world.plant_access.requires("audit.event.read"))]) -> str:
        return principal.username

    return an_application(router)


def with_cookie(world: World, cookie: str) -> TestClient:
    client = guarded(world)
    client.cookies.set(COOKIE, cookie)
    return client


def test_without_a_cookie_nobody_is_signed_in(world: World) -> None:
    answer = guarded(world).get("/thing")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_a_cookie_that_is_nobodys_is_refused(world: World) -> None:
    answer = with_cookie(world, "x" * 43).get("/thing")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


@pytest.mark.parametrize("role", list(Role))
def test_only_the_roles_with_the_permission_get_in(world: World, role: Role) -> None:
    person = world.somebody(role)
    cookie, _ = a_console_session(world.database, person)
    answer = with_cookie(world, cookie).get("/thing")
    assert answer.status_code == (200 if role is Role.AUDITOR else 403)
    if role is not Role.AUDITOR:
        assert answer.json()["code"] == "identities.not_permitted"


def test_an_unsafe_method_needs_the_sessions_own_csrf_token(world: World) -> None:
    person = world.somebody(Role.AUDITOR)
    cookie, csrf = a_console_session(world.database, person)
    _, others = a_console_session(world.database, person)
    client = with_cookie(world, cookie)
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": others}):
        answer = client.post("/thing", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "identities.csrf_mismatch")
    assert client.post("/thing", headers={"X-CSRF-Token": csrf}).status_code == 200


def test_an_idle_session_is_over(world: World) -> None:
    cookie, _ = a_console_session(world.database, world.somebody(Role.AUDITOR), NOON - timedelta(minutes=30))
    assert with_cookie(world, cookie).get("/thing").status_code == 401


def vendor_application(world: World, connection: VendorConnection | None) -> TestClient:
    router = APIRouter()

    @router.get("/mine")
    def mine(engineer: Annotated[VendorPrincipal, Depends(world.vendor_access.signed_in())]) -> str:
        return engineer.username

    @router.get("/connection")
    def plain(connection: Annotated[VendorConnection, Depends(world.vendor_access.connection)]) -> str:
        return connection.device_id

    @router.get("/enrolling")
    def enrolling(connection: Annotated[VendorConnection, Depends(world.vendor_access.enrolling())]) -> str:
        return connection.device_id

    return an_application(router, connection=connection)


def test_without_the_gateways_preamble_nothing_is_answered(world: World) -> None:
    client = vendor_application(world, None)
    for path in ("/mine", "/connection", "/enrolling"):
        answer = client.get(path, headers={"Authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "device_not_trusted")


def test_an_invite_may_only_enrol_and_a_device_may_not(world: World) -> None:
    invited = vendor_application(world, a_vendor_connection("inv_1"))
    assert invited.get("/enrolling").status_code == 200
    assert invited.get("/connection").json()["code"] == "device_not_trusted"
    assert invited.get("/mine", headers={"Authorization": "Bearer x"}).json()["code"] == "device_not_trusted"
    device = vendor_application(world, a_vendor_connection("dev_1"))
    assert device.get("/connection").status_code == 200
    assert device.get("/enrolling").json()["code"] == "devices.not_an_invite"


def test_a_bearer_token_names_its_engineer(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(engineer, admin)
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    typed = Credentials("kuka.meier", SecretText(PASSWORD), SecretText(code_at(NOON)))
    token = world.sign_in.sign_in_at_vendor_face(typed, connection).token.reveal()
    client = vendor_application(world, connection)
    assert client.get("/mine", headers={"Authorization": f"Bearer {token}"}).json() == "kuka.meier"
    for wrong in ("", "Bearer", "Bearer ", f"Basic {token}", "Bearer " + "x" * 300):
        answer = client.get("/mine", headers={"Authorization": wrong})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
