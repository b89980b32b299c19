"""The site's keys: made once by `sallyport init`, read by the process that owns each.

Private keys of the authorities lie sealed under the key-encryption key; the site root's key and the recovery key of
backups lie in a folder of their own, to be moved off the machine. SECURITY's key table says what each is for.
"""

import hashlib
import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.adapters.sealing import Sealer, associated_data
from broker.app.layout import Layout
from broker.app.settings import Settings
from recorder.seal import generate_recipient

_ROOT_DAYS: Final = 3650
_LEAF_DAYS: Final = 397
_BACKDATE: Final = timedelta(hours=1)
KEY_ENCRYPTION_KEY: Final = "key-encryption.key"
RECEIPT_KEY: Final = "receipts.key"


class AlreadyInitialised(Exception):
    """This site has keys; making new ones would lock out every device and unseal nothing."""


@dataclass(frozen=True)
class ControlKeys:
    """What the control plane holds in memory once its authorities are unsealed."""

    sealer: Sealer
    device_authority_key: ec.EllipticCurvePrivateKey
    device_authority_pem: bytes
    user_authority: asyncssh.SSHKey
    site_key: bytes
    recording_unseal_private: bytes
    recording_unseal_public: bytes
    checkpoint_key: ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Pair:
    """A server's private key and certificate as their files hold them, and when the certificate ends."""

    key: bytes = field(repr=False)
    certificate: bytes
    not_after: datetime


def vendor_face_name(site_name: str) -> str:
    """The name in the vendor face's certificate."""
    return f"vendor.{site_name}.sallyport"


def host_key_alias(site_name: str) -> str:
    """The name under which SSH clients know the SSH door."""
    return f"sallyport-{site_name}"


def audience_of(root_pem: bytes) -> bytes:
    """Who a knock is for: the first 8 bytes of the hash of the site root's public key."""
    key = x509.load_pem_x509_certificate(root_pem).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()[:8]


def evidence_public(layout: Layout) -> bytes:
    """The raw public key of the gateway's evidence. Raises TypeError when the file holds another kind of key."""
    key = serialization.load_pem_public_key(layout.evidence_public.read_bytes())
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TypeError(f"{layout.evidence_public} holds no Ed25519 key")
    return key.public_bytes_raw()


def receipts_public(layout: Layout) -> bytes:
    """The raw public key of the archive's receipts. Raises OSError, ValueError."""
    key = serialization.load_pem_public_key(layout.receipts_public.read_bytes())
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ValueError(f"{layout.receipts_public} holds no Ed25519 key")
    return key.public_bytes_raw()


def initialise(settings: Settings, now: datetime, *, give_away: bool = True) -> None:
    """Make every key of a new site and, with `give_away`, hand each to the user that owns it (needs root).

    Raises AlreadyInitialised when the site root exists.
    """
    layout = Layout.of(settings)
    if layout.site_root.exists():
        raise AlreadyInitialised(f"{layout.site_root} exists: this site has its keys already")
    for folder in layout.folders(settings):
        folder.path.mkdir(parents=True, exist_ok=True)
        if give_away:
            os.chown(folder.path, folder.uid, folder.gid)
        folder.path.chmod(folder.mode)
    name = settings.site.name
    gateway, control = (settings.users.gateway, settings.users.control) if give_away else (None, None)
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _authority(f"Sallyport site root {name}", root_key, now)
    _write(layout.offline / "site-root.key", _pem(root_key), None)

    recovery_key = x25519.X25519PrivateKey.generate()
    _write(layout.offline / "recovery.key", _pem(recovery_key), None)

    front = server_pair(root, root_key, [x509.DNSName(vendor_face_name(name))], now)
    _write(layout.gateway / "front.key", front.key, gateway)
    _write(layout.gateway / "front.pem", front.certificate, gateway)
    plant_names = [x509.IPAddress(ipaddress.ip_address(settings.plant_face.host)), x509.DNSName(f"{name}.sallyport")]
    plant = server_pair(root, root_key, plant_names, now)
    _write(layout.control / "plant-face.key", plant.key, control)
    _write(layout.control / "plant-face.pem", plant.certificate, control)

    host_authority = asyncssh.generate_private_key("ssh-ed25519")
    door = _host_pair(host_authority, name, now)
    _write(layout.gateway / "ssh_host_key", door.key, gateway)
    _write(layout.gateway / "ssh_host_key-cert.pub", door.certificate, gateway)
    evidence_key = ed25519.Ed25519PrivateKey.generate()
    _write(layout.gateway / "evidence.key", _pem(evidence_key), gateway)

    sealer = _make_key_encryption_key(layout.control, control)
    device_key = ec.generate_private_key(ec.SECP256R1())
    device_authority = _authority(f"Sallyport device CA {name}", device_key, now)
    user_authority = asyncssh.generate_private_key("ssh-ed25519")
    unseal_private, unseal_public = generate_recipient()
    checkpoint_key = ed25519.Ed25519PrivateKey.generate()
    sealed = {
        "device-ca": _pem(device_key),
        "ssh-user-ca": user_authority.export_private_key(),
        "ssh-host-ca": host_authority.export_private_key(),
        "site-key": secrets.token_bytes(32),
        "recording-unseal": unseal_private,
        "checkpoint": checkpoint_key.private_bytes_raw(),
    }
    for part, secret in sealed.items():
        _write(layout.control / f"{part}.sealed", sealer.seal(secret, _bound(part)), control)
    _write(layout.control / "recording-unseal.pub", unseal_public, control)

    _publish(layout.evidence_public, _public_pem(evidence_key))
    _publish(layout.checkpoint_public, _public_pem(checkpoint_key))
    _publish(layout.recovery_public, _public_pem(recovery_key))
    _publish(layout.device_authority, _certificate(device_authority))
    _publish(layout.user_authority, user_authority.export_public_key())
    _publish(layout.host_authority, host_authority.export_public_key())
    make_receipt_key(settings, give_away=give_away)
    _publish(layout.site_root, _certificate(root))


