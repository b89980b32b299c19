import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from broker.devices.certificates import spki
from broker.devices.model import DeviceState, EnrolmentRequest
from broker.devices.rules import short_code
from broker.identities.model import Role
from broker.kernel.errors import Forbidden, Invalid, NotFound, SallyportError
from tests.unit.broker.devices.laptop import Laptop
from tests.unit.broker.devices.requests import a_request
from tests.unit.broker.identities.world import World


def test_an_invite_becomes_a_pending_device_with_its_own_knock_key(world: World) -> None:
    laptop = Laptop(world)
    enrolment = laptop.enrol()
    device = enrolment.device
    assert device.state is DeviceState.PENDING
    assert device.person_id == laptop.engineer.id
    assert device.invited_by == laptop.admin.id
    assert device.short_code == short_code(spki(laptop.key.public_key()))
    assert len(enrolment.knock_key) == 32
    assert enrolment.knock_key != base64.b64decode(laptop.content["knock"]["knock_key_b64"])
    assert len(enrolment.day_keys) == 31
    certificate = x509.load_pem_x509_certificates(enrolment.certificate_pem.encode())[0]
    assert certificate.public_key() == laptop.key.public_key()
    assert world.codes() == ["devices.invite.created", "devices.device.enrolled"]


def test_an_invite_works_once_even_when_used_by_several_at_once(world: World) -> None:
    laptop = Laptop(world)
    requests = [laptop.request(csr_pem=a_request(ed25519.Ed25519PrivateKey.generate())) for _ in range(4)]

    def use(request: EnrolmentRequest) -> str:
        try:
            return world.devices.enrolments.enrol(request).device.state.value
        except SallyportError as refusal:
            return refusal.code

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(use, requests))
    assert results == ["devices.invite_refused"] * 3 + ["pending"]


def test_a_wrong_code_spends_the_invite(world: World) -> None:
    laptop = Laptop(world)
    with pytest.raises(Forbidden):
        laptop.enrol(code="wrong")
    assert world.codes()[-1] == "devices.invite.burnt"
    with pytest.raises(Forbidden) as refusal:
        laptop.enrol()
    assert refusal.value.code == "devices.invite_refused"


def test_a_bad_request_or_name_leaves_the_invite_good(world: World) -> None:
    laptop = Laptop(world)
    with pytest.raises(Invalid):
        laptop.enrol(csr_pem="nothing")
    with pytest.raises(Invalid):
        laptop.enrol(device_name="\x1b[2J")
    assert laptop.enrol().device.state is DeviceState.PENDING


def test_an_invite_ends_after_a_quarter_of_an_hour(world: World) -> None:
    laptop = Laptop(world)
    world.clock.move(timedelta(minutes=15))
    with pytest.raises(Forbidden):
        world.devices.enrolments.verify_invite(laptop.invite.id, laptop.certificate_der)
    with pytest.raises(Forbidden):
        laptop.enrol()
    assert world.devices.roster_devices() == []


def test_an_invite_is_refused_with_another_invites_certificate(world: World) -> None:
    laptop, other = Laptop(world), Laptop(world)
    with pytest.raises(Forbidden):
        laptop.enrol(certificate_der=other.certificate_der)
    with pytest.raises(Forbidden):
        world.devices.enrolments.verify_invite(laptop.invite.id, other.certificate_der)
    world.devices.enrolments.verify_invite(laptop.invite.id, laptop.certificate_der)


def test_only_engineers_in_good_standing_are_invited_and_enrolled(world: World) -> None:
    admin, auditor = world.somebody(Role.PLANT_ADMIN), world.somebody(Role.AUDITOR)
    with pytest.raises(NotFound):
        world.devices.enrolments.invite(admin.id, auditor.id)
    laptop = Laptop(world)
    world.people.suspend_person(admin.id, laptop.engineer.id)
    assert world.devices.roster_devices() == []
    with pytest.raises(Forbidden):
        laptop.enrol()


def test_a_key_that_is_enrolled_already_is_refused_and_the_invite_stays_good(world: World) -> None:
    first, second = Laptop(world), Laptop(world)
    first.enrol()
    with pytest.raises(Invalid) as refusal:
        second.enrol(csr_pem=a_request(first.key))
    assert refusal.value.params == {"fault": "key_in_use"}
    second.enrol()
