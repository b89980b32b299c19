import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.devices.store import DeviceRow
from broker.devices.testing import a_device
from broker.grants.certificates import CertificateWish, SshUserAuthority
from broker.grants.model import GrantState
from broker.identities.model import Role
from broker.identities.store import PersonRow
from broker.kernel.errors import Conflict, Forbidden, NotFound, SallyportError, Unavailable
from broker.policy.model import Deny
from broker.recordings.model import OpenedFacts
from broker.sessions.model import AdmitRequest, Admitted, GatewayIdentity, OrderKind, SessionOrder, SessionState
from broker.sessions.rules import PENDING_LIMIT
from tests.unit.broker.sessions.plant import (
    GATEWAY,
    SECRET,
    SOURCE,
    Client,
    Plant,
    a_session_key,
    blob_of,
    signed_data,
    ssh_signature,
)


def refused(plant: Plant, request: AdmitRequest) -> str:
    """The code with which a connection is refused; nothing but one event may come of it."""
    before = plant.sessions.count_open()
    answer = plant.sessions.admit(request)
    assert isinstance(answer, Deny), answer
    assert plant.sessions.count_open() == before
    last = plant.world.trail()[-1]
    assert last.code == "sessions.session.refused"
    assert last.params["refusal"] == answer.code
    return answer.code


# -- admit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_connection_that_proves_everything_becomes_a_session(plant: Plant, kind: str) -> None:
    grant = plant.a_grant()
    answer = plant.sessions.admit(plant.a_client(grant, a_session_key(kind)).connect())
    assert isinstance(answer, Admitted)
    permit = answer.verdict.permit
    assert (permit.person_id, permit.device_id) == (plant.engineer.id, plant.laptop.device.id)
    assert (permit.target_id, permit.account, permit.source) == (plant.target.id, "maint", SOURCE)
    assert permit.not_after == grant.not_after
    view = plant.sessions.get(answer.session_id)
    assert view.record.state is SessionState.PENDING
    assert view.record.recording_id == answer.recording_id
    assert not view.has_recording
    assert plant.grants.get(grant.id).grant.state is GrantState.ACTIVE
    last = plant.world.trail()[-1]
    assert (last.code, last.subject, last.actor) == ("sessions.session.admitted", answer.session_id, plant.engineer.id)


@pytest.mark.parametrize("username", ["sallyport", "vera", "maint"])
def test_the_common_name_the_persons_name_and_the_account_all_mean_the_grants_account(
    plant: Plant, username: str
) -> None:
    answer = plant.sessions.admit(plant.a_client(plant.a_grant()).connect(username))
    assert isinstance(answer, Admitted)
    assert answer.verdict.permit.account == "maint"


def test_another_account_than_the_grants_is_refused(plant: Plant) -> None:
    assert refused(plant, plant.a_client(plant.a_grant()).connect("root")) == "sessions.certificate_refused"


def test_a_person_who_is_named_like_another_account_does_not_get_it(plant: Plant) -> None:
    grant = plant.a_grant()
    with plant.world.database.unit_of_work() as unit:
        row = unit.session.get(PersonRow, plant.engineer.id)
        assert row is not None
        row.username = "root"
        unit.session.add(row)
    assert refused(plant, plant.a_client(grant).connect("root")) == "policy.other_account"


def _other_laptop(client: Client) -> AdmitRequest:
    """A knock of another trusted device of the same person, with the first device's certificate."""
    plant = client.plant
    other = a_device(
        plant.world.database,
        plant.world.sealer,
        plant.world.authorities,
        person_id=plant.engineer.id,
        invited_by=plant.inviter.id,
    )
    knock_id, signed_knock = client.knock(laptop=other)
    return client.connect(knock_id=knock_id, signed_knock=signed_knock, device_id=other.device.id)


def _stolen_knock(client: Client) -> AdmitRequest:
    """Another device's knock, passed off as this one's."""
    plant = client.plant
    other = a_device(
        plant.world.database,
        plant.world.sealer,
        plant.world.authorities,
        person_id=plant.engineer.id,
        invited_by=plant.inviter.id,
    )
    knock_id, signed_knock = client.knock(laptop=other)
    return client.connect(knock_id=knock_id, signed_knock=signed_knock)


