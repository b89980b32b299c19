"""What a device's knocks may leave open."""

import pytest

from broker.identities.model import Role
from broker.kernel.errors import Conflict, Invalid, NotFound
from tests.unit.broker.devices.test_renewal import a_trusted_device, in_roster
from tests.unit.broker.identities.world import World


def test_a_device_that_must_name_its_address_may_have_a_loose_clock(world: World) -> None:
    built, admin = a_trusted_device(world), world.somebody(Role.PLANT_ADMIN)
    changed = world.devices.policies.change(admin.id, built.device.id, allow_header_address=False, loose_clock=True)
    assert (changed.allow_header_address, changed.loose_clock) == (False, True)
    told = in_roster(world, built.device.id)
    assert (told.allow_header_address, told.loose_clock) == (False, True)
    assert world.codes()[-1] == "devices.device.policy_changed"


def test_a_loose_clock_without_a_named_address_is_refused(world: World) -> None:
    built, admin = a_trusted_device(world), world.somebody(Role.PLANT_ADMIN)
    with pytest.raises(Invalid):
        world.devices.policies.change(admin.id, built.device.id, allow_header_address=True, loose_clock=True)


def test_nothing_new_is_no_event_and_a_retired_or_unknown_device_has_no_policy(world: World) -> None:
    built, admin = a_trusted_device(world), world.somebody(Role.PLANT_ADMIN)
    before = world.codes()
    world.devices.policies.change(admin.id, built.device.id, allow_header_address=True, loose_clock=False)
    assert world.codes() == before
    world.devices.retire(admin.id, built.device.id)
    with pytest.raises(Conflict):
        world.devices.policies.change(admin.id, built.device.id, allow_header_address=False, loose_clock=False)
    with pytest.raises(NotFound):
        world.devices.policies.change(admin.id, "dev_x", allow_header_address=False, loose_clock=False)
