import pytest

from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.targets.model import Protocol, Target
from broker.targets.testing import a_host_key
from tests.unit.broker.identities.world import World


def create(world: World, zone_id: str, **changes: object) -> Target:
    fields: dict[str, object] = {
        "name": "press-4",
        "zone_id": zone_id,
        "address": "10.20.0.4",
        "port": 22,
        "protocol": Protocol.SSH,
        "host_key": a_host_key() + " root@press-4",
        "description": "Press line 4 ",
        "accounts": ["maint", "operator"],
    }
    return world.targets.create_target("psn_actor", **(fields | changes))  # type: ignore[arg-type]


def test_a_target_is_entered_with_its_pinned_key(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    target = create(world, zone.id)
    assert target.host_key == a_host_key()
    assert target.zone_name == "Press shop"
    assert [account.username for account in target.accounts] == ["maint", "operator"]
    assert world.targets.named("press-4") == world.targets.get(target.id) == target
    assert world.targets.targets() == [target]
    assert world.codes() == ["targets.zone.created", "targets.target.created"]


def test_names_are_unique(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    create(world, zone.id)
    with pytest.raises(Conflict) as refusal:
        create(world, zone.id, address="10.20.0.5")
    assert refusal.value.code == "targets.name_taken"
    with pytest.raises(Conflict):
        world.targets.create_zone("psn_actor", " Press shop")


def test_a_target_needs_a_zone_and_an_account(world: World) -> None:
    with pytest.raises(NotFound):
        create(world, "zon_unknown")
    zone = world.targets.create_zone("psn_actor", "Press shop")
    for accounts in ([], ["maint", "maint"], ["-x"]):
        with pytest.raises(Invalid):
            create(world, zone.id, accounts=accounts)
    assert world.targets.targets() == []


def test_a_changed_endpoint_is_told_with_both_fingerprints_and_an_unchanged_one_is_not(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    target = create(world, zone.id)
    world.targets.change_endpoint("psn_actor", target.id, address="10.20.0.4", port=22, host_key=a_host_key())
    changed = world.targets.change_endpoint(
        "psn_actor", target.id, address="10.20.0.5", port=2222, host_key=a_host_key(2)
    )
    assert (changed.address, changed.port, changed.host_key) == ("10.20.0.5", 2222, a_host_key(2))
    assert world.codes().count("targets.target.endpoint_changed") == 1
    params = world.trail()[-1].params
    assert params["host_key_sha256_before"] != params["host_key_sha256"]
    with pytest.raises(NotFound):
        world.targets.change_endpoint("psn_actor", "tgt_x", address="10.0.0.1", port=22, host_key=a_host_key())


def test_several_targets_are_found_at_once(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    target = create(world, zone.id)
    with world.database.reading() as session:
        assert world.targets.several_within(session, [target.id, "tgt_x"]) == {target.id: target}
        with pytest.raises(NotFound):
            world.targets.named_within(session, "press-9")
    assert world.targets.zones() == [zone]


def test_a_retired_target_is_read_and_nothing_else_is_done_with_it(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    target = create(world, zone.id)
    retired = world.targets.retire("psn_sec", target.id)
    assert (retired.is_retired, retired.retired_at) == (True, world.clock.now())
    assert world.targets.get(target.id) == world.targets.named("press-4") == retired
    told = world.trail()[-1]
    assert (told.code, told.actor, told.subject) == ("targets.target.retired", "psn_sec", target.id)
    with pytest.raises(Conflict) as refusal:
        world.targets.change_endpoint("psn_sec", target.id, address="10.0.0.1", port=22, host_key=a_host_key())
    assert refusal.value.code == "targets.retired"
    with pytest.raises(Conflict):
        world.targets.retire("psn_sec", target.id)
    with world.database.reading() as session, pytest.raises(Conflict):
        world.targets.in_use_within(session, target.id)
    assert world.codes().count("targets.target.retired") == 1
    with pytest.raises(NotFound):
        world.targets.retire("psn_sec", "tgt_x")
    with world.database.reading() as session, pytest.raises(NotFound):
        world.targets.in_use_within(session, "tgt_x")


def test_a_retired_targets_name_is_not_given_to_another_machine(world: World) -> None:
    zone = world.targets.create_zone("psn_actor", "Press shop")
    world.targets.retire("psn_sec", create(world, zone.id).id)
    with pytest.raises(Conflict) as refusal:
        create(world, zone.id, address="10.20.0.5")
    assert refusal.value.code == "targets.name_kept"
    successor = create(world, zone.id, name="press-4b", address="10.20.0.4")
    assert world.targets.targets(only_in_use=True) == [successor]
    assert len(world.targets.targets()) == 2
