from broker.grants.jobs import expire
from tests.unit.broker.sessions.plant import Plant


def test_everything_over_expires_in_one_call(plant: Plant) -> None:
    for _ in range(3):
        plant.a_grant()
    plant.pass_time(days=1)
    assert expire(plant.grants) == 3
    assert expire(plant.grants) == 0
