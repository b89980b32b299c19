"""The device authority: client certificates for devices and invites, and the reading of certificate requests."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.devices.errors import request_unfit

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

_LONGEST_REQUEST: Final = 8 * 1024
_BACKDATED: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate and the chain that leads to the authority."""

    der: bytes = field(repr=False)
    chain_pem: str = field(repr=False)
    not_after: datetime


def spki(public_key: PublicKey) -> bytes:
    """A public key as DER SubjectPublicKeyInfo."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def device_uri(device_id: str) -> str:
    """The name of a device in its certificate."""
    return f"urn:sallyport:device:{device_id}"


def invite_uri(invite_id: str) -> str:
    """The name of an invite in its certificate."""
    return f"urn:sallyport:invite:{invite_id}"


class DeviceAuthority:
    """The certificate authority of devices.

    `certificate_pem` is its certificate, then whatever leads up to the root.
    """

    def __init__(self, certificate_pem: bytes, private_key: PrivateKey) -> None:
        self._certificates: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(certificate_pem)
        self._key = private_key
        if self._certificates[0].public_key() != private_key.public_key():
            raise ValueError("the device authority's key does not belong to its certificate")

    def issue(
        self, uri: str, common_name: str, public_key: PublicKey, now: datetime, valid: dt.timedelta
    ) -> IssuedCertificate:
        """A client certificate for this key, valid from five minutes ago (clocks differ) to `now + valid`.

        It ends no later than the authority's own certificate.
        """
        issuer = self._certificates[0]
        not_after = min(now + valid, issuer.not_valid_after_utc).replace(microsecond=0)
        not_before = max(now - _BACKDATED, issuer.not_valid_before_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(issuer.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNING_ONLY, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(_authority_key_identifier(issuer), critical=False)
            .sign(self._key, None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        )
        der = certificate.public_bytes(Encoding.DER)
        return IssuedCertificate(der=der, chain_pem=self.chain_pem(der), not_after=not_after)

    def chain_pem(self, certificate_der: bytes) -> str:
        """A certificate that was issued here, with the chain that leads to the authority."""
        issuer = self._certificates[0]
        above = [one for one in self._certificates if one.subject != one.issuer or one is issuer]
        chain = [x509.load_der_x509_certificate(certificate_der), *above]
        return "".join(one.public_bytes(Encoding.PEM).decode() for one in chain)


def requested_key(csr_pem: str) -> PublicKey:
    """The public key of a certificate request (RFC 2986) whose signature proves that the sender holds its private half.

    Nothing else of the request is used. Raises Invalid `devices.request_unfit` (too long, malformed, another kind of
    key than Ed25519 or P-256, signature wrong).
    """
    if len(csr_pem) > _LONGEST_REQUEST:
        raise request_unfit("too_long")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
        proved = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, TypeError):
        raise request_unfit("malformed") from None
    if not isinstance(key, ed25519.Ed25519PublicKey) and not (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        raise request_unfit("key_kind")
    if not proved:
        raise request_unfit("signature")
    return key


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


_SIGNING_ONLY: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
