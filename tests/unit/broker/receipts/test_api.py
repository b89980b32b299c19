import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session, a_vendor_connection
from broker.receipts import api
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.receipts.giving import Giving, giving
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def site(plant: Plant) -> Giving:
    return giving(plant)


def laptop(site: Giving) -> TestClient:
    """A connection with the device's certificate, and nobody signed in."""
    device = site.plant.laptop.device
    connection = a_vendor_connection(device.id, device.certificate_der)
    return an_application(api.vendor_router(site.receipts, site.plant.world.vendor_access), connection=connection)


def console(site: Giving, role: Role) -> TestClient:
    client = an_application(api.plant_router(site.receipts, site.plant.world.plant_access))
    cookie, csrf = a_console_session(site.plant.world.database, site.plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_a_laptop_reads_what_is_due_and_gives_its_receipt(site: Giving) -> None:
    recorded = site.recorded()
    client = laptop(site)
    (item,) = client.get("/receipts/due").json()["items"]
    (due,) = site.due()
    assert item == {name: getattr(due, name) for name in due.__dataclass_fields__}
    auditor = console(site, Role.AUDITOR)
    path = f"/sessions/{recorded.session_id}/receipt"
    assert auditor.get(path).json() == {"state": "awaited", "at": None, "refusal": None, "receipt": None}
    line = site.signed(due).line.decode()
    taken = client.post("/receipts", json={"receipt": line})
    assert (taken.status_code, taken.json()) == (201, {"session_id": recorded.session_id, "state": "received"})
    shown = auditor.get(path).json()
    assert (shown["state"], shown["receipt"]) == ("received", line)
    refused = client.post("/receipts", json={"receipt": "{}"})
    assert (refused.status_code, refused.json()["code"]) == (422, "sessions.receipt_unreadable")


def test_a_missing_receipt_is_shown(site: Giving) -> None:
    recorded = site.recorded()
    site.plant.pass_time(minutes=15)
    site.receipts.enter_missing()
    shown = console(site, Role.PLANT_ADMIN).get(f"/sessions/{recorded.session_id}/receipt").json()
    assert (shown["state"], shown["receipt"]) == ("missing", None)
    assert console(site, Role.SYSTEM_ADMINISTRATOR).get(f"/sessions/{recorded.session_id}/receipt").status_code == 403
