"""A device becomes known: somebody invites a person, and that person's computer enrols with the invite."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import select

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.sealing import Sealer, associated_data
from broker.devices import rules, store
from broker.devices.certificates import DeviceAuthority, device_uri, invite_uri, requested_key, spki
from broker.devices.errors import invite_refused, name_unfit, owner_not_found, request_unfit
from broker.devices.events import DeviceEnrolled, DeviceInvited, InviteBurnt
from broker.devices.invite_text import invite_text
from broker.devices.model import DayKey, DeviceState, Enrolment, EnrolmentRequest, Invite, Owners, SiteFacts
from broker.devices.store import DeviceRow, InviteRow
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import new_id

_KEY_BYTES: Final = 32
_CODE_BYTES: Final = 15


class DeviceEnrolments:
    """The use-cases of inviting and enrolling."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        *,
        authority: DeviceAuthority,
        facts: SiteFacts,
        owners: Owners,
        day_keys: Callable[[datetime], list[DayKey]],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._authority = authority
        self._facts = facts
        self._owners = owners
        self._day_keys = day_keys
        self._random = random

    def invite(self, actor: str, person_id: str) -> Invite:
        """Make an invite, good for one device of this person within 15 minutes.

        Raises NotFound unless the person is a vendor's engineer who is not suspended.
        """
        if person_id not in self._owners.able_owners({person_id}):
            raise owner_not_found()
        now = self._clock.now()
        invite_id, expires_at = new_id("inv", now), now + rules.INVITE_VALID
        key = Ed25519PrivateKey.generate()
        knock_key = self._random(_KEY_BYTES)
        code = secrets.token_urlsafe(_CODE_BYTES)
        certificate = self._authority.issue(invite_uri(invite_id), invite_id, key.public_key(), now, rules.INVITE_VALID)
        digest = hashlib.sha256(certificate.der).digest()
        with self._database.unit_of_work() as unit:
            unit.session.add(
                InviteRow(
                    id=invite_id,
                    person_id=person_id,
                    invited_by=actor,
                    code_hash=_code_hash(code),
                    public_key=spki(key.public_key()),
                    certificate_sha256=digest,
                    knock_key_sealed=self._sealer.seal(knock_key, knock_key_bound_to(invite_id)),
                    mark=store.next_mark(unit.session),
                    created_at=now,
                    expires_at=expires_at,
                )
            )
            unit.emit(
                DeviceInvited(actor=actor, subject=invite_id, person_id=person_id, certificate_sha256=digest.hex())
            )
        text = invite_text(
            self._facts,
            invite_id=invite_id,
            knock_key=knock_key,
            day_keys=self._day_keys(now),
            certificate_pem=certificate.chain_pem,
            private_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            code=code,
            expires_at_ms=milliseconds(expires_at),
        )
        return Invite(invite_id, person_id, text, expires_at)

    def enrol(self, request: EnrolmentRequest) -> Enrolment:
        """Turn an invite into a pending device; the invite is spent by it, and also by a wrong code.

        Raises Invalid for a certificate request or name that cannot be used (the invite stays good), and Forbidden
        `devices.invite_refused` for everything that is wrong with the invite.
        """
        public_key = requested_key(request.csr_pem)
        if not rules.is_device_name(request.device_name):
            raise name_unfit()
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            invite = unit.session.get(InviteRow, request.invite_id)
            if invite is None or not _is_same(invite.certificate_sha256, request.certificate_der):
                raise invite_refused()
            if invite.person_id not in self._owners.able_owners({invite.person_id}):
                raise invite_refused()
            if not store.burn(unit.session, invite.id, now):
                raise invite_refused()
            unit.session.refresh(invite)
            if hmac.compare_digest(invite.code_hash, _code_hash(request.code)):
                return self._enrol_within(unit, invite, request, spki(public_key), now)
            unit.emit(
                InviteBurnt(
                    actor="system:enrolment", subject=invite.id, person_id=invite.person_id, source=request.source
                )
            )
        raise invite_refused()

    def _enrol_within(
        self, unit: UnitOfWork, invite: InviteRow, request: EnrolmentRequest, public_key: bytes, now: datetime
    ) -> Enrolment:
        if unit.session.exec(select(DeviceRow.id).where(DeviceRow.public_key == public_key)).first() is not None:
            raise request_unfit("key_in_use")
        device_id, knock_key = new_id("dev", now), self._random(_KEY_BYTES)
        certificate = self._authority.issue(
            device_uri(device_id), device_id, requested_key(request.csr_pem), now, rules.CERTIFICATE_VALID
        )
        row = DeviceRow(
            id=device_id,
            person_id=invite.person_id,
            invite_id=invite.id,
            name=request.device_name,
            state=DeviceState.PENDING,
            key_storage=request.posture.key_storage,
            operating_system=request.posture.operating_system,
            short_code=rules.short_code(public_key),
            public_key=public_key,
            certificate=certificate.der,
            certificate_not_after=certificate.not_after,
            knock_key_sealed=self._sealer.seal(knock_key, knock_key_bound_to(device_id)),
            mark=store.next_mark(unit.session),
            invited_by=invite.invited_by,
            enrolled_at=now,
        )
        unit.session.add(row)
        unit.emit(
            DeviceEnrolled(
                actor=invite.person_id,
                subject=device_id,
                person_id=invite.person_id,
                invite_id=invite.id,
                name=row.name,
                key_storage=row.key_storage,
                certificate_sha256=hashlib.sha256(certificate.der).hexdigest(),
                short_code=row.short_code,
                source=request.source,
            )
        )
        return Enrolment(store.device_of(row), certificate.chain_pem, knock_key, tuple(self._day_keys(now)))

    def verify_invite(self, invite_id: str, certificate_der: bytes) -> None:
        """Check a connection made with an invite.

        Raises Forbidden `devices.invite_refused` unless the invite is unused, in time, and this is its certificate.
        """
        with self._database.reading() as session:
            row = session.get(InviteRow, invite_id)
            if (
                row is None
                or row.used_at is not None
                or row.expires_at <= self._clock.now()
                or not _is_same(row.certificate_sha256, certificate_der)
            ):
                raise invite_refused()


def knock_key_bound_to(device_id: str) -> bytes:
    """The associated data of a sealed knock key: it opens for this device or invite only."""
    return associated_data("knock key", {"device_id": device_id})


def _code_hash(code: str) -> bytes:
    return hashlib.sha256(b"sallyport invite code\0" + code.encode()).digest()


def _is_same(certificate_sha256: bytes, certificate_der: bytes) -> bool:
    return hmac.compare_digest(certificate_sha256, hashlib.sha256(certificate_der).digest())
