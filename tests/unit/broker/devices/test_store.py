from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from broker.devices import store
from broker.devices.model import DeviceState
from broker.devices.testing import NOON, a_device
from broker.identities.model import Role
from tests.unit.broker.identities.world import World


def test_marks_are_unique_over_devices_and_invites(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody()
    first = world.device_of(engineer, admin)
    world.devices.enrolments.invite(admin.id, engineer.id)
    second = world.device_of(engineer, admin)
    marks = [entry.mark for entry in world.devices.roster_devices()]
    assert len(set(marks)) == 3
    assert second.device.mark > first.device.mark
    with world.database.reading() as session:
        assert store.next_mark(session) == second.device.mark + 1


def test_the_database_refuses_a_mark_out_of_range(world: World) -> None:
    built = world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))
    for mark in (0, 2**31):
        with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
            row = unit.session.get(store.DeviceRow, built.device.id)
            assert row is not None
            row.mark = mark


def test_a_knock_is_noted_and_never_back_in_time(world: World) -> None:
    built = world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))
    for at in (NOON, NOON - timedelta(hours=1)):
        with world.database.unit_of_work() as unit:
            store.note_knock(unit.session, built.device.id, at)
            store.note_knock(unit.session, "inv_unknown", at)
    assert world.devices.get(built.device.id).last_knock_at == NOON


def test_an_invite_burns_once(world: World) -> None:
    invite = world.devices.enrolments.invite(world.somebody(Role.PLANT_ADMIN).id, world.somebody().id)
    with world.database.unit_of_work() as unit:
        assert store.burn(unit.session, invite.id, NOON)
    with world.database.unit_of_work() as unit:
        assert not store.burn(unit.session, invite.id, NOON)
        row = unit.session.get(store.InviteRow, invite.id)
        assert row is not None
        assert row.knock_key_sealed == b""


def test_only_trusted_devices_within_their_certificate_may_knock(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody()
    for state in DeviceState:
        a_device(
            world.database, world.sealer, world.authorities, person_id=engineer.id, invited_by=admin.id, state=state
        )
    with world.database.reading() as session:
        assert [row.state for row in store.trusted_devices(session, NOON)] == [DeviceState.TRUSTED]
        assert not store.trusted_devices(session, NOON + timedelta(days=365))