def _with_knock(client: Client, **wanted: object) -> AdmitRequest:
    knock_id, signed_knock = client.knock(**wanted)  # type: ignore[arg-type]
    return client.connect(knock_id=knock_id, signed_knock=signed_knock)


def _other_nonce(client: Client) -> AdmitRequest:
    return client.connect(knock_id="00" * 12)


def _altered_knock(client: Client) -> AdmitRequest:
    request = client.connect()
    altered = bytearray(request.signed_knock)
    altered[60] ^= 1
    return replace(request, signed_knock=bytes(altered))


def _other_grants_certificate(client: Client) -> AdmitRequest:
    other = client.plant.a_client(client.plant.a_grant(), client.key)
    return client.connect(proof=other.proof())


def _other_grants_knock(client: Client) -> AdmitRequest:
    return _with_knock(client, grant_id=client.plant.a_grant().id)


def _another_authority(client: Client) -> AdmitRequest:
    return _forged_certificate(client, SshUserAuthority(Ed25519PrivateKey.generate()), {})


def _serial_never_issued(client: Client) -> AdmitRequest:
    return _forged_certificate(client, client.plant.grants.authority, {"serial": 4711})


def _forged_certificate(client: Client, authority: SshUserAuthority, changes: dict[str, object]) -> AdmitRequest:
    plant = client.plant
    said = plant.grants.authority.read(client.certificate_line.encode())
    wish = CertificateWish(
        key=said.key,
        serial=said.serial,
        grant_id=said.grant_id,
        device_id=said.device_id,
        principals=said.principals,
        source=said.source,
        valid_after=said.valid_after,
        valid_before=said.valid_before,
    )
    line = authority.issue(replace(wish, **changes))  # type: ignore[arg-type]
    return client.connect(proof=client.proof(certificate_line=line))


def _issued_for_another_source(client: Client) -> AdmitRequest:
    return _forged_certificate(client, client.plant.grants.authority, {"source": "203.0.113.8"})


def _altered_signed_data(client: Client) -> AdmitRequest:
    proof = client.proof()
    other = signed_data(b"x" * 32, "maint", client.certificate_line.split()[0].encode(), proof.certificate)
    return client.connect(proof=replace(proof, signed_data=other, session_identifier=b"x" * 32))


def _other_session_identifier(client: Client) -> AdmitRequest:
    return client.connect(proof=replace(client.proof(), session_identifier=b"y" * 32))


def _another_keys_signature(client: Client) -> AdmitRequest:
    return client.connect(proof=client.proof(key=Ed25519PrivateKey.generate()))


def _bare_key(client: Client) -> AdmitRequest:
    line = client.key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return client.connect(proof=client.proof(certificate_line=line))


def _signed_for_another_user(client: Client) -> AdmitRequest:
    return client.connect("maint", proof=client.proof("sallyport"))


def _short_identifier(client: Client) -> AdmitRequest:
    return client.connect(proof=client.proof(identifier=b"short"))


def _signature_for_something_else(client: Client) -> AdmitRequest:
    proof = client.proof()
    return client.connect(proof=replace(proof, signature=ssh_signature(client.key, b"another text")))


