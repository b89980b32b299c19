"""Unmasking over HTTP: only for auditors, and only with two of them."""

import base64

from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.recordings import unmask_api
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.recordings.test_unmasking import ONE, OTHER, Masked
from tests.unit.broker.sessions.plant import Plant


def console(plant: Plant, masked: Masked, role: Role) -> TestClient:
    client = an_application(unmask_api.plant_router(masked.unmasking, plant.world.plant_access))
    cookie, csrf = a_console_session(plant.world.database, plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def part(masked: Masked, number: int) -> dict[str, object]:
    return {"part": number, "secret_b64": base64.b64encode(masked.parts[number - 1]).decode()}


def test_two_auditors_read_what_was_typed(plant: Plant) -> None:
    masked = Masked(plant)
    path = f"/recordings/{masked.id}/masked"
    first, second = console(plant, masked, Role.AUDITOR), console(plant, masked, Role.AUDITOR)
    assert [one["auditor_key"] for one in first.get(path).json()["parts"]] == [ONE[1].hex(), OTHER[1].hex()]
    assert first.post(path, json=part(masked, 1)).json() == {"state": "waiting", "items": []}
    answer = second.post(path, json=part(masked, 2))
    assert answer.json() == {"state": "opened", "items": [{"at_ms": 5, "channel": 1, "text": "hunter2\r"}]}
    assert answer.headers["cache-control"] == "no-store"


def test_a_plant_admin_may_not_and_a_part_has_its_size(plant: Plant) -> None:
    masked = Masked(plant)
    path = f"/recordings/{masked.id}/masked"
    assert console(plant, masked, Role.PLANT_ADMIN).get(path).status_code == 403
    auditor = console(plant, masked, Role.AUDITOR)
    for secret in ("", "AAAA", "?"):
        assert auditor.post(path, json={"part": 1, "secret_b64": secret}).status_code in (400, 422)
    assert auditor.post(path, json={"part": 3, "secret_b64": "AAAA"}).status_code == 422
