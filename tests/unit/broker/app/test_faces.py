import re

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from broker.app import faces
from broker.app.house import House
from broker.identities.model import VendorConnection

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
