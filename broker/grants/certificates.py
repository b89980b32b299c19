"""SSH user certificates of the OpenSSH kind (PROTOCOL.certkeys): made and read, as functions of values and a CA key.

The key id is `<grant id>/<device id>`; the only critical option is `source-address`, the only extension `permit-pty`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

import asyncssh
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
    load_ssh_public_key,
)

from broker.grants import errors

SessionKey = Ed25519PublicKey | EllipticCurvePublicKey
COMMON_PRINCIPAL: Final = "sallyport"
_SOURCE_ADDRESS: Final = b"source-address"
_PERMIT_PTY: Final = b"permit-pty"
_LONGEST_LINE: Final = 1024
_LONGEST_CERTIFICATE: Final = 8192


class CertificateRefused(Exception):
    """A certificate is not one that this authority makes, or is altered."""


@dataclass(frozen=True)
class CertificateWish:
    """What a certificate shall say."""

    key: SessionKey
    serial: int
    grant_id: str
    device_id: str
    principals: Sequence[str]
    source: str
    valid_after: datetime
    valid_before: datetime


@dataclass(frozen=True)
class UserCertificate:
    """What a verified certificate says. `key_sha256` is the SHA-256 of its key's DER SubjectPublicKeyInfo."""

    key: SessionKey
    key_sha256: bytes
    serial: int
    grant_id: str
    device_id: str
    principals: tuple[str, ...]
    source: str
    valid_after: datetime
    valid_before: datetime


class SshUserAuthority:
    """The certificate authority for the vendors' session keys. The private key stays inside."""

    def __init__(self, private_key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        self._public = _spki(private_key.public_key())

    def __repr__(self) -> str:
        return "SshUserAuthority(***)"

    @classmethod
    def of_asyncssh(cls, key: asyncssh.SSHKey) -> "SshUserAuthority":
        """The authority of a key that asyncssh read.

        Raises TypeError unless it is a private Ed25519 or ECDSA key.
        """
        private_key = key.pyca_key
        if not isinstance(private_key, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise TypeError("a user authority needs a private Ed25519 or ECDSA key")
        return cls(private_key)

    @property
    def public_line(self) -> str:
        """The authority's public key as an OpenSSH line, for those who must trust it."""
        return self._private_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def issue(self, wish: CertificateWish) -> str:
        """The signed certificate as one OpenSSH line."""
        builder = (
            SSHCertificateBuilder()
            .public_key(wish.key)
            .serial(wish.serial)
            .type(SSHCertificateType.USER)
            .key_id(f"{wish.grant_id}/{wish.device_id}".encode())
            .valid_principals([principal.encode() for principal in wish.principals])
            .valid_after(int(wish.valid_after.timestamp()))
            .valid_before(int(wish.valid_before.timestamp()))
            .add_critical_option(_SOURCE_ADDRESS, str(ip_address(wish.source)).encode())
            .add_extension(_PERMIT_PTY, b"")
        )
        return builder.sign(self._private_key).public_bytes().decode()

    def read(self, line: bytes) -> UserCertificate:
        """What a certificate of this authority says.

        Raises CertificateRefused when another key signed it, it was altered, or it holds anything that this authority
        never writes. Validity in time and revocation are not checked here.
        """
        certificate = _parsed(line)
        try:
            signed_by_us = _spki(certificate.signature_key()) == self._public
            certificate.verify_cert_signature()
        except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
            raise CertificateRefused("the certificate's signature does not hold") from error
        if not signed_by_us:
            raise CertificateRefused("the certificate comes from another authority")
        return _facts(certificate)


def session_key(line: str) -> SessionKey:
    """The public key in an OpenSSH line.

    Raises Invalid unless it is a plain (uncertified) Ed25519 or ECDSA P-256 key.
    """
    if len(line) > _LONGEST_LINE or "-cert-v0" in line:
        raise errors.key_not_usable()
    try:
        key = load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise errors.key_not_usable() from None
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise errors.key_not_usable()


def spki_sha256(key: SessionKey) -> bytes:
    """The SHA-256 of a key's DER SubjectPublicKeyInfo: what a knock's `bind` holds."""
    return hashlib.sha256(_spki(key)).digest()


def _spki(key: object) -> bytes:
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise CertificateRefused("the key is neither Ed25519 nor ECDSA")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _parsed(line: bytes) -> SSHCertificate:
    if len(line) > _LONGEST_CERTIFICATE:
        raise CertificateRefused("the certificate is too long")
    try:
        certificate = load_ssh_public_identity(line)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRefused("this is no SSH certificate") from error
    if not isinstance(certificate, SSHCertificate):
        raise CertificateRefused("this is a bare key, not a certificate")
    return certificate


def _facts(certificate: SSHCertificate) -> UserCertificate:
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise CertificateRefused("the certified key is neither Ed25519 nor ECDSA")
    if certificate.type is not SSHCertificateType.USER:
        raise CertificateRefused("the certificate is not a user's")
    if set(certificate.critical_options) != {_SOURCE_ADDRESS} or set(certificate.extensions) != {_PERMIT_PTY}:
        raise CertificateRefused("the certificate holds options that this authority does not write")
    try:
        grant_id, _, device_id = certificate.key_id.decode("ascii").partition("/")
        principals = tuple(bytes(principal).decode() for principal in certificate.valid_principals)
        source = str(ip_address(certificate.critical_options[_SOURCE_ADDRESS].decode("ascii")))
        valid_after = datetime.fromtimestamp(certificate.valid_after, UTC)
        valid_before = datetime.fromtimestamp(certificate.valid_before, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise CertificateRefused("the certificate holds fields that this authority does not write") from error
    if not principals or not grant_id or not device_id:
        raise CertificateRefused("the certificate names nobody, no grant or no device")
    return UserCertificate(
        key=key,
        key_sha256=spki_sha256(key),
        serial=certificate.serial,
        grant_id=grant_id,
        device_id=device_id,
        principals=principals,
        source=source,
        valid_after=valid_after,
        valid_before=valid_before,
    )
