import json
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from broker.identities.access import COOKIE
from broker.identities.model import Person
from broker.identities.testing import a_console_session
from broker.recordings import retention_api
from broker.recordings.forecast import Space
from broker.recordings.forecasting import Forecasting
from recorder.tombstone import read_line
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.recordings.old import KEEP, PUBLIC, Archive, an_archive
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def archive(plant: Plant) -> Archive:
    return an_archive(plant)


def a_disk() -> Space:
    return Space(1 << 40, 1 << 39, 1 << 26)


def no_disk() -> Space:
    raise OSError("gone")


def console(archive: Archive, person: Person, space: Callable[[], Space] = a_disk) -> TestClient:
    world = archive.plant.world
    forecasting = Forecasting(world.database, world.clock, space=space, keep=KEEP)
    router = retention_api.plant_router(
        archive.holding, archive.purging, archive.removals, forecasting, world.people, world.plant_access
    )
    client = an_application(router)
    cookie, csrf = a_console_session(world.database, person, world.clock.now())
    client.cookies.set(COOKIE, cookie)
    client.headers["X-CSRF-Token"] = csrf
    return client


def test_one_asks_another_reviews_the_list_and_confirms_it(archive: Archive) -> None:
    ids = archive.old(2)
    system, auditor = console(archive, archive.system), console(archive, archive.auditor)
    over = system.get("/retention/recordings").json()
    assert [one["recording_id"] for one in over["items"]] == ids
    assert (over["keep_days"], over["next_cursor"]) == (180, None)
    assert {one["barrier"] for one in over["items"]} == {None}
    asked = system.post("/retention/purges", json={"recording_ids": ids, "reason": "last year"})
    assert asked.status_code == 201
    purge = asked.json()
    assert (purge["state"], purge["recordings"], purge["asked_by"]["id"]) == ("asked", 2, archive.system.id)
    assert {one["waits_in"] for one in system.get("/retention/recordings").json()["items"]} == {purge["id"]}
    own = system.post(f"/retention/purges/{purge['id']}/confirm", json={"list_sha256": purge["list_sha256"]})
    assert (own.status_code, own.json()["code"]) == (403, "identities.not_permitted")
    reviewed = auditor.get(f"/retention/purges/{purge['id']}").json()
    assert [one["recording_id"] for one in reviewed["items"]] == ids
    listed = reviewed["purge"]["list_sha256"]
    done = auditor.post(f"/retention/purges/{purge['id']}/confirm", json={"list_sha256": listed}).json()
    assert (done["state"], done["decided_by"]["display_name"]) == ("confirmed", archive.auditor.display_name)
    (one, _) = auditor.get(f"/retention/purges/{purge['id']}").json()["items"]
    assert read_line(one["destroyed"]["tombstone"].encode(), PUBLIC).reason == "last year"
    assert (one["barrier"], one["waits_in"]) == ("already_purged", None)
    assert auditor.get("/retention/purges", params={"state": "confirmed"}).json()["items"][0]["id"] == purge["id"]


def test_who_may_not_see_sessions_is_not_told_whose_they_were(archive: Archive) -> None:
    (recording_id,) = archive.old()
    path = f"/retention/recordings/{recording_id}"
    seen = console(archive, archive.auditor).get(path).json()["session"]
    assert (seen["person"], seen["target"]) == (archive.plant.engineer.display_name, archive.plant.target.name)
    for other in (archive.system, archive.security):
        assert console(archive, other).get(path).json()["session"] is None


def test_a_hold_is_placed_by_one_and_lifted_by_another(archive: Archive) -> None:
    (recording_id,) = archive.old()
    auditor, security = console(archive, archive.auditor), console(archive, archive.security)
    placed = auditor.post(f"/recordings/{recording_id}/holds", json={"reason": "case 7"})
    assert placed.status_code == 201
    hold = placed.json()
    assert security.get("/retention/holds").json()["items"] == [hold]
    assert auditor.post(f"/retention/holds/{hold['id']}/lift", json={"reason": "mine"}).status_code == 403
    assert security.post(f"/recordings/{recording_id}/holds", json={"reason": "x"}).status_code == 403
    asked = console(archive, archive.system).post(
        "/retention/purges", json={"recording_ids": [recording_id], "reason": "old"}
    )
    assert (asked.status_code, asked.json()["code"]) == (409, "recordings.purge_on_hold")
    lifted = security.post(f"/retention/holds/{hold['id']}/lift", json={"reason": "over"}).json()
    assert lifted["lifted_by"] == {"id": archive.security.id, "display_name": archive.security.display_name}


def test_a_purge_is_declined_or_withdrawn(archive: Archive) -> None:
    ids = archive.old()
    system, auditor = console(archive, archive.system), console(archive, archive.auditor)
    for client, verb, body, state in (
        (auditor, "decline", {"reason": "keep them"}, "declined"),
        (system, "withdraw", None, "withdrawn"),
    ):
        purge = system.post("/retention/purges", json={"recording_ids": ids, "reason": "old"}).json()
        other = system if client is auditor else auditor
        assert other.post(f"/retention/purges/{purge['id']}/{verb}", json=body).status_code == 403
        assert client.post(f"/retention/purges/{purge['id']}/{verb}", json=body).json()["state"] == state


@pytest.mark.parametrize(
    "body",
    [
        {"recording_ids": [], "reason": "x"},
        {"recording_ids": ["rec_1"] * 501, "reason": "x"},
        {"recording_ids": ["r" * 41], "reason": "x"},
        {"recording_ids": ["rec_1"], "reason": ""},
        {"recording_ids": ["rec_1"], "reason": "x" * 501},
        {"recording_ids": ["rec_1"]},
        {"recording_ids": ["rec_1"], "reason": "x", "more": 1},
    ],
)
def test_an_ask_is_bounded(archive: Archive, body: dict[str, object]) -> None:
    assert console(archive, archive.system).post("/retention/purges", json=body).status_code == 422


def test_pages_follow_each_other(archive: Archive) -> None:
    ids = archive.old(3)
    client = console(archive, archive.auditor)
    first = client.get("/retention/recordings", params={"limit": 2}).json()
    assert first["next_cursor"] == ids[1]
    second = client.get("/retention/recordings", params={"limit": 2, "cursor": ids[1]}).json()
    assert [one["recording_id"] for one in first["items"] + second["items"]] == ids
    assert json.dumps(second["next_cursor"]) == "null"


def test_the_outlook_and_what_waits(archive: Archive) -> None:
    ids = archive.purged(1)
    held = archive.recorded().recording_id
    archive.holding.place_hold(archive.auditor.id, held, "case")
    archive.holding.place_hold(archive.auditor.id, held, "another case")
    body = console(archive, archive.system).get("/retention/storage").json()
    assert (body["on_hold"], body["waiting_for_removal"]) == (1, len(ids))
    assert (body["forecast"]["keep_days"], body["forecast"]["free_bytes"]) == (180, 1 << 39)
    assert console(archive, archive.system, no_disk).get("/retention/storage").json()["forecast"] is None
