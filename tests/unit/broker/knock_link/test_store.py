from dataclasses import replace
from datetime import timedelta

from broker.identities.testing import NOON
from broker.knock_link import store
from broker.knock_link.model import KnockFact
from tests.unit.broker.identities.world import World

FACT = KnockFact("00" * 12, "dev_1", 2, "grt_1", "203.0.113.7", 8, NOON, bytes(176))


def test_a_knock_is_stored_once(world: World) -> None:
    with world.database.unit_of_work() as unit:
        assert store.add(unit.session, FACT)
    with world.database.unit_of_work() as unit:
        assert not store.add(unit.session, replace(FACT, address="198.51.100.1"))
    with world.database.reading() as session:
        assert store.find(session, FACT.knock_id) == FACT
        assert store.find(session, "11" * 12) is None


def test_the_latest_knock_of_a_device_is_found(world: World) -> None:
    newer = replace(FACT, knock_id="11" * 12, at=NOON + timedelta(seconds=5))
    with world.database.unit_of_work() as unit:
        store.add(unit.session, newer)
        store.add(unit.session, FACT)
    with world.database.reading() as session:
        assert store.latest_of_device(session, "dev_1") == newer
        assert store.latest_of_device(session, "dev_2") is None
