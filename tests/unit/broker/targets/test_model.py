from broker.targets.testing import a_target
from tests.unit.broker.identities.world import World


def test_a_target_knows_its_accounts_by_name(world: World) -> None:
    target = a_target(world.database, accounts=("maint", "operator"))
    found = target.account_named("operator")
    assert found is not None
    assert found.target_id == target.id
    assert target.account_named("root") is None


def test_a_target_is_in_use_until_it_is_retired(world: World) -> None:
    target = a_target(world.database)
    assert not target.is_retired
    assert world.targets.retire("psn_sec", target.id).is_retired