def _garbage(client: Client) -> AdmitRequest:
    return client.connect(proof=replace(client.proof(), signed_data=b"\xff" * 40))


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (_other_laptop, "policy.other_device"),
        (_stolen_knock, "sessions.knock_not_proven"),
        (_other_nonce, "sessions.knock_not_proven"),
        (_altered_knock, "sessions.knock_not_proven"),
        (lambda client: client.connect(signed_knock=b"short"), "sessions.knock_not_proven"),
        (lambda client: _with_knock(client, audience=bytes(8)), "sessions.knock_not_proven"),
        (lambda client: _with_knock(client, age=timedelta(seconds=61)), "policy.knock_stale"),
        (lambda client: _with_knock(client, age=timedelta(seconds=-61)), "policy.knock_stale"),
        (lambda client: _with_knock(client, door=1), "policy.other_door"),
        (lambda client: _with_knock(client, bind=bytes(32)), "policy.other_key"),
        (lambda client: _with_knock(client, address="203.0.113.8"), "policy.other_source"),
        (_other_grants_knock, "policy.other_grant"),
        (_other_grants_certificate, "policy.other_grant"),
        (_another_authority, "sessions.certificate_refused"),
        (_serial_never_issued, "sessions.certificate_refused"),
        (_issued_for_another_source, "sessions.certificate_refused"),
        (_bare_key, "sessions.proof_not_proven"),
        (_altered_signed_data, "sessions.proof_not_proven"),
        (_other_session_identifier, "sessions.proof_not_proven"),
        (_another_keys_signature, "sessions.proof_not_proven"),
        (_signed_for_another_user, "sessions.proof_not_proven"),
        (_signature_for_something_else, "sessions.proof_not_proven"),
        (_short_identifier, "sessions.proof_not_proven"),
        (_garbage, "sessions.proof_not_proven"),
        (lambda client: client.connect(source="203.0.113.8"), "policy.other_source"),
        (lambda client: client.connect(grant_id="grt_00000000000000000000000000"), "sessions.unknown_grant"),
        (lambda client: client.connect(device_id="dev_00000000000000000000000000"), "sessions.unknown_grant"),
        (lambda client: client.connect(protocol="rdp"), "policy.other_door"),
    ],
)
def test_a_connection_with_one_forged_part_is_refused(
    plant: Plant, forge: Callable[[Client], AdmitRequest], code: str
) -> None:
    assert refused(plant, forge(plant.a_client(plant.a_grant()))) == code


