import json

import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.recordings import api
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.recordings.files import open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def console(plant: Plant, role: Role) -> TestClient:
    client = an_application(api.plant_router(plant.recordings, plant.world.plant_access))
    cookie, csrf = a_console_session(plant.world.database, plant.world.somebody(role))
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_an_auditor_reads_replays_and_finds(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    seal(plant, recorded)
    client = console(plant, Role.AUDITOR)
    body = client.get(f"/recordings/{recorded.recording_id}").json()
    assert (body["state"], body["session_id"], body["frames"]) == ("sealed", recorded.session_id, 6)
    assert (body["width"], body["height"], body["duration_ms"]) == (100, 30, 6)
    assert body["verification"] == {
        "state": "verified",
        "checked_at": "2026-11-20T12:00:00Z",
        "first_bad": None,
        "kind": None,
        "heads": 1,
        "trail": "not_witnessed",
    }
    replay = client.get(f"/recordings/{recorded.recording_id}/cast")
    assert replay.headers["content-type"].startswith("application/x-asciicast")
    assert replay.headers["cache-control"] == "no-store"
    lines = [json.loads(line) for line in replay.text.splitlines()]
    assert lines[0]["width"] == 100
    assert [line[2] for line in lines[1:] if line[1] == "o"] == ["你好\r\n", "bye\r\n"]
    events = client.get(f"/recordings/{recorded.recording_id}/events").json()["items"]
    assert events[-1] == {
        "at_ms": 5,
        "kind": "session.command.blocked",
        "text": "rm -rf /srv/data",
        "rule_id": "r7",
    }
    assert plant.codes().count("recordings.recording.replayed") == 2


@pytest.mark.parametrize(
    ("role", "reads", "replays"),
    [
        (Role.PLANT_ADMIN, 404, 403),
        (Role.AUDITOR, 404, 404),
        (Role.SECURITY_ADMINISTRATOR, 403, 403),
        (Role.SYSTEM_ADMINISTRATOR, 403, 403),
        (Role.VENDOR_ENGINEER, 403, 403),
    ],
)
def test_each_role_may_do_just_what_it_may(plant: Plant, role: Role, reads: int, replays: int) -> None:
    client = console(plant, role)
    assert client.get("/recordings/rec_x").status_code == reads
    assert client.get("/recordings/rec_x/cast").status_code == replays
    assert client.get("/recordings/rec_x/events").status_code == replays


def test_nobody_reads_without_signing_in(plant: Plant) -> None:
    client = console(plant, Role.AUDITOR)
    client.cookies.clear()
    assert client.get("/recordings/rec_x/cast").status_code == 401
