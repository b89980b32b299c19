import base64
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from broker.devices.certificates import spki
from broker.devices.invite_text import PREFIX
from broker.devices.model import DeviceState, Enrolment, EnrolmentRequest, Posture
from broker.devices.rules import short_code
from broker.identities.model import Person, Role
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, SallyportError
from tests.unit.broker.devices.requests import a_request
from tests.unit.broker.identities.world import World


def content_of(text: str) -> dict[str, Any]:
    body = text.removeprefix(PREFIX)
    packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    document: dict[str, Any] = json.loads(zlib.decompress(packed))
    return document


class Laptop:
    """A client that holds an invite."""

    def __init__(self, world: World, engineer: Person | None = None, admin: Person | None = None) -> None:
        self.world = world
        self.engineer = engineer or world.somebody()
        self.admin = admin or world.somebody(Role.PLANT_ADMIN)
        self.invite = world.devices.invite(self.admin.id, self.engineer.id)
        self.content = content_of(self.invite.text)
        certificate = x509.load_pem_x509_certificates(self.content["certificate_pem"].encode())[0]
        self.certificate_der = certificate.public_bytes(Encoding.DER)
        self.key = ed25519.Ed25519PrivateKey.generate()

    def request(self, **changes: Any) -> EnrolmentRequest:
        fields: dict[str, Any] = {
            "invite_id": self.invite.id,
            "certificate_der": self.certificate_der,
            "source": "203.0.113.7",
            "code": self.content["code"],
            "csr_pem": a_request(self.key),
            "device_name": "service-laptop",
            "posture": Posture("Debian 12", "file"),
        }
        return EnrolmentRequest(**(fields | changes))

    def enrol(self, **changes: Any) -> Enrolment:
        return self.world.devices.enrol(self.request(**changes))


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
            return world.devices.enrol(request).device.state.value
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
        world.devices.verify_invite(laptop.invite.id, laptop.certificate_der)
    with pytest.raises(Forbidden):
        laptop.enrol()
    assert world.devices.roster_devices() == []


def test_an_invite_is_refused_with_another_invites_certificate(world: World) -> None:
    laptop, other = Laptop(world), Laptop(world)
    with pytest.raises(Forbidden):
        laptop.enrol(certificate_der=other.certificate_der)
    with pytest.raises(Forbidden):
        world.devices.verify_invite(laptop.invite.id, other.certificate_der)
    world.devices.verify_invite(laptop.invite.id, laptop.certificate_der)


def test_only_engineers_in_good_standing_are_invited_and_enrolled(world: World) -> None:
    admin, auditor = world.somebody(Role.PLANT_ADMIN), world.somebody(Role.AUDITOR)
    with pytest.raises(NotFound):
        world.devices.invite(admin.id, auditor.id)
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
