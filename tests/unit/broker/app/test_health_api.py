from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from broker.adapters.opener import OpenerStatus
from broker.app import faces
from broker.app.house import House
from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session, a_person
from broker.knock_link.model import GuardStatus, LinkHealth

STATUS = OpenerStatus(
    rules_are_whole=False,
    counters={},
    windows=(),
    windows_total=2,
    ways=(),
    ways_total=1,
    revoked_total=0,
    used_nonces_total=0,
)


def console(house: House, role: Role) -> TestClient:
    client = TestClient(faces.plant_face(house), base_url="https://testserver")
    now = house.clock.now()
    cookie, _ = a_console_session(house.database, a_person(house.database, role=role), at=now)
    client.cookies.set(COOKIE, cookie)
    return client


def test_a_site_whose_parts_do_not_run_says_which(house: House) -> None:
    answer = console(house, Role.PLANT_ADMIN).get("/api/v1/health").json()
    assert {part["name"]: part["ready"] for part in answer["parts"]} == {
        "audit": True,
        "control": True,
        "database": True,
        "gateway": False,
        "guard": False,
        "opener": False,
    }
    assert (answer["guard"], answer["firewall"], answer["gateway_workers"]) == (None, None, [])
    assert answer["trail"]["records_behind"] == answer["trail"]["last_seq"] - answer["trail"]["witnessed_seq"]
    assert 0 < answer["recordings"]["free_bytes"] <= answer["recordings"]["size_bytes"]
    assert answer["forecast"]["keep_days"] == 180
    ends = {one["name"]: datetime.fromisoformat(one["ends_at"]) for one in answer["certificates"]}
    assert ends["console"] - datetime.now(UTC) > timedelta(days=30)


def test_the_guard_is_shown_as_it_last_spoke(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    said_at = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    status = GuardStatus("armed", 7, {"accepted": 3, "refused_replay": 1}, (62201,), said_at)
    known = replace(
        house,
        knock_link=SimpleNamespace(health=lambda: LinkHealth(True, status, 8)),
        authority=SimpleNamespace(workers=frozenset({"gateway-1"})),
        opener=SimpleNamespace(status=lambda: STATUS),
    )
    monkeypatch.setattr(House, "plant_routers", lambda _: [])
    answer = console(known, Role.AUDITOR).get("/api/v1/health").json()
    assert all(part["ready"] for part in answer["parts"])
    assert answer["guard"]["counters"] == {"accepted": 3, "refused_replay": 1}
    assert (answer["guard"]["roster_version"], answer["guard"]["roster_sent"]) == (7, 8)
    assert answer["gateway_workers"] == ["gateway-1"]
    assert answer["firewall"] == {"is_whole": False, "windows": 2, "ways": 1}


@pytest.mark.parametrize("role", list(Role))
def test_only_people_of_the_plant_read_it(house: House, role: Role) -> None:
    expected = 403 if role is Role.VENDOR_ENGINEER else 200
    assert console(house, role).get("/api/v1/health").status_code == expected
