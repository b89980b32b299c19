"""Builders for the tests of other domains. Nothing here is used by the product."""

import datetime as dt
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from broker.adapters.db.database import Database
from broker.adapters.sealing import Sealer
from broker.devices import rules, store
from broker.devices.certificates import DeviceAuthority, PrivateKey, device_uri, invite_uri, spki
from broker.devices.enrolment import knock_key_bound_to
from broker.devices.model import Device, DeviceState, Endpoint, SiteFacts
from broker.devices.store import DeviceRow, InviteRow
from broker.kernel.ids import new_id
from spa_knock.wire.keys import audience_of

NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Authorities:
    """A site's root and device authority."""

    root: x509.Certificate
    devices: DeviceAuthority
    device_ca: x509.Certificate

    @property
    def root_pem(self) -> str:
        """The root's certificate."""
        return self.root.public_bytes(Encoding.PEM).decode()

    @property
    def audience(self) -> bytes:
        """The site's audience."""
        key = self.root.public_key()
        assert isinstance(key, ed25519.Ed25519PublicKey)  # noqa: S101 - made so just below
        return audience_of(spki(key))


def some_authorities(now: datetime = NOON) -> Authorities:
    """A root and a device authority below it, valid for ten years from the day before `now`."""
    root_key, device_key = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    root = _authority("Test site root", root_key, None, root_key, now)
    device_ca = _authority("Test device authority", device_key, root, root_key, now)
    chain = device_ca.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    return Authorities(root, DeviceAuthority(chain, device_key), device_ca)


def site_facts(authorities: Authorities) -> SiteFacts:
    """Facts of a site with that root."""
    return SiteFacts(
        name="North plant",
        audience_hex=authorities.audience.hex(),
        root_pem=authorities.root_pem,
        vendor_face=Endpoint("198.51.100.10", 443),
        vendor_face_name="vendor.north.sallyport",
        ssh=Endpoint("198.51.100.10", 22),
        knock_host="198.51.100.10",
        knock_ports=(62201,),
        ssh_domain="plant",
        host_ca="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        host_key_alias="north.sallyport",
    )


@dataclass(frozen=True)
class BuiltDevice:
    """A device in the registry, with what only the laptop has."""

    device: Device
    private_key: PrivateKey = field(repr=False)
    knock_key: bytes = field(repr=False)


def a_device(
    database: Database,
    sealer: Sealer,
    authorities: Authorities,
    *,
    person_id: str,
    invited_by: str,
    trusted_by: str | None = None,
    state: DeviceState = DeviceState.TRUSTED,
    name: str = "service-laptop",
    at: datetime = NOON,
) -> BuiltDevice:
    """A device of this person, enrolled at that moment by an invite of `invited_by`; both people must exist."""
    key, knock_key = ed25519.Ed25519PrivateKey.generate(), secrets.token_bytes(32)
    device_id, invite_id, public_key = new_id("dev", at), new_id("inv", at), spki(key.public_key())
    certificate = authorities.devices.issue(
        device_uri(device_id), device_id, key.public_key(), at, rules.CERTIFICATE_VALID
    )
    used = authorities.devices.issue(invite_uri(invite_id), invite_id, key.public_key(), at, rules.INVITE_VALID)
    with database.unit_of_work() as unit:
        unit.session.add(
            InviteRow(
                id=invite_id,
                person_id=person_id,
                invited_by=invited_by,
                code_hash=b"",
                public_key=public_key,
                certificate_sha256=used.der[:32],
                knock_key_sealed=b"",
                mark=store.next_mark(unit.session),
                created_at=at,
                expires_at=at,
                used_at=at,
            )
        )
        unit.session.flush()
        row = DeviceRow(
            id=device_id,
            person_id=person_id,
            invite_id=invite_id,
            name=name,
            state=state,
            key_storage="file",
            operating_system="Debian 12",
            short_code=rules.short_code(public_key),
            public_key=public_key,
            certificate=certificate.der,
            certificate_not_after=certificate.not_after,
            knock_key_sealed=sealer.seal(knock_key, knock_key_bound_to(device_id)),
            mark=store.next_mark(unit.session),
            invited_by=invited_by,
            enrolled_at=at,
            trusted_by=None if state is DeviceState.PENDING else trusted_by or invited_by,
            trusted_at=None if state is DeviceState.PENDING else at,
        )
        unit.session.add(row)
    return BuiltDevice(store.device_of(row), key, knock_key)


def _authority(
    name: str, key: PrivateKey, issuer: x509.Certificate | None, issuer_key: PrivateKey, now: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(issuer_key, None)
    )
