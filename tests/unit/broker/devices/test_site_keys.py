"""The site key changes without a client noticing."""

from datetime import timedelta

import pytest

from broker.devices import rules
from broker.kernel.errors import Conflict
from spa_knock.wire.keys import day_key
from tests.unit.broker.identities.world import SITE_KEY, World


def test_a_site_begins_with_the_key_it_was_made_with(world: World) -> None:
    assert world.devices.site_keys.in_force() == (SITE_KEY,)
    assert world.devices.site_keys.for_clients() == SITE_KEY


def test_a_new_key_is_in_the_roster_before_clients_get_it_and_the_old_outlives_its_day_keys(world: World) -> None:
    keys = world.devices.site_keys
    last_old = world.devices.day_keys(world.clock.now())[-1]
    until = keys.rotate("system:host")
    new, old = keys.in_force()
    assert (old, new != old) == (SITE_KEY, True)
    assert keys.for_clients() == SITE_KEY
    world.clock.move(rules.SITE_KEY_LEAD)
    assert keys.for_clients() == new
    world.clock.move(until - timedelta(seconds=1) - world.clock.now())
    assert world.clock.now().timestamp() // 86_400 >= last_old.day
    assert keys.in_force() == (new, SITE_KEY)
    world.clock.move(timedelta(seconds=2))
    assert keys.in_force() == (new,)
    assert world.devices.day_keys(world.clock.now())[0].key == day_key(
        new, int(world.clock.now().timestamp()) // 86_400
    )
    assert world.codes()[-1] == "devices.site_key.rotated"


def test_no_third_key_while_two_are_in_force(world: World) -> None:
    keys = world.devices.site_keys
    keys.rotate("system:host")
    with pytest.raises(Conflict, match="still hold day keys"):
        keys.rotate("system:host")
    world.clock.move(rules.SITE_KEY_OVERLAP)
    second = keys.in_force()[0]
    keys.rotate("system:host")
    assert len(set(keys.in_force())) == 2
    assert keys.in_force()[1] == second
