"""The trail cannot be written: a disk that is really full, a server that is really read-only."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from broker.kernel.errors import Unavailable
from broker.policy.model import Deny
from broker.sessions.model import Admitted, SessionState
from tests.contract import postgres as servers
from tests.contract.postgres import Postgres
from tests.unit.broker.sessions.plant import GATEWAY, Plant, a_plant

postgres = servers.postgres


@dataclass(frozen=True)
class Failing:
    """A plant whose database can be made unable to write, and able again."""

    plant: Plant
    stop: Callable[[], None]
    heal: Callable[[], None]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Failing]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=True)
    filler = disk / "filler"

    def fill() -> None:
        try:
            with filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            pass

    try:
        plant = a_plant(tmp_path, f"sqlite:///{disk / 'sallyport.db'}")
        try:
            yield Failing(plant, fill, lambda: filler.unlink())
        finally:
            plant.world.database.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def read_only_server(tmp_path: Path, postgres: Postgres) -> Iterator[Failing]:
    url = postgres.new_database()
    plant = a_plant(tmp_path, url)

    def say(value: str) -> None:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'))
        engine.dispose()
        plant.world.database.engine.dispose()

    yield Failing(plant, lambda: say("on"), lambda: say("off"))
    plant.world.database.close()


@pytest.fixture(params=["full_disk", "read_only_server"])
def failing(request: pytest.FixtureRequest) -> Failing:
    made: Failing = request.getfixturevalue(request.param)
    return made


def _until_it_shows(plant: Plant) -> None:
    # What periodic work does every few seconds; each heartbeat takes a page at most, so a full disk shows soon.
    for _ in range(200):
        if not plant.trail.probe():
            return
    raise AssertionError("the trail is said to be writable")


def test_no_session_begins_while_the_trail_cannot_be_written_and_what_runs_goes_on(failing: Failing) -> None:
    plant = failing.plant
    assert plant.trail.probe()
    grant = plant.a_grant()
    live, waiting = plant.admitted(grant), plant.admitted(grant)
    plant.lease(live)
    connection = plant.a_client(grant).connect()
    before = len(plant.world.trail())

    failing.stop()
    _until_it_shows(plant)
    assert not plant.trail.is_writable
    answer = plant.sessions.admit(connection)
    assert isinstance(answer, Deny)
    assert answer.code == "audit_unavailable"
    with pytest.raises(Unavailable) as refusal:
        plant.lease(waiting)
    assert refusal.value.code == "audit_unavailable"
    assert plant.sessions.renew(GATEWAY, live.session_id) > plant.world.clock.now()
    assert plant.sessions.get(live.session_id).record.state is SessionState.LIVE
    with pytest.raises(DBAPIError):
        plant.grants.revoke(plant.approver.id, grant.id, "what cannot be told is not done")
    assert len(plant.world.trail()) == before

    failing.heal()
    assert plant.trail.probe()
    assert plant.trail.is_writable
    assert isinstance(plant.sessions.admit(connection), Admitted)
    plant.lease(waiting)
    codes = [one.code for one in plant.world.trail()[before:]]
    assert codes[0] == "audit.trail.writable"
    assert "sessions.session.admitted" in codes
