"""A device renews itself: nothing is lost on the way, and nothing old lives on."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker.devices import rules
from broker.devices.model import RosterDevice
from broker.devices.testing import BuiltDevice
from broker.identities.model import Role
from broker.kernel.errors import Forbidden
from tests.unit.broker.identities.world import World


def a_trusted_device(world: World) -> BuiltDevice:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody()
    return world.device_of(engineer, invited_by=admin)


def der_of(pem: str) -> bytes:
    return x509.load_pem_x509_certificates(pem.encode())[0].public_bytes(Encoding.DER)


def in_roster(world: World, device_id: str) -> RosterDevice:
    (found,) = [one for one in world.devices.roster_devices() if one.device_id == device_id]
    return found


def test_while_it_renews_both_pairs_hold_and_its_first_use_voids_the_old(world: World) -> None:
    built = a_trusted_device(world)
    identity, old = built.device.id, built.device.certificate_der
    renewal = world.devices.renew(identity, old, "203.0.113.7")
    new = der_of(renewal.certificate_pem)
    assert new != old
    assert x509.load_der_x509_certificate(new).public_key() == built.private_key.public_key()
    told = in_roster(world, identity)
    assert (told.knock_key, told.next_knock_key) == (built.knock_key, renewal.knock_key)
    assert world.devices.verify_connection(identity, old).renewal_pending
    assert not world.devices.verify_connection(identity, new).renewal_pending
    told = in_roster(world, identity)
    assert (told.knock_key, told.next_knock_key) == (renewal.knock_key, None)
    with pytest.raises(Forbidden):
        world.devices.verify_connection(identity, old)
    assert world.codes()[-2:] == ["devices.device.renewing", "devices.device.renewed"]


def test_asking_again_gives_the_same_so_that_a_lost_answer_locks_nobody_out(world: World) -> None:
    built = a_trusted_device(world)
    first, second = (world.devices.renew(built.device.id, built.device.certificate_der, "x") for _ in range(2))
    assert (first.certificate_pem, first.knock_key) == (second.certificate_pem, second.knock_key)
    assert world.codes().count("devices.device.renewing") == 1


def test_a_renewed_certificate_outlives_the_old_one(world: World) -> None:
    built = a_trusted_device(world)
    world.clock.move(rules.CERTIFICATE_VALID - timedelta(hours=1))
    renewal = world.devices.renew(built.device.id, built.device.certificate_der, "x")
    world.clock.move(timedelta(hours=2))
    assert in_roster(world, built.device.id).not_after > world.clock.now()
    with pytest.raises(Forbidden):
        world.devices.verify_connection(built.device.id, built.device.certificate_der)
    world.devices.verify_connection(built.device.id, der_of(renewal.certificate_pem))


def test_neither_a_suspended_device_nor_a_foreign_certificate_renews(world: World) -> None:
    built, other = a_trusted_device(world), a_trusted_device(world)
    admin = world.somebody(Role.PLANT_ADMIN)
    with pytest.raises(Forbidden):
        world.devices.renew(built.device.id, other.device.certificate_der, "x")
    world.devices.suspend(admin.id, built.device.id)
    with pytest.raises(Forbidden):
        world.devices.renew(built.device.id, built.device.certificate_der, "x")


def test_a_device_retired_while_it_renews_is_out_with_both_pairs(world: World) -> None:
    built = a_trusted_device(world)
    renewal = world.devices.renew(built.device.id, built.device.certificate_der, "x")
    world.devices.retire(world.somebody(Role.PLANT_ADMIN).id, built.device.id)
    for der in (built.device.certificate_der, der_of(renewal.certificate_pem)):
        with pytest.raises(Forbidden):
            world.devices.verify_connection(built.device.id, der)
    assert world.devices.roster_devices() == []
