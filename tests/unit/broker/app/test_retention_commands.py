"""`sallyport recordings holds|purges|purge|tombstones|forecast`, against the console's real routes."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from starlette.testclient import TestClient
from typer.testing import CliRunner

from broker.app import console_client, retention_commands
from broker.app.commands import app
from broker.identities.access import COOKIE
from broker.identities.testing import a_console_session
from broker.recordings import retention_api
from broker.recordings.forecast import Space
from broker.recordings.forecasting import Forecasting
from recorder.tombstone import read_line
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.recordings.old import KEEP, PUBLIC, Archive, an_archive
from tests.unit.broker.sessions.plant import a_plant

Run = Callable[..., Result]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    plant = a_plant(tmp_path)
    yield an_archive(plant)
    plant.world.database.close()


@pytest.fixture
def space() -> list[Space | None]:
    return [Space(1 << 40, 1 << 39, 1 << 26)]


@pytest.fixture
def run(archive: Archive, space: list[Space | None], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as an auditor who is signed in."""
    world = archive.plant.world

    def disk() -> Space:
        if space[0] is None:
            raise OSError("gone")
        return space[0]

    forecasting = Forecasting(world.database, world.clock, space=disk, keep=KEEP)
    router = retention_api.plant_router(
        archive.holding, archive.purging, archive.removals, forecasting, world.people, world.plant_access
    )
    client: TestClient = an_application(router)

    def get(_session: object, path: str) -> bytes:
        cookie, _ = a_console_session(world.database, archive.auditor, world.clock.now())
        client.cookies.set(COOKIE, cookie)
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.content

    monkeypatch.setattr(console_client, "load", lambda _: None)
    monkeypatch.setattr(console_client, "get", get)
    return lambda *words: CliRunner().invoke(app, ["recordings", *words])


def test_the_forecast_is_said_in_lines_and_as_it_is(archive: Archive, run: Run, space: list[Space | None]) -> None:
    archive.recorded()
    said = run("forecast")
    assert said.exit_code == 0
    assert "level         good" in said.output
    assert "of the 180 that are needed" in said.output
    assert json.loads(run("forecast", "--json").output)["forecast"]["keep_days"] == 180
    space[0] = None
    archive.plant.world.clock.move(timedelta(minutes=2))
    assert run("forecast").exit_code == 1


def test_holds_that_stand_are_listed(archive: Archive, run: Run) -> None:
    (held, other) = archive.old(2)
    archive.holding.place_hold(archive.auditor.id, held, "accident of line 3")
    lifted = archive.holding.place_hold(archive.auditor.id, other, "case 7")
    archive.holding.lift_hold(archive.security.id, lifted.id, "over")
    (line,) = run("holds").output.splitlines()
    assert line.startswith(f"{held}  ")
    assert line.endswith(f"{archive.auditor.display_name}: accident of line 3")
    assert json.loads(run("holds", "--json").output)["recording_id"] == held


def test_purges_are_listed_with_their_exact_list(archive: Archive, run: Run) -> None:
    first, second = archive.old(2)
    purge_id, reviewed = archive.asked([first, second])
    archive.holding.place_hold(archive.auditor.id, second, "case 7")
    (line,) = run("purges", "--state", "asked").output.splitlines()
    assert line.startswith(f"{purge_id}  asked  2 recordings")
    assert run("purges", "--state", "lapsed").output == ""
    head, name, *items = run("purge", purge_id).output.splitlines()
    assert (head, name) == (line, f"list {reviewed.hex()}")
    assert [one.split("  ")[0::2] for one in items] == [[first, "may be destroyed"], [second, "on_hold"]]
    assert json.loads(run("purge", purge_id, "--json").output)["purge"]["id"] == purge_id


def test_tombstones_are_listed_and_their_signed_lines_come_out_whole(archive: Archive, run: Run) -> None:
    ids = archive.purged(2)
    archive.asked(archive.old())
    lines = run("tombstones").output.splitlines()
    assert [line.split("  ")[0] for line in lines] == ids
    assert all(line.endswith("its file is still there") for line in lines)
    signed = run("tombstones", "--json").output.splitlines()
    assert [read_line(line.encode(), PUBLIC).recording_id for line in signed] == ids


def test_lists_are_read_page_by_page_up_to_a_bound(archive: Archive, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_commands, "_PAGE", 2)
    monkeypatch.setattr(retention_commands, "_MOST", 6)
    (recording,) = archive.old()
    for number in range(5):
        archive.holding.place_hold(archive.auditor.id, recording, f"case {number}")
    assert len(run("holds").output.splitlines()) == 5
    for number in range(5):
        archive.holding.place_hold(archive.auditor.id, recording, f"more {number}")
    too_many = run("holds")
    assert too_many.exit_code == 1
    assert "more than 6" in str(too_many.exception)


@pytest.mark.parametrize("words", [("purges", "--state", "x"), ("purge", "../people"), ("purge", "prg_1?x=1")])
def test_what_is_no_state_or_id_is_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 1


def test_nobody_signed_in_reads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    refused = CliRunner().invoke(app, ["recordings", "holds"])
    assert refused.exit_code == 1
    assert "sign-in" in str(refused.exception)
