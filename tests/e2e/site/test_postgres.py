"""A site whose database is PostgreSQL, which is restarted, and crashes, while somebody works: nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from broker.sessions.events import ReportGap
from deploy.demo.plant_api import text_of
from tests.contract import postgres
from tests.e2e.site.street import StreetLab
from tests.e2e.site.world import ADA, SECONDS, World, answers, wait_until

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with postgres.running() as one:
        one.folder.chmod(0o711)  # control, another user, reaches the socket in it
        yield one


@pytest.fixture(scope="module")
def on_postgres(server: postgres.Postgres) -> Iterator[World]:
    with StreetLab() as lab:
        world = World(lab, {"site": {"database_url": server.new_database()}})
        world.settle(ADA)
        world.grant(ADA)
        yield world


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_session_outlives_its_database_and_its_events_arrive_once(
    on_postgres: World, server: postgres.Postgres, mode: str
) -> None:
    world = on_postgres
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        server.stop(mode)
        try:
            assert answers(shell, "without-a-database")
            shell.type("rm -rf /srv/data\n")
            shell.expect("blocked", SECONDS)
            refused = world.ssh(ADA, "true")
            assert refused.returncode == 255, "nobody new comes in"
        finally:
            server.start()
        assert answers(shell, "and-with-it")
        world.all_is_well()
        wait_until(lambda: world.ssh(ADA, "true").returncode == 0, "new sessions begin again")
        shell.type("exit\n")
        shell.wait(SECONDS)
    closed = world.closed(session)
    assert (closed["end_reason"], closed["commands_blocked"]) == ("client_left", 1)
    session_id = text_of(session, "id")
    for code in ("sessions.command.blocked", "sessions.session.started", "sessions.session.ended"):
        assert len(world.events(code, session_id)) == 1, code
    assert world.events(ReportGap.code) == []
    world.recording_is(session, "sealed")
    world.trail_is_whole()
