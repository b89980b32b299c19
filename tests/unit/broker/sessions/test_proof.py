import base64
import struct
from dataclasses import replace

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.grants.certificates import SshUserAuthority
from broker.sessions.model import SshProof
from broker.sessions.proof import ProofRefused, check_issued, read_signed_data, verify_userauth
from tests.unit.broker.sessions.plant import Plant, a_session_key, signed_data, text


@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_signed_data_are_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(ProofRefused):
        read_signed_data(data)


@given(identifier=st.binary(max_size=64), username=st.text(max_size=20), blob=st.binary(max_size=64))
def test_signed_data_is_read_as_it_was_written(identifier: bytes, username: str, blob: bytes) -> None:
    data = signed_data(identifier, username, b"kind", blob)
    read = read_signed_data(data)
    assert (read.session_identifier, read.username, read.algorithm, read.certificate) == (
        identifier,
        username,
        b"kind",
        blob,
    )
    with pytest.raises(ProofRefused):
        read_signed_data(data + b"\0")


@pytest.mark.parametrize(
    "data",
    [
        text(b"i" * 32) + b"\x33" + text(b"u") + text(b"ssh-connection") + text(b"publickey") + b"\x01",
        text(b"i" * 32) + b"\x32" + text(b"u") + text(b"ssh-userauth") + text(b"publickey") + b"\x01",
        text(b"i" * 32) + b"\x32" + text(b"u") + text(b"ssh-connection") + text(b"password") + b"\x01",
        text(b"i" * 32) + b"\x32" + text(b"u") + text(b"ssh-connection") + text(b"publickey") + b"\x00",
        text(b"i" * 32) + b"\x32" + text(b"\xff") + text(b"ssh-connection") + text(b"publickey") + b"\x01",
        struct.pack(">I", 2**32 - 1),
    ],
)
def test_another_request_is_no_signed_public_key_request(data: bytes) -> None:
    with pytest.raises(ProofRefused):
        read_signed_data(data + text(b"a") + text(b"c"))


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_every_flipped_bit_of_a_proof_is_refused(plant: Plant, kind: str) -> None:
    client = plant.a_client(plant.a_grant(), a_session_key(kind))
    proof = client.proof()
    authority = plant.grants.authority
    assert verify_userauth(proof, "maint", authority).grant_id == client.grant.id

    @given(data=st.data())
    def flipped(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(["certificate", "signed_data", "signature", "session_identifier"]))
        value = bytearray(getattr(proof, name))
        at = data.draw(st.integers(0, len(value) - 1))
        value[at] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(ProofRefused):
            verify_userauth(replace(proof, **{name: bytes(value)}), "maint", authority)

    flipped()


def test_asyncssh_signs_what_we_verify(plant: Plant) -> None:
    grant = plant.a_grant()
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
        key = asyncssh.generate_private_key(kind)
        issued = plant.grants.certify(plant.holder, grant.id, key.export_public_key().decode())
        certificate = asyncssh.import_certificate(issued.line)
        pair = asyncssh.load_keypairs([(key, certificate)])[0]
        data = signed_data(b"s" * 32, "maint", pair.algorithm, pair.public_data)
        proof = SshProof(pair.public_data, data, pair.sign(data), b"s" * 32)
        assert verify_userauth(proof, "maint", plant.grants.authority).serial == issued.serial


def test_a_signature_in_another_form_is_refused(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant(), a_session_key("p256"))
    proof = client.proof()
    negative = text(b"ecdsa-sha2-nistp256") + text(text(b"\xff" * 32) + text(b"\x01"))
    empty = text(b"ecdsa-sha2-nistp256") + text(text(b"") + text(b""))
    other_kind = text(b"ssh-ed25519") + text(b"\0" * 64)
    longer = proof.signature + b"\0"
    for signature in (negative, empty, other_kind, longer, b""):
        with pytest.raises(ProofRefused):
            verify_userauth(replace(proof, signature=signature), "maint", plant.grants.authority)


def test_a_certificate_counts_only_as_it_was_handed_out(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    certificate = plant.grants.authority.read(client.certificate_line.encode())
    with plant.world.database.reading() as session:
        issued = plant.grants.certificate_within(session, certificate.serial)
    assert issued is not None
    assert check_issued(certificate, issued).key_sha256 == certificate.key_sha256
    for other in (
        None,
        replace(issued, revoked_at=issued.valid_after),
        replace(issued, grant_id="grt_x"),
        replace(issued, device_id="dev_x"),
        replace(issued, source="203.0.113.99"),
        replace(issued, key_sha256=bytes(32)),
    ):
        with pytest.raises(ProofRefused):
            check_issued(certificate, other)


def test_another_authoritys_certificate_is_refused(plant: Plant) -> None:
    client = plant.a_client(plant.a_grant())
    stranger = SshUserAuthority.of_asyncssh(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(ProofRefused) as caught:
        verify_userauth(client.proof(), "maint", stranger)
    assert caught.value.code == "sessions.certificate_refused"
    assert base64.b64encode(client.proof().signature).decode() not in caught.value.message
