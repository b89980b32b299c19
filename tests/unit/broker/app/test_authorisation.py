"""Who may call what: every route of both faces, for every role, from the routes themselves.

The two tables are the whole answer. A route that is not in them fails, and so does an entry without a route: whoever
adds a route says here who may call it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from broker.adapters.sealing import Sealer
from broker.app import faces, keys, migrations, wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import parse
from broker.devices.testing import a_device, some_authorities
from broker.identities.access import COOKIE, CSRF_HEADER
from broker.identities.model import Role, VendorConnection
from broker.identities.store import Face, SignInRow, token_hash
from broker.identities.testing import a_console_session, a_person, a_vendor_connection
from broker.kernel.ids import new_id

SYSTEM, SECURITY, PLANT, AUDITOR = (
    Role.SYSTEM_ADMINISTRATOR,
    Role.SECURITY_ADMINISTRATOR,
    Role.PLANT_ADMIN,
    Role.AUDITOR,
)
CONSOLE: Final = frozenset({SYSTEM, SECURITY, PLANT, AUDITOR})
ANYBODY: Final = None
"""Also somebody who is not signed in."""

AT_THE_PLANT: Final[dict[str, frozenset[Role] | None]] = {
    "GET /livez": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /api/v1/health": CONSOLE,
    "GET /api/v1/set-up": CONSOLE,
    "POST /api/v1/session": ANYBODY,
    "GET /api/v1/session": frozenset(Role),
    "DELETE /api/v1/session": frozenset(Role),
    "PUT /api/v1/session/language": frozenset(Role),
    "POST /api/v1/activation/begin": ANYBODY,
    "POST /api/v1/activation/complete": ANYBODY,
    "GET /api/v1/people": CONSOLE,
    "POST /api/v1/people": frozenset({SYSTEM}),
    "POST /api/v1/people/{person_id}/confirm": frozenset({SECURITY}),
    "POST /api/v1/people/{person_id}/reset": frozenset({SYSTEM}),
    "POST /api/v1/people/{person_id}/suspend": frozenset({SYSTEM}),
    "POST /api/v1/device-invites": frozenset({PLANT}),
    "GET /api/v1/devices": frozenset({SYSTEM, PLANT, AUDITOR}),
    "GET /api/v1/devices/{device_id}": frozenset({SYSTEM, PLANT, AUDITOR}),
    "POST /api/v1/devices/{device_id}/trust": frozenset({PLANT}),
    "POST /api/v1/devices/{device_id}/suspend": frozenset({PLANT}),
    "POST /api/v1/devices/{device_id}/resume": frozenset({PLANT}),
    "POST /api/v1/devices/{device_id}/retire": frozenset({PLANT}),
    "PUT /api/v1/devices/{device_id}/policy": frozenset({PLANT}),
    "GET /api/v1/zones": frozenset({SECURITY, PLANT, AUDITOR}),
    "POST /api/v1/zones": frozenset({SECURITY}),
    "GET /api/v1/targets": frozenset({SECURITY, PLANT, AUDITOR}),
    "POST /api/v1/targets": frozenset({SECURITY}),
    "GET /api/v1/targets/{target_id}": frozenset({SECURITY, PLANT, AUDITOR}),
    "PUT /api/v1/targets/{target_id}/endpoint": frozenset({SECURITY}),
    "POST /api/v1/targets/{target_id}/retire": frozenset({SECURITY}),
    "POST /api/v1/targets/{target_id}/probe": frozenset({SECURITY}),
    "POST /api/v1/target-probes": frozenset({SECURITY}),
    "GET /api/v1/targets/{target_id}/credentials": frozenset({SECURITY, PLANT, AUDITOR}),
    "POST /api/v1/targets/{target_id}/credentials": frozenset({SECURITY}),
    "GET /api/v1/access-requests": frozenset({PLANT, AUDITOR}),
    "GET /api/v1/access-requests/{request_id}": frozenset({PLANT, AUDITOR}),
    "POST /api/v1/access-requests/{request_id}/approve": frozenset({PLANT}),
    "POST /api/v1/access-requests/{request_id}/deny": frozenset({PLANT}),
    "GET /api/v1/grants": frozenset({PLANT, AUDITOR}),
    "POST /api/v1/grants/{grant_id}/revoke": frozenset({PLANT}),
    "GET /api/v1/sessions": frozenset({PLANT, AUDITOR}),
    "GET /api/v1/sessions/{session_id}": frozenset({PLANT, AUDITOR}),
    "GET /api/v1/sessions/{session_id}/receipt": frozenset({PLANT, AUDITOR}),
    "POST /api/v1/sessions/{session_id}/cut": frozenset({PLANT}),
    "POST /api/v1/sessions/{session_id}/freeze": frozenset({PLANT}),
    "POST /api/v1/sessions/{session_id}/thaw": frozenset({PLANT}),
    "POST /api/v1/sessions/{session_id}/message": frozenset({PLANT}),
    "GET /api/v1/sessions/{session_id}/watch": frozenset({PLANT, AUDITOR}),
    "GET /api/v1/recordings/{recording_id}": frozenset({PLANT, AUDITOR}),
    "GET /api/v1/recordings/{recording_id}/cast": frozenset({AUDITOR}),
    "GET /api/v1/recordings/{recording_id}/events": frozenset({AUDITOR}),
    "GET /api/v1/recordings/{recording_id}/timeline": frozenset({AUDITOR}),
    "GET /api/v1/recordings/{recording_id}/chunks/{number}": frozenset({AUDITOR}),
    "GET /api/v1/recordings/{recording_id}/masked": frozenset({AUDITOR}),
    "POST /api/v1/recordings/{recording_id}/masked": frozenset({AUDITOR}),
    "POST /api/v1/recordings/{recording_id}/holds": frozenset({AUDITOR}),
    "GET /api/v1/retention/storage": CONSOLE,
    "GET /api/v1/retention/recordings": CONSOLE,
    "GET /api/v1/retention/recordings/{recording_id}": CONSOLE,
    "GET /api/v1/retention/holds": CONSOLE,
    "POST /api/v1/retention/holds/{hold_id}/lift": frozenset({SECURITY}),
    "GET /api/v1/retention/purges": CONSOLE,
    "POST /api/v1/retention/purges": frozenset({SYSTEM}),
    "GET /api/v1/retention/purges/{purge_id}": CONSOLE,
    "POST /api/v1/retention/purges/{purge_id}/confirm": frozenset({AUDITOR}),
    "POST /api/v1/retention/purges/{purge_id}/decline": frozenset({AUDITOR}),
    "POST /api/v1/retention/purges/{purge_id}/withdraw": frozenset({SYSTEM}),
    "GET /api/v1/boundary/rules": frozenset({SYSTEM, SECURITY, AUDITOR}),
    "POST /api/v1/boundary/check": frozenset({SECURITY}),
    "GET /api/v1/audit/events": frozenset({AUDITOR}),
    "GET /api/v1/audit/state": frozenset({SYSTEM, SECURITY, AUDITOR}),
}

INVITE, DEVICE, ENGINEER = "an unused invite", "a trusted device", "an engineer signed in from a trusted device"

AT_THE_VENDOR: Final[dict[str, str]] = {
    "POST /vendor/v1/enrol": INVITE,
    "POST /vendor/v1/device/renewal": ENGINEER,
    "POST /vendor/v1/activation": DEVICE,
    "POST /vendor/v1/login": DEVICE,
    "POST /vendor/v1/logout": ENGINEER,
    "GET /vendor/v1/targets": ENGINEER,
    "GET /vendor/v1/access-requests": ENGINEER,
    "POST /vendor/v1/access-requests": ENGINEER,
    "GET /vendor/v1/access-requests/{request_id}": ENGINEER,
    "POST /vendor/v1/access-requests/{request_id}/withdraw": ENGINEER,
    "GET /vendor/v1/grants": ENGINEER,
    "POST /vendor/v1/grants/{grant_id}/ssh-certificate": ENGINEER,
    "POST /vendor/v1/grants/{grant_id}/finish": ENGINEER,
    "GET /vendor/v1/receipts/due": DEVICE,
    "POST /vendor/v1/receipts": DEVICE,
}

_ANY_ID: Final = "x_00000000000000000000000000"


def routes_of(app: FastAPI) -> set[str]:
    """Every route that the application's routers serve, `METHOD /path`."""
    return {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}


