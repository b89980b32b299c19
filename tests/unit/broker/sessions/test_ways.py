"""The gateway's ways to targets, by the sessions that lead there."""

from broker.sessions.model import Ended
from tests.unit.broker.sessions.plant import (
    GATEWAY,
    Plant,
)


def test_a_lease_opens_the_way_to_its_target_for_as_long_as_the_permit_holds(plant: Plant) -> None:
    ways: list[tuple[str, int, int]] = []
    plant.sessions.ways.on_lease(lambda address, port, seconds: ways.append((address, port, seconds)))
    plant.lease(plant.admitted())
    assert ways == [(plant.target.address, 22, 7200)]


def test_the_way_to_a_target_is_without_use_after_its_last_session(plant: Plant) -> None:
    one, two = plant.admitted(), plant.admitted()
    assert plant.sessions.ways.without_use(one.session_id) is None
    for admitted in (one, two):
        ended = Ended(admitted.session_id, "client_left", plant.world.clock.now(), None, None)
        plant.reports.ended(GATEWAY, "boot-1", 1 if admitted is one else 2, ended)
    assert plant.sessions.ways.without_use(one.session_id) == (plant.target.address, 22)


def test_the_way_lasts_as_long_as_the_longest_session_that_leads_there(plant: Plant) -> None:
    ways: list[int] = []
    plant.sessions.ways.on_lease(lambda _address, _port, seconds: ways.append(seconds))
    one = plant.admitted()
    assert plant.sessions.ways.in_use(one.session_id) is None
    plant.lease(one)
    plant.lease(plant.admitted())
    assert ways == [7200, 7200]
    assert plant.sessions.ways.in_use(one.session_id) == (plant.target.address, 22, 7200)


def test_no_way_is_kept_open_to_a_retired_target(plant: Plant) -> None:
    one, two = plant.admitted(), plant.admitted()
    for admitted in (one, two):
        plant.lease(admitted)
    assert plant.sessions.ways.leads_to(plant.target.address, plant.target.port)
    plant.world.targets.retire("psn_sec", plant.target.id)
    assert not plant.sessions.ways.leads_to(plant.target.address, plant.target.port)
    assert plant.sessions.ways.in_use(one.session_id) is None
