from broker.access_requests.jobs import lapse
from tests.unit.broker.access_requests.test_service import submitted
from tests.unit.broker.sessions.plant import Plant


def test_everything_overdue_lapses_in_one_call(plant: Plant) -> None:
    for _ in range(3):
        submitted(plant)
    plant.pass_time(days=2)
    assert lapse(plant.requests) == 3
    assert lapse(plant.requests) == 0
