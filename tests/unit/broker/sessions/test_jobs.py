from broker.sessions.jobs import close_overdue
from tests.unit.broker.sessions.plant import Plant


def test_overdue_sessions_are_closed(plant: Plant) -> None:
    plant.admitted()
    plant.pass_time(minutes=2)
    assert close_overdue(plant.reports) == 1
    assert close_overdue(plant.reports) == 0
