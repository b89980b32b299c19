"""The client's keys: D, the device key (a file), and S, the SSH key of one sign-in (memory only)."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_pem_private_key,
    load_ssh_public_identity,
)

from spa_knock.client.errors import ClientError
from spa_knock.client.home import read_private


def renewal_is_due(certificate: x509.Certificate, site_seconds: float) -> bool:
    """Whether less than half of the certificate's life is left at the site's time (pure)."""
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return site_seconds > (begins + ends) / 2


class CertificateError(ValueError):
    """A certificate is not the one that was asked for."""


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_device_key(path: Path) -> Ed25519PrivateKey:
    """D from its file, which must be ours alone. Raises ClientError."""
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except FileNotFoundError:
        why = "the file is missing"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "the file is damaged"
    else:
        if isinstance(key, Ed25519PrivateKey):
            return key
        why = "it is not an Ed25519 key"
    raise ClientError(
        "home_damaged",
        f"The device key {path} cannot be used",
        why,
        "Enrol again with a new invite: sally enroll --replace INVITE",
    )


def bind_of(key: Ed25519PublicKey) -> bytes:
    """What a knock names of the key that will connect: SHA-256 of its DER SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def signing_request(key: Ed25519PrivateKey) -> str:
    """A PKCS #10 request (PEM) for the device certificate, without a subject: the site decides every name in it."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, None)
    return request.public_bytes(Encoding.PEM).decode()


def check_device_certificate(pem: str, key: Ed25519PrivateKey) -> x509.Certificate:
    """The first certificate of the chain, which must be for our key. Raises CertificateError."""
    try:
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        ours = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("it is not a certificate") from None
    if not ours:
        raise CertificateError("it is for another key")
    return certificate


@dataclass(frozen=True)
class SshCertificate:
    """An OpenSSH user certificate for S, valid from `valid_after` until `valid_before` (seconds since the epoch)."""

    blob: bytes
    serial: int
    valid_after: int
    valid_before: int


class SessionKey:
    """S: made at sign-in, never written anywhere, gone with the agent."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def __repr__(self) -> str:
        return "SessionKey(***)"

    @property
    def public_line(self) -> str:
        return self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    @property
    def bind(self) -> bytes:
        return bind_of(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def read_certificate(self, line: str) -> SshCertificate:
        """An OpenSSH certificate line, which must be a user certificate for this key. Raises CertificateError."""
        try:
            certificate = load_ssh_public_identity(line.encode())
            blob = base64.b64decode(line.split()[1], validate=True)
        except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error):
            raise CertificateError("it is not an OpenSSH certificate") from None
        if not isinstance(certificate, SSHCertificate) or certificate.type is not SSHCertificateType.USER:
            raise CertificateError("it is not a user certificate")
        if certificate.public_key() != self._key.public_key():
            raise CertificateError("it is for another key")
        return SshCertificate(blob, certificate.serial, certificate.valid_after, certificate.valid_before)