def test_the_same_proof_does_not_admit_twice(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    request = client.connect()
    assert isinstance(plant.sessions.admit(request), Admitted)
    assert refused(plant, request) == "sessions.proof_used"
    knock_id, signed_knock = client.knock()
    assert refused(plant, replace(request, knock_id=knock_id, signed_knock=signed_knock)) == "sessions.proof_used"
    assert refused(plant, replace(request, proof=client.proof())) == "sessions.proof_used"
    assert isinstance(plant.sessions.admit(client.connect()), Admitted)


def test_a_revoked_grant_takes_its_certificates_with_it(plant: Plant) -> None:
    grant = plant.a_grant()
    client = plant.a_client(grant)
    plant.grants.revoke(plant.approver.id, grant.id, "no longer needed")
    assert refused(plant, client.connect()) == "sessions.certificate_revoked"


def test_an_expired_window_is_refused(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant(hours=0.1))
    plant.pass_time(hours=1)
    assert refused(plant, client.connect()) == "outside_window"
    plant.grants.expire_over()
    assert refused(plant, client.connect()) == "sessions.certificate_revoked"


def test_an_expired_certificate_is_refused_inside_the_window(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant(hours=8))
    plant.pass_time(minutes=16)
    assert refused(plant, client.connect()) == "policy.certificate_expired"


def test_a_suspended_device_is_refused(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    plant.world.devices.suspend(plant.inviter.id, plant.laptop.device.id)
    assert refused(plant, client.connect()) == "device_not_trusted"


def test_a_suspended_person_is_refused(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    plant.world.people.suspend_person(plant.approver.id, plant.engineer.id)
    assert refused(plant, client.connect()) == "policy.person_not_active"


def test_a_knock_that_leaves_its_address_to_the_header_counts_only_for_devices_that_may(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    assert isinstance(plant.sessions.admit(_with_knock(client, address=None)), Admitted)
    with plant.world.database.unit_of_work() as unit:
        row = unit.session.get(DeviceRow, plant.laptop.device.id)
        assert row is not None
        row.allow_header_address = False
        unit.session.add(row)
    assert refused(plant, _with_knock(client, address=None)) == "policy.source_not_named"


# -- lease ------------------------------------------------------------------------------------------------------------


def test_a_lease_makes_the_session_live_with_its_recordings_key_in_the_trail(plant: Plant) -> None:
    admitted = plant.admitted()
    lease = plant.lease(admitted, signing_public=b"k" * 32)
    assert (lease.address, lease.port, lease.account) == (plant.target.address, 22, "maint")
    assert lease.secret.reveal() == SECRET
    assert SECRET not in repr(lease)
    view = plant.sessions.get(admitted.session_id)
    assert view.record.state is SessionState.LIVE
    assert view.has_recording
    by_code = {record.code: record for record in plant.world.trail()}
    assert by_code["recordings.recording.opened"].params["signing_key"] == (b"k" * 32).hex()
    order = plant.codes()
    assert order.index("recordings.recording.opened") < order.index("sessions.session.started")
    assert SECRET not in str(plant.world.trail())


def _lease_error(plant: Plant, admitted: Admitted, **changes: object) -> SallyportError:
    given: dict[str, object] = {
        "gateway": GATEWAY,
        "session_id": admitted.session_id,
        "permit_id": admitted.verdict.permit.permit_id,
        "recording": OpenedFacts(bytes(32), bytes(32)),
        "path": f"/var/lib/{admitted.recording_id}.sallyrec",
    }
    with pytest.raises(SallyportError) as caught:
        plant.sessions.lease(**(given | changes))  # type: ignore[arg-type]
    return caught.value


def test_a_lease_is_given_once(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.lease(admitted)
    assert _lease_error(plant, admitted).code == "sessions.not_in_state"


def test_a_lease_needs_the_sessions_own_permit_gateway_and_recording(plant: Plant) -> None:
    admitted = plant.admitted()
    assert _lease_error(plant, admitted, permit_id="prm_x").code == "sessions.other_permit"
    assert _lease_error(plant, admitted, gateway=GatewayIdentity("w2", "boot-1")).code == "sessions.other_gateway"
    assert _lease_error(plant, admitted, gateway=GatewayIdentity("w1", "boot-2")).code == "sessions.other_gateway"
    assert _lease_error(plant, admitted, path="/etc/passwd").code == "sessions.other_recording"
    assert isinstance(_lease_error(plant, admitted, session_id="ses_x"), NotFound)
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.PENDING
    assert "vault.credential.leased" not in plant.codes()


def test_no_credential_leaves_after_a_revocation_that_came_between(plant: Plant) -> None:
    grant = plant.a_grant()
    admitted = plant.admitted(grant)
    plant.grants.revoke(plant.approver.id, grant.id, "stop")
    assert _lease_error(plant, admitted).code == "sessions.permit_over"
    assert "vault.credential.leased" not in plant.codes()


def test_no_credential_leaves_for_a_suspended_device_or_after_the_permit(plant: Plant) -> None:
    admitted = plant.admitted(plant.a_grant(hours=0.2))
    plant.pass_time(hours=1)
    assert _lease_error(plant, admitted).code == "sessions.permit_over"
    again = plant.admitted()
    plant.world.devices.suspend(plant.inviter.id, plant.laptop.device.id)
    assert _lease_error(plant, again).code == "sessions.permit_over"


def test_a_changed_target_gives_no_lease_and_the_session_stays_pending(plant: Plant) -> None:
    admitted = plant.admitted()
    target = plant.target
    plant.world.targets.change_endpoint(
        plant.inviter.id, target.id, address="10.20.0.66", port=22, host_key=target.host_key
    )
    assert _lease_error(plant, admitted).code == "vault.detached"
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.PENDING
    assert "recordings.recording.opened" not in plant.codes()


def test_no_credential_leaves_when_the_way_to_its_target_cannot_be_opened(plant: Plant) -> None:
    def closed(_address: str, _port: int, _seconds: int) -> None:
        raise Unavailable("opener.no_answer", "The firewall writer does not answer.")

    admitted = plant.admitted()
    plant.sessions.ways.on_lease(closed)
    assert _lease_error(plant, admitted).code == "opener.no_answer"
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.PENDING
    assert "vault.credential.leased" not in plant.codes()


# -- ending -----------------------------------------------------------------------------------------------------------


def test_an_order_to_end_is_committed_and_then_sent(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.lease(admitted)
    sent: list[tuple[SessionOrder, SessionState]] = []
    plant.sessions.orders.on_order(
        lambda order: sent.append((order, plant.sessions.get(admitted.session_id).record.state))
    )
    plant.sessions.order_end(admitted.session_id, "grant_revoked")
    ((order, state),) = sent
    assert (order.order, order.reason, order.worker) == (OrderKind.END, "grant_revoked", "w1")
    assert state is SessionState.CLOSING
    plant.sessions.order_end(admitted.session_id, "grant_revoked")
    assert len(sent) == 1


def test_everything_that_ends_a_grant_a_device_or_a_person_ends_its_sessions(plant: Plant) -> None:
    grant, other = plant.a_grant(), plant.a_grant()
    one, two = plant.admitted(grant), plant.admitted(other)
    assert plant.sessions.end_sessions_of_grant(grant.id, "grant_revoked") == 1
    assert plant.sessions.get(one.session_id).record.state is SessionState.CLOSING
    assert plant.sessions.get(two.session_id).record.state is SessionState.PENDING
    assert plant.sessions.end_sessions_of_device(plant.laptop.device.id, "device_suspended") == 2
    assert plant.sessions.get(two.session_id).record.state is SessionState.CLOSING
    assert plant.sessions.end_sessions_of_person(plant.engineer.id, "person_suspended") == 2
    assert plant.codes().count("sessions.session.end_ordered") == 2


def test_a_session_that_was_told_to_end_gets_no_lease(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.sessions.order_end(admitted.session_id, "grant_revoked")
    assert _lease_error(plant, admitted).code == "sessions.not_in_state"


def test_a_permit_is_renewed_up_to_its_end_and_only_while_everything_holds(plant: Plant) -> None:
    grant = plant.a_grant()
    admitted = plant.admitted(grant)
    with pytest.raises(Forbidden):
        plant.sessions.renew(GATEWAY, admitted.session_id)
    plant.lease(admitted)
    assert plant.sessions.renew(GATEWAY, admitted.session_id) == grant.not_after
    with pytest.raises(Forbidden):
        plant.sessions.renew(GatewayIdentity("w2", "b"), admitted.session_id)
    plant.grants.revoke(plant.approver.id, grant.id, "stop")
    with pytest.raises(Forbidden):
        plant.sessions.renew(GATEWAY, admitted.session_id)


def test_sessions_are_listed_newest_first_and_by_state(plant: Plant) -> None:
    grant = plant.a_grant()
    first = plant.admitted(grant)
    plant.pass_time(seconds=1)
    second = plant.admitted(grant)
    plant.lease(second)
    listed = [view.record.id for view in plant.sessions.sessions(limit=10)]
    assert listed == [second.session_id, first.session_id]
    live = plant.sessions.sessions(limit=10, state=SessionState.LIVE)
    assert [view.record.id for view in live] == [second.session_id]
    assert [v.record.id for v in plant.sessions.sessions(limit=10, before_id=second.session_id)] == [first.session_id]


def test_a_pending_session_is_over_after_a_minute(plant: Plant) -> None:
    admitted = plant.admitted()
    assert plant.reports.close_overdue() == 0
    plant.world.clock.move(PENDING_LIMIT)
    assert plant.reports.close_overdue() == 1
    record = plant.sessions.get(admitted.session_id).record
    assert (record.state, record.end_reason) == (SessionState.CLOSED, "never_started")
    with pytest.raises(Conflict):
        plant.live.cut(plant.approver.id, admitted.session_id, "too late")


def test_only_an_engineer_may_hold_a_session(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    with plant.world.database.unit_of_work() as unit:
        # The database itself lets nobody change role; here it is made to, to see that the judge looks as well.
        unit.session.connection().exec_driver_sql("DROP TRIGGER people_keep_their_role")
        row = unit.session.get(PersonRow, plant.engineer.id)
        assert row is not None
        row.role, row.company = Role.AUDITOR, None
        unit.session.add(row)
    assert refused(plant, client.connect()) == "policy.person_not_active"


def test_requests_and_proofs_show_no_bytes(plant: Plant) -> None:
    request = plant.a_client(plant.a_grant()).connect()
    # An id may end in a b before its quote: what counts is a quote that opens after the b.
    assert re.search(r"(?<!\w)b['\"]", repr(request)) is None
    assert blob_of(plant.a_client(plant.a_grant()).certificate_line)


def test_no_credential_leaves_for_a_target_that_was_retired_in_between(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.world.targets.retire("psn_sec", plant.target.id)
    assert _lease_error(plant, admitted).code == "targets.retired"
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.PENDING
