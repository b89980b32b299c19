import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.targets.testing import a_target
from broker.vault import api
from tests.unit.broker.identities.world import World, an_application

BODY = {"account": "maint", "kind": "password", "secret": "swordfish-9-swordfish"}


def console(world: World, role: Role) -> TestClient:
    client = an_application(api.plant_router(world.vault, world.plant_access))
    cookie, csrf = a_console_session(world.database, world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


@pytest.mark.parametrize("role", list(Role))
def test_only_security_administrators_store_credentials_and_get_an_id_back(world: World, role: Role) -> None:
    target = a_target(world.database)
    answer = console(world, role).post(f"/targets/{target.id}/credentials", json=BODY)
    if role is Role.SECURITY_ADMINISTRATOR:
        assert answer.status_code == 201
        assert set(answer.json()) == {"id"}
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "identities.not_permitted")
    assert BODY["secret"] not in answer.text


def test_a_refused_secret_is_not_echoed(world: World) -> None:
    target = a_target(world.database)
    client = console(world, Role.SECURITY_ADMINISTRATOR)
    refused = client.post(f"/targets/{target.id}/credentials", json=BODY | {"kind": "private_key"})
    assert (refused.status_code, refused.json()["code"]) == (422, "vault.secret_unfit")
    malformed = client.post(f"/targets/{target.id}/credentials", json=BODY | {"kind": "telepathy"})
    assert malformed.status_code == 422
    assert BODY["secret"] not in refused.text + malformed.text


def test_storing_needs_a_cookie_and_the_csrf_token(world: World) -> None:
    target = a_target(world.database)
    anyone = an_application(api.plant_router(world.vault, world.plant_access))
    assert anyone.post(f"/targets/{target.id}/credentials", json=BODY).status_code == 401
    client = console(world, Role.SECURITY_ADMINISTRATOR)
    client.headers["X-CSRF-Token"] = ""
    assert client.post(f"/targets/{target.id}/credentials", json=BODY).json()["code"] == "identities.csrf_mismatch"


def test_whether_an_account_has_a_credential_is_told_and_never_the_credential(world: World) -> None:
    target = a_target(world.database)
    path = f"/targets/{target.id}/credentials"
    auditor = console(world, Role.AUDITOR)
    assert auditor.get(path).json()["items"][0] == {"account": "maint", "state": "absent"}
    console(world, Role.SECURITY_ADMINISTRATOR).post(path, json=BODY)
    answer = auditor.get(path)
    assert answer.json()["items"][0] == {"account": "maint", "state": "bound"}
    assert BODY["secret"] not in answer.text
    world.targets.change_endpoint("psn_1", target.id, address="10.20.0.99", port=22, host_key=target.host_key)
    assert auditor.get(path).json()["items"][0] == {"account": "maint", "state": "detached"}
    assert auditor.get("/targets/tgt_x/credentials").status_code == 404
    assert console(world, Role.SYSTEM_ADMINISTRATOR).get(path).status_code == 403
