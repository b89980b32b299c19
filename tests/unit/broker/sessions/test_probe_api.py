import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.sessions import probe_api
from broker.targets.testing import a_host_key
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.sessions.plant import Plant
from tests.unit.broker.sessions.test_probing import Site

PERMITTED = {Role.SECURITY_ADMINISTRATOR: (200, 200)}


def console(site: Site, role: Role) -> TestClient:
    world = site.plant.world
    client = an_application(probe_api.plant_router(site.probes, world.plant_access))
    cookie, csrf = a_console_session(world.database, world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


@pytest.mark.parametrize("role", list(Role))
def test_only_who_enters_targets_tests_them(plant: Plant, role: Role) -> None:
    site = Site(plant)
    client = console(site, role)
    known = client.post(f"/targets/{plant.target.id}/probe")
    new = client.post("/target-probes", json={"address": "10.20.0.9", "port": 22})
    assert (known.status_code, new.status_code) == PERMITTED.get(role, (403, 403))


def test_the_answer_says_whether_the_key_is_the_pinned_one(plant: Plant) -> None:
    site = Site(plant)
    client = console(site, Role.SECURITY_ADMINISTRATOR)
    answer = client.post(f"/targets/{plant.target.id}/probe").json()
    assert (answer["outcome"], answer["key_differs"]) == ("key_shown", False)
    assert answer["fingerprint"] == answer["pinned_fingerprint"]
    site.key = a_host_key(77)
    answer = client.post(f"/targets/{plant.target.id}/probe").json()
    assert answer["key_differs"] is True
    assert answer["fingerprint"] != answer["pinned_fingerprint"]
    site.outcome, site.key = "refused", ""
    answer = client.post(f"/targets/{plant.target.id}/probe").json()
    assert (answer["outcome"], answer["host_key"], answer["key_differs"]) == ("refused", None, None)
    assert client.post("/target-probes", json={"address": "localhost", "port": 22}).status_code == 422
