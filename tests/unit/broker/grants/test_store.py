import pytest
from sqlalchemy.exc import IntegrityError

from broker.grants import store
from broker.grants.store import GrantRow
from broker.kernel.ids import new_id
from tests.unit.broker.sessions.plant import Plant


def test_the_database_refuses_a_second_grant_of_a_request(plant: Plant) -> None:
    grant = plant.a_grant()
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        row = unit.session.get(GrantRow, grant.id)
        assert row is not None
        unit.session.add(GrantRow(**(row.model_dump() | {"id": new_id("grt", plant.world.clock.now())})))


def test_a_grant_is_read_as_it_was_written(plant: Plant) -> None:
    grant = plant.a_grant()
    with plant.world.database.reading() as session:
        assert store.by_request(session, grant.request_id) == grant
        assert store.by_request(session, "req_x") is None
        assert store.certificate(session, 1) is None
        assert store.over(session, plant.world.clock.now(), 5) == []
