from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from fastapi import FastAPI, HTTPException
from sqlmodel import SQLModel
from starlette.testclient import TestClient

from broker.adapters.db.database import Database
from broker.audit import api
from broker.audit.model import AuditEvent
from broker.audit.store import AuditEventRow, EventAppender
from broker.kernel.clock import StandingClock
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class ThingSeen(AuditEvent):
    """Something for the tests of the trail's API."""

    code: ClassVar[str] = "audit.api_test.seen"
    number: Public[int]


@dataclass(frozen=True, kw_only=True)
class ThingGone(AuditEvent):
    """Something else."""

    code: ClassVar[str] = "audit.api_test.gone"


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


@pytest.fixture
def database(tmp_path: Path, clock: StandingClock) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'trail.db'}", EventAppender(clock))
    SQLModel.metadata.create_all(made.engine)
    with made.unit_of_work() as unit:
        for number in range(5):
            unit.emit(ThingSeen(actor="psn_1", subject=f"thing_{number % 2}", number=number))
        unit.emit(ThingGone(actor="psn_1", subject="thing_0"))
    yield made
    made.close()


def _allowed() -> None:
    """Whoever asks may."""


def _refused() -> None:
    raise HTTPException(403)


def _client(database: Database, clock: StandingClock, *access: api.Access) -> TestClient:
    application = FastAPI()
    application.include_router(api.plant_router(database, clock, *(access or (_allowed,))))
    return TestClient(application, base_url="https://console.test")


def test_records_come_newest_first_in_pages(database: Database, clock: StandingClock) -> None:
    client = _client(database, clock)
    first = client.get("/audit/events?limit=4").json()
    assert [item["seq"] for item in first["items"]] == [6, 5, 4, 3]
    assert first["items"][1] | {"hash": ""} == {
        "seq": 5,
        "at": "2026-11-20T12:00:00Z",
        "code": "audit.api_test.seen",
        "actor": "psn_1",
        "subject": "thing_0",
        "params": {"number": 4},
        "hash": "",
    }
    rest = client.get(f"/audit/events?limit=4&cursor={first['next_cursor']}").json()
    assert ([item["seq"] for item in rest["items"]], rest["next_cursor"]) == ([2, 1], None)


def test_records_are_found_by_code_beginning_and_subject(database: Database, clock: StandingClock) -> None:
    client = _client(database, clock)
    assert len(client.get("/audit/events?code=audit.api_test.gone").json()["items"]) == 1
    assert len(client.get("/audit/events?code=audit.api_test.*").json()["items"]) == 6
    assert [i["seq"] for i in client.get("/audit/events?subject=thing_1").json()["items"]] == [4, 2]
    assert client.get("/audit/events?code=%25").status_code == 422


def test_the_state_names_head_and_the_first_record_that_does_not_fit(database: Database, clock: StandingClock) -> None:
    client = _client(database, clock)
    good = client.get("/audit/state").json()
    assert (good["last_seq"], good["verified"], good["broken_at"]) == (6, True, None)
    assert len(good["head"]) == 64
    with database.unit_of_work() as unit:
        row = unit.session.get(AuditEventRow, 3)
        assert row is not None
        row.actor = "psn_2"
        unit.session.add(row)
    assert client.get("/audit/state").json() == good
    clock.move(timedelta(seconds=60))
    bad = client.get("/audit/state").json()
    assert (bad["verified"], bad["broken_at"], bad["broken_how"]) == (False, 3, "altered")


def test_each_access_guards_its_own(database: Database, clock: StandingClock) -> None:
    refused = _client(database, clock, _refused)
    assert [refused.get(f"/audit/{what}").status_code for what in ("events", "state")] == [403, 403]
    state_only = _client(database, clock, _refused, _allowed)
    assert [state_only.get(f"/audit/{what}").status_code for what in ("events", "state")] == [403, 200]
