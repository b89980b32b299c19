from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.devices.certificates import DeviceAuthority, device_uri, requested_key
from broker.devices.testing import NOON, some_authorities
from broker.kernel.errors import Invalid
from tests.unit.broker.devices.requests import a_request


def test_a_certificate_is_for_clients_only_and_names_its_device() -> None:
    authorities, key = some_authorities(), ed25519.Ed25519PrivateKey.generate()
    issued = authorities.devices.issue(device_uri("dev_1"), "dev_1", key.public_key(), NOON, timedelta(days=365))
    certificate = x509.load_der_x509_certificate(issued.der)
    certificate.verify_directly_issued_by(authorities.device_ca)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:sallyport:device:dev_1"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc == issued.not_after == NOON + timedelta(days=365)
    assert certificate.not_valid_before_utc == NOON - timedelta(minutes=5)


def test_the_chain_holds_the_authority_and_not_the_root() -> None:
    authorities, key = some_authorities(), ed25519.Ed25519PrivateKey.generate()
    issued = authorities.devices.issue("urn:x", "x", key.public_key(), NOON, timedelta(days=1))
    chain = x509.load_pem_x509_certificates(issued.chain_pem.encode())
    assert [one.subject for one in chain[1:]] == [authorities.device_ca.subject]


def test_a_certificate_never_outlives_its_authority() -> None:
    authorities, key = some_authorities(), ed25519.Ed25519PrivateKey.generate()
    issued = authorities.devices.issue("urn:x", "x", key.public_key(), NOON, timedelta(days=365 * 50))
    assert issued.not_after == authorities.device_ca.not_valid_after_utc


def test_an_authority_with_an_elliptic_curve_key_signs_too() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "EC authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    authority = DeviceAuthority(certificate.public_bytes(Encoding.PEM), key)
    issued = authority.issue("urn:x", "x", key.public_key(), NOON, timedelta(hours=1))
    x509.load_der_x509_certificate(issued.der).verify_directly_issued_by(certificate)
    with pytest.raises(ValueError, match="does not belong"):
        DeviceAuthority(certificate.public_bytes(Encoding.PEM), ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())])
def test_a_request_gives_its_key(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    assert requested_key(a_request(key)) == key.public_key()


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    mine, others = (a_request(ed25519.Ed25519PrivateKey.generate()) for _ in range(2))
    der = bytearray(x509.load_pem_x509_csr(mine.encode()).public_bytes(Encoding.DER))
    der[-64:] = x509.load_pem_x509_csr(others.encode()).signature
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(Invalid) as refusal:
        requested_key(forged)
    assert refusal.value.params == {"fault": "signature"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "malformed"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "malformed"),
        ("x" * 9000, "too_long"),
    ],
)
def test_what_is_no_request_is_refused(text: str, fault: str) -> None:
    with pytest.raises(Invalid) as refusal:
        requested_key(text)
    assert refusal.value.params == {"fault": fault}


def test_other_kinds_of_keys_are_refused() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(Invalid) as refusal:
            requested_key(a_request(key))
        assert refusal.value.params == {"fault": "key_kind"}