@dataclass(frozen=True)
class Site:
    """One control plane with somebody of every role."""

    house: House
    plant: FastAPI
    vendor: FastAPI
    cookies: dict[Role, tuple[str, str]]
    engineer: VendorConnection
    invite: VendorConnection
    token: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    settings = parse(
        {
            "site": {"name": "demo", "state_dir": str(folder / "state"), "run_dir": str(folder / "run")},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    migrations.upgrade(Layout.of(settings).database_url(settings))
    with wiring.opened(settings) as house:
        now = house.clock.now()
        people = {role: a_person(house.database, role=role, at=now) for role in Role}
        built = a_device(
            house.database,
            Sealer(bytes(32)),
            some_authorities(),
            person_id=people[Role.VENDOR_ENGINEER].id,
            invited_by=people[PLANT].id,
            at=now,
        )
        connection = a_vendor_connection(built.device.id, built.device.certificate_der)
        with house.database.unit_of_work() as unit:
            unit.session.add(_vendor_sign_in(people[Role.VENDOR_ENGINEER].id, connection, "token", now))
        yield Site(
            house,
            faces.plant_face(house),
            faces.vendor_face(house),
            {role: a_console_session(house.database, person, now) for role, person in people.items()},
            connection,
            replace(connection, device_id="inv_00000000000000000000000000"),
            "token",
        )


def _vendor_sign_in(person_id: str, connection: VendorConnection, token: str, now: datetime) -> SignInRow:
    return SignInRow(
        id=new_id("sgn", now),
        face=Face.VENDOR,
        token_hash=token_hash(token),
        person_id=person_id,
        csrf_token="-",
        device_id=connection.device_id,
        certificate_sha256=hashlib.sha256(connection.certificate_der).digest(),
        source=connection.source,
        started_at=now,
        last_seen_at=now,
    )


def test_every_route_of_both_faces_has_its_line_and_every_line_its_route(site: Site) -> None:
    assert routes_of(site.plant) == set(AT_THE_PLANT)
    assert routes_of(site.vendor) == set(AT_THE_VENDOR)


def _asked(app: FastAPI, route: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    method, path = route.split(" ", 1)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
    answer = client.request(method, re.sub(r"{[^}]+}", _ANY_ID, path), headers=headers or {})
    is_problem = answer.headers.get("Content-Type", "").startswith("application/problem+json")
    return answer.status_code, answer.json()["code"] if is_problem else ""


def _headers(site: Site, role: Role) -> dict[str, str]:
    cookie, csrf = site.cookies[role]
    return {"Cookie": f"{COOKIE}={cookie}", CSRF_HEADER: csrf}


@pytest.mark.parametrize("route", sorted(AT_THE_PLANT))
def test_nobody_who_is_not_signed_in_calls_a_route_of_the_plant(site: Site, route: str) -> None:
    status, code = _asked(site.plant, route)
    if AT_THE_PLANT[route] is ANYBODY:
        assert code != "not_signed_in"
        return
    assert (status, code) == (401, "not_signed_in")
    forged = {"Cookie": f"{COOKIE}=guess", "Authorization": f"Bearer {site.token}", "X-Role": "system_administrator"}
    assert _asked(site.plant, route, forged) == (401, "not_signed_in")


@pytest.mark.exhaustive
@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
@pytest.mark.parametrize("route", sorted(set(AT_THE_PLANT) - {"DELETE /api/v1/session"}))
def test_a_role_calls_what_the_table_says_and_nothing_else(site: Site, route: str, role: Role) -> None:
    allowed = AT_THE_PLANT[route]
    status, code = _asked(site.plant, route, _headers(site, role))
    if allowed is ANYBODY or role in allowed:
        assert code not in {"identities.not_permitted", "not_signed_in", "identities.csrf_mismatch"}, (status, code)
        assert status != 500
    else:
        assert (status, code) == (403, "identities.not_permitted")


@pytest.mark.exhaustive
@pytest.mark.parametrize("route", sorted(route for route in AT_THE_PLANT if not route.startswith("GET ")))
def test_a_page_of_somebody_else_cannot_make_a_signed_in_persons_browser_act(site: Site, route: str) -> None:
    if AT_THE_PLANT[route] is ANYBODY:
        return
    for role in Role:
        headers = {**_headers(site, role), CSRF_HEADER: site.cookies[AUDITOR if role is not AUDITOR else PLANT][1]}
        assert _asked(site.plant, route, headers) == (403, "identities.csrf_mismatch")


def _at_the_vendor(site: Site, connection: VendorConnection | None) -> FastAPI:
    app = faces.vendor_face(site.house)

    @app.middleware("http")
    async def _connection(request: Request, call_next):  # type: ignore[no-untyped-def]
        if connection is not None:
            request.state.vendor = connection
        return await call_next(request)

    return app


@pytest.mark.parametrize("route", sorted(AT_THE_VENDOR))
def test_the_vendor_face_asks_for_device_and_engineer(site: Site, route: str) -> None:
    needs, bearer = AT_THE_VENDOR[route], {"Authorization": f"Bearer {site.token}"}
    refused = (403, "device_not_trusted")
    assert _asked(_at_the_vendor(site, None), route, bearer) == refused
    with_invite = _asked(_at_the_vendor(site, site.invite), route, bearer)
    assert (with_invite[1] in {"invalid", "devices.invite_refused"}) if needs is INVITE else with_invite == refused
    device = _at_the_vendor(site, site.engineer)
    without, signed_in = _asked(device, route), _asked(device, route, bearer)
    if needs is INVITE:
        assert without == signed_in == (403, "devices.not_an_invite")
        return
    assert (without == (401, "not_signed_in")) is (needs is ENGINEER)
    if route != "POST /vendor/v1/logout":
        assert signed_in[1] not in {"not_signed_in", "device_not_trusted"}, signed_in
        assert signed_in[0] != 500


@pytest.mark.exhaustive
@pytest.mark.parametrize("role", sorted(CONSOLE, key=lambda role: role.value), ids=lambda role: role.value)
@pytest.mark.parametrize("route", sorted(route for route, needs in AT_THE_VENDOR.items() if needs == ENGINEER))
def test_a_console_session_opens_nothing_at_the_vendor_face(site: Site, route: str, role: Role) -> None:
    cookie, _ = site.cookies[role]
    device = _at_the_vendor(site, site.engineer)
    headers = {**_headers(site, role), "Authorization": f"Bearer {cookie}"}
    assert _asked(device, route, headers) == (401, "not_signed_in")


@pytest.mark.exhaustive
@pytest.mark.parametrize("route", sorted(AT_THE_VENDOR))
def test_another_device_or_certificate_is_nobody(site: Site, route: str) -> None:
    if AT_THE_VENDOR[route] is INVITE:
        return
    bearer = {"Authorization": f"Bearer {site.token}"}
    for other in (
        replace(site.engineer, device_id="dev_00000000000000000000000000"),
        replace(site.engineer, certificate_der=b"another certificate"),
    ):
        status, code = _asked(_at_the_vendor(site, other), route, bearer)
        if AT_THE_VENDOR[route] is ENGINEER:
            assert (status, code) == (401, "not_signed_in")
        else:
            assert code in {"device_not_trusted", "invalid"}
