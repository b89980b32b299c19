"""Device key, session key and their certificates."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client.errors import ClientError
from spa_knock.client.home import write_private
from spa_knock.client.keys import (
    CertificateError,
    SessionKey,
    bind_of,
    check_device_certificate,
    is_key_locked,
    key_content,
    load_device_key,
    private_pem,
    renewal_is_due,
    signing_request,
)
from tests.unit.spa_knock.client.fake_site import FakeSite, cert_pem, certify


def test_a_device_key_comes_back_from_its_file(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "device.key"
    write_private(path, private_pem(key))
    assert load_device_key(path).public_key() == key.public_key()


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n"])
def test_a_missing_or_damaged_device_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "device.key"
    if content is not None:
        write_private(path, content)
    with pytest.raises(ClientError, match="device key"):
        load_device_key(path)


def test_a_signing_request_proves_the_key_and_names_nothing() -> None:
    key = Ed25519PrivateKey.generate()
    request = x509.load_pem_x509_csr(signing_request(key).encode())
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert len(request.subject) == 0


def test_a_device_certificate_must_be_for_our_key() -> None:
    ours, other, ca = (Ed25519PrivateKey.generate() for _ in range(3))
    pem = cert_pem(certify("device", ours.public_key(), ("ca", ca)))
    assert check_device_certificate(pem, ours)
    for text, key in ((pem, other), ("nothing", ours)):
        with pytest.raises(CertificateError):
            check_device_certificate(text, key)


def test_a_session_key_shows_nothing_and_binds_itself() -> None:
    one, two = SessionKey(), SessionKey()
    assert repr(one) == "SessionKey(***)"
    assert one.public_line.startswith("ssh-ed25519 ")
    assert len(one.bind) == 32
    assert one.bind != two.bind
    assert len(one.sign(b"x")) == 64
    assert bind_of(Ed25519PrivateKey.generate().public_key()) != one.bind


def test_an_ssh_certificate_must_be_a_users_and_ours(tmp_path: Path) -> None:
    site = FakeSite(tmp_path)
    key = SessionKey()
    line = site.ssh_certificate("grt_1", key.public_line)
    certificate = key.read_certificate(line + " comment")
    assert certificate.valid_after < certificate.valid_before
    assert certificate.blob.startswith(b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com")
    for wrong in ("", "x", key.public_line, line[:-20], site.ssh_certificate("grt_1", SessionKey().public_line)):
        with pytest.raises(CertificateError):
            key.read_certificate(wrong)


def test_a_certificate_is_due_for_renewal_when_half_of_its_life_is_over() -> None:
    key = Ed25519PrivateKey.generate()
    certificate = certify("device", key.public_key(), ("ca", key))
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    assert not renewal_is_due(certificate, (begins + ends) / 2 - 1)
    assert renewal_is_due(certificate, (begins + ends) / 2 + 1)


def test_a_locked_key_opens_with_its_passphrase_and_says_when_it_needs_one(tmp_path: Path) -> None:
    key, path = Ed25519PrivateKey.generate(), tmp_path / "device.key"
    write_private(path, key_content(key, "correct horse"))
    assert is_key_locked(path)
    assert load_device_key(path, "correct horse").public_key() == key.public_key()
    for passphrase in (None, "wrong horse"):
        with pytest.raises(ClientError) as refused:
            load_device_key(path, passphrase)
        assert refused.value.code == "key_locked"
    with pytest.raises(ClientError, match="cannot be used"):
        key_content(key, "short")
    write_private(path, key_content(key, None))
    assert not is_key_locked(path)
    assert not is_key_locked(tmp_path / "absent")
