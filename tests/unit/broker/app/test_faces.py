import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import event
from starlette.testclient import TestClient

from broker.app import faces
from broker.app.house import House
from broker.identities.access import COOKIE
from broker.identities.model import Role, VendorConnection
from broker.identities.testing import a_console_session, a_person

_OPEN_AT_THE_PLANT = {
    ("POST", "/api/v1/session"),
    ("POST", "/api/v1/activation/begin"),
    ("POST", "/api/v1/activation/complete"),
}
_ANY_ID = "x_00000000000000000000000000"


def _routes(app: FastAPI, prefix: str) -> list[tuple[str, str]]:
    document = app.openapi()
    return [
        (method.upper(), re.sub(r"{[^}]+}", _ANY_ID, path))
        for path, methods in document["paths"].items()
        if path.startswith(prefix)
        for method in methods
    ]


def test_every_plant_route_but_signing_in_needs_somebody_signed_in(house: House) -> None:
    app = faces.plant_face(house)
    client = TestClient(app, base_url="https://testserver")
    routes = _routes(app, faces.PLANT_PREFIX)
    assert len(routes) > 25
    for method, path in routes:
        if (method, path) in _OPEN_AT_THE_PLANT:
            continue
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), (method, path)


def test_no_vendor_route_answers_a_connection_without_a_device(house: House) -> None:
    app = faces.vendor_face(house)
    client = TestClient(app)
    routes = _routes(app, faces.VENDOR_PREFIX)
    assert len(routes) >= 10
    for method, path in routes:
        body = None if method == "GET" else {}
        answer = client.request(method, path, json=body)
        assert answer.status_code in {401, 403, 422}, (method, path)
        assert answer.json()["code"] in {"device_not_trusted", "not_signed_in", "invalid"}, (method, path)


def test_the_vendor_face_has_none_of_the_plants_routes(house: House) -> None:
    plant = {path for _, path in _routes(faces.plant_face(house), faces.PLANT_PREFIX)}
    client = TestClient(faces.vendor_face(house))
    for path in plant:
        assert client.get(path).status_code == 404


def test_a_made_up_header_does_not_make_a_device(house: House) -> None:
    client = TestClient(faces.vendor_face(house))
    headers = {"X-Device-Id": "dev_1", "X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer x"}
    assert client.get("/vendor/v1/grants", headers=headers).status_code in {401, 403}


def test_unknown_addresses_are_problems_under_the_api_and_pages_elsewhere(house: House) -> None:
    client = TestClient(faces.plant_face(house))
    assert client.get("/api/v1/nothing").json()["code"] == "not_found"
    assert client.get("/livez").status_code == 204
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("state", [object(), {"device_id": "dev_1"}, "dev_1"])
def test_only_the_gateways_preamble_counts_as_a_connection(house: House, state: object) -> None:
    app = faces.vendor_face(house)

    @app.middleware("http")
    async def _forge(request, call_next):
        request.state.vendor = state
        return await call_next(request)

    assert TestClient(app).get("/vendor/v1/grants").json()["code"] == "device_not_trusted"
    assert not isinstance(state, VendorConnection)


def test_operation_ids_are_unique(house: House) -> None:
    for app in (faces.plant_face(house), faces.vendor_face(house)):
        identifiers = [route.operation_id for route in app.routes if isinstance(route, APIRoute) and route.operation_id]
        assert len(identifiers) == len(set(identifiers))


def test_while_the_database_is_read_only_the_console_can_be_read_and_says_so(house: House) -> None:
    person = a_person(house.database, role=Role.SYSTEM_ADMINISTRATOR, at=house.clock.now())
    a_while_ago = house.clock.now() - timedelta(minutes=20)
    cookie, csrf = a_console_session(house.database, person, a_while_ago)
    client = TestClient(faces.plant_face(house), base_url="https://testserver", raise_server_exceptions=False)
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf

    @event.listens_for(house.database.engine, "checkout")
    def _read_only(connection, _record, _proxy):
        connection.execute("PRAGMA query_only=ON")

    assert client.get("/api/v1/people").status_code == 200
    refused = client.post("/api/v1/people", json={"username": "n", "display_name": "N", "role": "auditor"})
    assert (refused.status_code, refused.json()["code"]) == (503, "database.unavailable")
    readiness = client.get("/readyz")
    assert (readiness.status_code, readiness.json()["parts"]["audit"]) == (503, False)
    quiet = client.get("/readyz", params={"quiet": True})
    assert (quiet.status_code, quiet.json()["ready"], quiet.json()["parts"]["audit"]) == (200, False, False)
    event.remove(house.database.engine, "checkout", _read_only)

    @event.listens_for(house.database.engine, "checkout")
    def _writable(connection, _record, _proxy):
        connection.execute("PRAGMA query_only=OFF")

    house.jobs()["see whether the trail can be written"]()
    assert client.get("/readyz").json()["parts"]["audit"] is True
