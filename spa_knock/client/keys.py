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
from spa_knock.client.language import tr
from spa_knock.client.locked_key import WrongPassphrase, is_locked, lock, unlock


def renewal_is_due(certificate: x509.Certificate, site_seconds: float) -> bool:
    """Whether less than half of the certificate's life is left at the site's time (pure)."""
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return site_seconds > (begins + ends) / 2


class CertificateError(ValueError):
    """A certificate is not the one that was asked for."""


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_content(key: Ed25519PrivateKey, passphrase: str | None) -> bytes:
    """What the file of D holds. Raises ClientError for a passphrase that is too short."""
    if passphrase is None:
        return private_pem(key)
    try:
        return lock(key, passphrase)
    except ValueError as error:
        raise ClientError(
            "usage", tr("This passphrase cannot be used"), str(error), tr("Choose a longer one")
        ) from None


def is_key_locked(path: Path) -> bool:
    """Whether D needs a passphrase. Raises ClientError when the file is not ours alone."""
    try:
        return is_locked(read_private(path))
    except FileNotFoundError:
        return False


def load_device_key(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """D from its file, which must be ours alone. Raises ClientError, `key_locked` when it needs another passphrase."""
    try:
        content = read_private(path)
        if is_locked(content):
            if passphrase is None:
                raise key_is_locked()
            return unlock(content, passphrase)
        key = load_pem_private_key(content, password=None)
    except FileNotFoundError:
        why = tr("the file is missing")
    except WrongPassphrase as error:
        raise ClientError("key_locked", tr("The device key stays locked"), str(error), tr("Try again")) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = tr("the file is damaged")
    else:
        if isinstance(key, Ed25519PrivateKey):
            return key
        why = tr("it is not an Ed25519 key")
    raise ClientError(
        "home_damaged",
        tr("The device key {path} cannot be used", path=path),
        why,
        tr("Enrol again with a new invite: sally enroll --replace INVITE"),
    )


def key_is_locked() -> ClientError:
    """Nothing can be done with a key that nobody has unlocked."""
    return ClientError(
        "key_locked", tr("The device key is locked"), tr("it needs its passphrase"), tr("Run: sally login")
    )


def bind_of(key: Ed25519PublicKey) -> bytes:
    """What a knock names of the key that will connect: SHA-256 of its DER SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def signing_request(key: Ed25519PrivateKey) -> str:
    """A PKCS #10 request (PEM) for the device certificate, without a subject: the site decides every name in it."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, None)
    return request.public_bytes(Encoding.PEM).decode()


def first_certificate(pem: str) -> x509.Certificate:
    """The first certificate of the chain. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except ValueError:
        raise CertificateError(tr("it is not a certificate")) from None


def check_device_certificate(pem: str, key: Ed25519PrivateKey) -> x509.Certificate:
    """The first certificate of the chain, which must be for our key. Raises CertificateError."""
    certificate = first_certificate(pem)
    try:
        ours = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(tr("it is not a certificate")) from None
    if not ours:
        raise CertificateError(tr("it is for another key"))
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
            raise CertificateError(tr("it is not an OpenSSH certificate")) from None
        if not isinstance(certificate, SSHCertificate) or certificate.type is not SSHCertificateType.USER:
            raise CertificateError(tr("it is not a user certificate"))
        if certificate.public_key() != self._key.public_key():
            raise CertificateError(tr("it is for another key"))
        return SshCertificate(blob, certificate.serial, certificate.valid_after, certificate.valid_before)
