from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.access_requests.model import Wish
from broker.devices.testing import a_device
from broker.grants import store
from broker.grants.model import GrantState
from broker.identities.model import Role
from broker.kernel.errors import SallyportError
from broker.kernel.ids import from_raw
from tests.unit.broker.grants.test_certificates import line_of
from tests.unit.broker.sessions.plant import SOURCE, Plant

WISH = Wish("r", "w", None, timedelta(hours=2))
LINE = line_of(Ed25519PrivateKey.generate())


def refusal(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(SallyportError) as caught:
        call(*arguments)
    return caught.value.code


def test_an_approved_request_gives_one_grant_however_often_it_is_told(plant: Plant) -> None:
    grant = plant.a_grant()
    assert (grant.person_id, grant.device_id, grant.target_id) == (
        plant.engineer.id,
        plant.laptop.device.id,
        plant.target.id,
    )
    assert (grant.account, grant.protocol, grant.approvals) == ("maint", "ssh", 1)
    assert grant.not_after - grant.not_before == timedelta(hours=2)
    assert plant.grants.issue(grant.request_id) == grant
    assert plant.codes().count("grants.grant.issued") == 1
    assert plant.grants.ids_by_request([grant.request_id, "req_x"]) == {grant.request_id: grant.id}


def test_only_an_approved_request_gives_a_grant(plant: Plant) -> None:
    asked = plant.requests.submit(plant.asker, plant.target.name, "maint", WISH).request
    assert refusal(plant.grants.issue, asked.id) == "not_approved_yet"
    plant.requests.deny(plant.approver.id, asked.id, "no")
    assert refusal(plant.grants.issue, asked.id) == "not_approved_yet"
    assert refusal(plant.grants.issue, "req_x") == "not_found"


def test_a_certificate_is_in_the_records_before_it_is_handed_out(plant: Plant) -> None:
    grant = plant.a_grant()
    issued = plant.grants.certify(plant.holder, grant.id, LINE)
    with plant.world.database.reading() as session:
        kept = plant.grants.certificate_within(session, issued.serial)
    read = plant.grants.authority.read(issued.line.encode())
    assert kept is not None
    assert (kept.grant_id, kept.device_id, kept.source, kept.revoked_at) == (
        grant.id,
        plant.laptop.device.id,
        SOURCE,
        None,
    )
    assert (read.serial, read.key_sha256, read.valid_before) == (issued.serial, kept.key_sha256, kept.valid_before)
    assert read.principals == ("sallyport", "vera", "maint")
    assert read.valid_before - plant.world.clock.now() == timedelta(minutes=15)
    last = plant.world.trail()[-1]
    assert (last.code, last.params["serial"]) == ("grants.certificate.issued", str(issued.serial))


def test_a_certificate_does_not_outlive_its_grant(plant: Plant) -> None:
    grant = plant.a_grant()
    plant.pass_time(hours=1, minutes=55)
    assert plant.grants.certify(plant.holder, grant.id, LINE).valid_before == grant.not_after
    plant.pass_time(minutes=5)
    assert refusal(plant.grants.certify, plant.holder, grant.id, LINE) == "outside_window"


def test_a_serial_is_never_given_twice(plant: Plant) -> None:
    grant = plant.a_grant()
    drawn = iter([0, 7, 7, 8])
    plant.grants._random_bits = lambda _: next(drawn)
    assert [plant.grants.certify(plant.holder, grant.id, LINE).serial for _ in range(2)] == [7, 8]


def test_only_the_holder_on_the_trusted_device_of_the_grant_gets_a_certificate(plant: Plant) -> None:
    world, grant = plant.world, plant.a_grant()
    stranger = world.somebody(Role.VENDOR_ENGINEER)
    other = a_device(
        world.database, world.sealer, world.authorities, person_id=plant.engineer.id, invited_by=plant.inviter.id
    )
    assert refusal(plant.grants.certify, replace(plant.holder, person_id=stranger.id), grant.id, LINE) == "not_found"
    elsewhere = replace(plant.holder, device_id=other.device.id)
    assert refusal(plant.grants.certify, elsewhere, grant.id, LINE) == "device_not_trusted"
    assert refusal(plant.grants.certify, plant.holder, grant.id, "junk") == "invalid"
    world.devices.suspend(plant.inviter.id, plant.laptop.device.id)
    assert refusal(plant.grants.certify, plant.holder, grant.id, LINE) == "device_not_trusted"


def test_a_revoked_grant_gives_no_certificate_and_revokes_those_it_gave(plant: Plant) -> None:
    grant = plant.a_grant()
    serial = plant.grants.certify(plant.holder, grant.id, LINE).serial
    assert refusal(plant.grants.revoke, plant.approver.id, grant.id, " ") == "invalid"
    revoked = plant.grants.revoke(plant.approver.id, grant.id, "line is up").grant
    assert (revoked.state, revoked.ended_by, revoked.end_reason) == (
        GrantState.REVOKED,
        plant.approver.id,
        "line is up",
    )
    assert refusal(plant.grants.certify, plant.holder, grant.id, LINE) == "denied"
    assert refusal(plant.grants.revoke, plant.approver.id, grant.id, "again") == "grants.not_in_state"
    with plant.world.database.reading() as session:
        kept = store.certificate(session, serial)
    assert kept is not None
    assert kept.revoked_at == plant.world.clock.now()


def test_an_engineer_gives_the_rest_back(plant: Plant) -> None:
    grant = plant.a_grant()
    stranger = replace(plant.holder, person_id=plant.world.somebody(Role.VENDOR_ENGINEER).id)
    assert refusal(plant.grants.finish, stranger, grant.id) == "not_found"
    assert plant.grants.finish(plant.holder, grant.id).grant.state is GrantState.USED
    assert refusal(plant.grants.certify, plant.holder, grant.id, LINE) == "denied"


def test_the_roster_gets_grants_that_are_not_over_with_their_raw_ids(plant: Plant) -> None:
    now = plant.world.clock.now()
    later = plant.requests.submit(
        plant.asker, plant.target.name, "root", replace(WISH, starts_at=now + timedelta(hours=5))
    ).request
    plant.requests.approve(plant.approver.id, later.id, None)
    future, present, revoked = plant.grants.issue(later.id), plant.a_grant(), plant.a_grant()
    plant.grants.revoke(plant.approver.id, revoked.id, "no")
    live = plant.grants.live_grants().get(plant.laptop.device.id, [])
    assert [(one.grant_id, one.door) for one in live] == [(present.id, 2), (future.id, 2)]
    assert [from_raw("grt", one.raw) for one in live] == [present.id, future.id]
    plant.pass_time(hours=3)
    assert [one.grant_id for one in plant.grants.live_grants().get(plant.laptop.device.id, [])] == [future.id]
    assert plant.grants.live_grants().get("dev_x", []) == []


def test_a_grant_expires_at_its_end(plant: Plant) -> None:
    grant = plant.a_grant()
    assert plant.grants.expire_over() == 0
    plant.pass_time(hours=2)
    assert plant.grants.expire_over() == 1
    assert plant.grants.expire_over() == 0
    assert plant.grants.get(grant.id).grant.state is GrantState.EXPIRED
    assert plant.codes()[-1] == "grants.grant.expired"


def test_a_grant_is_active_from_its_first_session(plant: Plant) -> None:
    grant = plant.a_grant()
    for _ in range(2):
        with plant.world.database.unit_of_work() as unit:
            plant.grants.activate_within(unit, grant.id)
    assert plant.grants.get(grant.id).grant.state is GrantState.ACTIVE


def test_grants_are_listed_newest_first_and_ones_own_only(plant: Plant) -> None:
    first = plant.a_grant()
    plant.pass_time(seconds=1)
    second = plant.a_grant()
    assert [view.grant.id for view in plant.grants.grants(limit=5)] == [second.id, first.id]
    assert [view.grant.id for view in plant.grants.grants(limit=5, before_id=second.id)] == [first.id]
    assert plant.grants.grants(limit=5, person_id=plant.approver.id) == []
    assert refusal(lambda: plant.grants.get(first.id, person_id=plant.approver.id)) == "not_found"


def test_every_grant_of_a_retired_target_is_taken_back_with_its_certificates(plant: Plant) -> None:
    first, second = plant.a_grant(), plant.a_grant()
    serial = plant.grants.certify(plant.holder, first.id, LINE).serial
    plant.world.targets.retire("psn_sec", plant.target.id)
    assert [plant.grants.revoke_of_target("psn_sec", plant.target.id) for _ in range(2)] == [2, 0]
    for grant in (first, second):
        ended = plant.grants.get(grant.id).grant
        assert (ended.state, ended.ended_by, ended.end_reason) == (
            GrantState.REVOKED,
            "psn_sec",
            "the target was retired",
        )
    with plant.world.database.reading() as session:
        certificate = plant.grants.certificate_within(session, serial)
    assert certificate is not None
    assert certificate.revoked_at is not None