def make_receipt_key(settings: Settings, *, give_away: bool = True) -> bool:
    """Make the key that signs the archive's receipts unless there is one; whether it was made.

    A backup has none: a restored site makes another, and the gateway then believes only the new one.
    """
    layout = Layout.of(settings)
    if layout.receipts_public.exists() and (layout.archive / RECEIPT_KEY).exists():
        return False
    layout.archive.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = settings.users.archive if give_away else None
    if owner is not None:
        os.chown(layout.archive, owner, owner)
    key = ed25519.Ed25519PrivateKey.generate()
    (layout.archive / RECEIPT_KEY).unlink(missing_ok=True)  # of a start that was killed
    _write(layout.archive / RECEIPT_KEY, _pem(key), owner)
    _publish(layout.receipts_public, _public_pem(key))
    return True


def server_pair(
    issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], now: datetime
) -> Pair:
    """A new key for a TLS server, and its certificate by the site root."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf(issuer, issuer_key, key, names, now)
    return Pair(_pem(key), _certificate(certificate), certificate.not_valid_after_utc)


def ssh_door_pair(layout: Layout, site_name: str, now: datetime) -> Pair:
    """A new host key for the SSH door, and its certificate by the site's host authority, which is unsealed for it."""
    sealer = Sealer.from_file(layout.control / KEY_ENCRYPTION_KEY)
    sealed = (layout.control / "ssh-host-ca.sealed").read_bytes()
    return _host_pair(asyncssh.import_private_key(sealer.open(sealed, _bound("ssh-host-ca"))), site_name, now)


def _host_pair(authority: asyncssh.SSHKey, site_name: str, now: datetime) -> Pair:
    key, not_after = asyncssh.generate_private_key("ssh-ed25519"), now + timedelta(days=_LEAF_DAYS)
    certificate = authority.generate_host_certificate(
        key, "ssh-door", principals=[host_key_alias(site_name)], valid_after=now - _BACKDATE, valid_before=not_after
    )
    return Pair(key.export_private_key(), certificate.export_certificate(), not_after)


def open_control_keys(layout: Layout) -> ControlKeys:
    """Unseal what the control plane needs; call it as the control plane's user."""
    sealer = Sealer.from_file(layout.control / KEY_ENCRYPTION_KEY)

    def unseal(part: str) -> bytes:
        return sealer.open((layout.control / f"{part}.sealed").read_bytes(), _bound(part))

    device_key = serialization.load_pem_private_key(unseal("device-ca"), None)
    if not isinstance(device_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the device authority's key is not an elliptic-curve key")
    return ControlKeys(
        sealer=sealer,
        device_authority_key=device_key,
        device_authority_pem=layout.device_authority.read_bytes(),
        user_authority=asyncssh.import_private_key(unseal("ssh-user-ca")),
        site_key=unseal("site-key"),
        recording_unseal_private=unseal("recording-unseal"),
        recording_unseal_public=(layout.control / "recording-unseal.pub").read_bytes(),
        checkpoint_key=ed25519.Ed25519PrivateKey.from_private_bytes(unseal("checkpoint")),
    )


def _bound(part: str) -> bytes:
    return associated_data("site-authority", {"part": part})


def _make_key_encryption_key(folder: Path, uid: int | None) -> Sealer:
    key = secrets.token_bytes(32)
    _write(folder / KEY_ENCRYPTION_KEY, key, uid)
    return Sealer(key)


def _authority(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=_ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))])
    return (
        x509.CertificateBuilder(issuer.subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=_LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _certificate(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, uid: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    if uid is not None:
        os.chown(path, uid, uid)


def _publish(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
