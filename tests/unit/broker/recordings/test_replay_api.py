"""Replay by chunks over HTTP."""

from pathlib import Path

from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.recordings import replay_api
from broker.recordings.replaying import Replaying
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.recordings.files import open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def console(plant: Plant, role: Role, folder: Path) -> TestClient:
    router = replay_api.plant_router(Replaying(plant.recordings, folder), plant.world.plant_access)
    client = an_application(router)
    cookie, csrf = a_console_session(plant.world.database, plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_an_auditor_gets_times_and_chunks(plant: Plant, tmp_path: Path) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    client = console(plant, Role.AUDITOR, tmp_path)
    body = client.get(f"/recordings/{recorded.recording_id}/timeline").json()
    assert (body["state"], body["columns"], body["rows"], body["duration_ms"]) == ("ready", 100, 30, 6)
    assert (body["chunks"], body["silences"]) == ([2], [])
    answer = client.get(f"/recordings/{recorded.recording_id}/chunks/0")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["events"] == [[2, "o", "你好\r\n"], [6, "o", "bye\r\n"]]
    assert client.get(f"/recordings/{recorded.recording_id}/chunks/1").status_code == 404


def test_who_may_not_replay_gets_neither(plant: Plant, tmp_path: Path) -> None:
    recorded = open_recording_of(plant)
    client = console(plant, Role.PLANT_ADMIN, tmp_path)
    for path in ("timeline", "chunks/0"):
        assert client.get(f"/recordings/{recorded.recording_id}/{path}").status_code == 403
