import pytest
from sqlalchemy.exc import IntegrityError

from broker.kernel.ids import new_id
from broker.targets import store
from broker.targets.testing import NOON, a_target, a_zone
from tests.unit.broker.identities.world import World


def test_a_target_lies_in_a_zone_that_exists(world: World) -> None:
    target = a_target(world.database)
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        row = unit.session.get(store.TargetRow, target.id)
        assert row is not None
        row.zone_id = "zon_unknown"


def test_an_account_is_on_a_target_once(world: World) -> None:
    target = a_target(world.database, accounts=("maint",))
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        unit.session.add(store.AccountRow(id=new_id("acc", NOON), target_id=target.id, username="maint"))


def test_several_targets_come_with_their_own_zones_and_accounts(world: World) -> None:
    zone = a_zone(world.database)
    a_target(world.database, name="press-4", zone=zone, accounts=("maint",))
    a_target(world.database, name="press-5", zone=zone, accounts=("root", "maint"))
    with world.database.reading() as session:
        found = store.targets_of(session, store.target_rows(session, limit=10, after=None))
    assert {target.name: [account.username for account in target.accounts] for target in found} == {
        "press-4": ["maint"],
        "press-5": ["maint", "root"],
    }
    assert {target.zone_name for target in found} == {zone.name}


@pytest.mark.parametrize("change", ["address='10.9.9.9'", "name='press-9'", "retired_at=NULL"])
def test_the_database_itself_keeps_a_retired_target_as_it_was(world: World, change: str) -> None:
    target = a_target(world.database)
    world.targets.retire("psn_sec", target.id)
    with pytest.raises(IntegrityError, match="stays as it was"), world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql(f"UPDATE targets SET {change}")  # noqa: S608 - this test's own words
