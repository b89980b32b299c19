from datetime import timedelta

import pytest

from broker.devices.certificates import spki
from broker.devices.model import DeviceState
from broker.identities.model import Role
from broker.kernel.errors import Conflict, Forbidden, Invalid
from tests.unit.broker.devices.laptop import Laptop
from tests.unit.broker.identities.world import World


def test_trust_needs_the_code_read_aloud_and_keeps_who_trusted(world: World) -> None:
    laptop = Laptop(world)
    device = laptop.enrol().device
    with pytest.raises(Invalid) as refusal:
        world.devices.trust(laptop.admin.id, device.id, "0000-0000")
    assert refusal.value.code == "devices.short_code_differs"
    assert world.devices.get(device.id).state is DeviceState.PENDING
    trusted = world.devices.trust(laptop.admin.id, device.id, device.short_code.lower())
    assert (trusted.state, trusted.trusted_by, trusted.invited_by) == (
        DeviceState.TRUSTED,
        laptop.admin.id,
        laptop.admin.id,
    )
    with pytest.raises(Conflict):
        world.devices.trust(laptop.admin.id, device.id, device.short_code)


def test_only_a_trusted_device_with_its_own_certificate_may_connect(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody()
    built, other = world.device_of(engineer, admin), world.device_of(engineer, admin)
    assert world.devices.verify_connection(built.device.id, built.device.certificate_der).id == built.device.id

    def refused(device_id: str, certificate: bytes) -> bool:
        with pytest.raises(Forbidden) as refusal:
            world.devices.verify_connection(device_id, certificate)
        return refusal.value.code == "device_not_trusted" and refusal.value.params == {}

    assert refused(built.device.id, other.device.certificate_der)
    assert refused("dev_unknown", built.device.certificate_der)
    world.devices.suspend(admin.id, built.device.id)
    assert refused(built.device.id, built.device.certificate_der)
    world.devices.resume(admin.id, built.device.id)
    world.devices.verify_connection(built.device.id, built.device.certificate_der)
    world.clock.move(timedelta(days=365))
    assert refused(built.device.id, built.device.certificate_der)


def test_the_roster_holds_trusted_devices_and_open_invites_only(world: World) -> None:
    laptop = Laptop(world)
    (entry,) = world.devices.roster_devices()
    assert (entry.device_id, entry.doors) == (laptop.invite.id, (1,))
    assert entry.not_after == laptop.invite.expires_at
    enrolment = laptop.enrol()
    assert world.devices.roster_devices() == []
    world.devices.trust(laptop.admin.id, enrolment.device.id, enrolment.device.short_code)
    (entry,) = world.devices.roster_devices()
    assert (entry.device_id, entry.doors, entry.knock_key) == (enrolment.device.id, (1, 2), enrolment.knock_key)
    assert entry.public_key == spki(laptop.key.public_key())
    world.devices.suspend(laptop.admin.id, enrolment.device.id)
    assert world.devices.roster_devices() == []


def test_a_retired_devices_knock_key_is_erased(world: World) -> None:
    admin = world.somebody(Role.PLANT_ADMIN)
    built = world.device_of(world.somebody(), admin)
    world.devices.retire(admin.id, built.device.id)
    with world.database.reading() as session:
        sealed = session.connection().exec_driver_sql("SELECT knock_key_sealed FROM devices").scalar_one()
    assert sealed == b""
    with pytest.raises(Conflict):
        world.devices.resume(admin.id, built.device.id)


def test_no_secret_of_an_invite_or_device_is_written_or_printed(world: World) -> None:
    laptop = Laptop(world)
    enrolment = laptop.enrol()
    key_pem = laptop.content["private_key_pem"]
    secrets = [laptop.content["code"], key_pem, laptop.content["knock"]["knock_key_b64"], enrolment.knock_key.hex()]
    shown = repr([laptop.invite, enrolment, world.trail(), world.devices.devices()])
    assert all(secret not in shown for secret in secrets)
    assert repr(enrolment.knock_key) not in shown
    with world.database.reading() as session:
        for table in ("devices", "device_invites"):
            stored = repr(session.connection().exec_driver_sql(f"SELECT * FROM {table}").all())  # noqa: S608
            assert all(secret not in stored for secret in secrets)
            assert repr(enrolment.knock_key) not in stored


def test_day_keys_are_of_today_and_the_thirty_days_after(world: World) -> None:
    keys = world.devices.day_keys(world.clock.now())
    assert len({one.key for one in keys}) == 31
    assert [one.day for one in keys] == list(range(keys[0].day, keys[0].day + 31))
    assert keys[0].day == int(world.clock.now().timestamp()) // 86400


def test_evidence_can_be_checked_with_the_key_of_a_device_or_invite(world: World) -> None:
    laptop = Laptop(world)
    device = laptop.enrol().device
    with world.database.reading() as session:
        assert world.devices.public_key_within(session, device.id) == spki(laptop.key.public_key())
        assert world.devices.public_key_within(session, laptop.invite.id) is not None
        assert world.devices.public_key_within(session, "dev_unknown") is None
        assert set(world.devices.several_within(session, [device.id, "dev_unknown"])) == {device.id}


def test_a_persons_devices_are_found(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody()
    mine = world.device_of(engineer, admin)
    world.device_of(world.somebody(), admin)
    assert world.devices.devices_of(engineer.id) == [mine.device]
