"""The use-cases of grants: issue, certify, finish, revoke, expire; and who may knock for what."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from broker.access_requests.model import RequestState
from broker.access_requests.service import AccessRequestService
from broker.adapters.db.database import Database, UnitOfWork
from broker.devices.model import Device, DeviceState
from broker.devices.service import DeviceService
from broker.grants import errors, rules, store
from broker.grants.certificates import (
    COMMON_PRINCIPAL,
    CertificateWish,
    SshUserAuthority,
    session_key,
    spki_sha256,
)
from broker.grants.events import CertificateIssued, GrantExpired, GrantFinished, GrantIssued, GrantRevoked
from broker.grants.model import (
    CertificateFacts,
    Grant,
    GrantCommand,
    GrantState,
    IssuedCertificate,
    LiveGrant,
)
from broker.grants.store import GrantRow, SshCertificateRow
from broker.identities.model import Person
from broker.identities.service import PeopleService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import new_id, raw
from broker.policy.model import DOORS
from broker.targets.model import Target
from broker.targets.service import TargetService

_BATCH: Final = 100
_ROSTER_GRANTS: Final = 100
_ROSTER_GRANTS_OF_ALL: Final = 100_000
_SERIAL_BITS: Final = 63
_TARGET_RETIRED: Final = "the target was retired"
_SELF_APPROVED: Final = "the device was let in again by the one who had approved this alone: ask for access anew"


@dataclass(frozen=True)
class Holder:
    """Who uses a grant, from which device and address."""

    person_id: str
    device_id: str
    source: str


@dataclass(frozen=True)
class GrantView:
    """A grant with what a reader needs to understand it."""

    grant: Grant
    person: Person
    device: Device
    target: Target


class GrantService:
    """Grants and the certificates under them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        requests: AccessRequestService,
        people: PeopleService,
        devices: DeviceService,
        targets: TargetService,
        authority: SshUserAuthority,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._database = database
        self._clock = clock
        self._requests = requests
        self._people = people
        self._devices = devices
        self._targets = targets
        self._authority = authority
        self._random_bits = random_bits

    @property
    def authority(self) -> SshUserAuthority:
        """The authority whose certificates admit vendors."""
        return self._authority

    def issue(self, request_id: str) -> Grant:
        """Make the grant of an approved request; the one there is when it was made before.

        Raises NotFound and Conflict `not_approved_yet`.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            known = store.by_request(unit.session, request_id)
            if known is not None:
                return known
            request = self._requests.get_within(unit.session, request_id)
            if request.state is not RequestState.APPROVED or request.window is None:
                raise errors.request_not_approved(request_id)
            row = GrantRow(
                id=new_id("grt", now),
                request_id=request.id,
                person_id=request.person_id,
                device_id=request.device_id,
                target_id=request.target_id,
                account=request.account,
                protocol=request.protocol,
                not_before=request.window.not_before,
                not_after=request.window.not_after,
                approvals=self._requests.approval_count_within(unit.session, request.id),
                state=GrantState.ISSUED,
                issued_at=now,
            )
            unit.session.add(row)
            unit.session.flush()
            unit.emit(
                GrantIssued(
                    actor=request.decided_by or "system:control",
                    subject=row.id,
                    request_id=request.id,
                    person_id=row.person_id,
                    device_id=row.device_id,
                    target_id=row.target_id,
                    account=row.account,
                    not_before_ms=milliseconds(row.not_before),
                    not_after_ms=milliseconds(row.not_after),
                )
            )
            return store.grant_of(row)

    def certify(self, holder: Holder, grant_id: str, public_key: str) -> IssuedCertificate:
        """Give the vendor's agent a certificate for its session key, for minutes, from this address only.

        `public_key` is an OpenSSH line of an Ed25519 or ECDSA P-256 key. Raises Invalid, NotFound, and Forbidden with
        `outside_window`, `device_not_trusted` or `denied`.
        """
        key = session_key(public_key)
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            session = unit.session
            grant = store.grant_of(self._row(session, grant_id, of_person=holder.person_id))
            rules.check_usable(grant, holder.device_id, now)
            device = self._devices.get_within(session, holder.device_id)
            if device.state is not DeviceState.TRUSTED:
                raise errors.device_not_trusted()
            person = self._people.get_within(session, holder.person_id)
            valid_after, valid_before = rules.certificate_times(grant, now)
            serial = self._fresh_serial(session)
            digest = spki_sha256(key)
            session.add(
                SshCertificateRow(
                    serial=serial,
                    grant_id=grant.id,
                    device_id=device.id,
                    person_id=person.id,
                    key_sha256=digest,
                    source=holder.source,
                    issued_at=now,
                    valid_after=valid_after,
                    valid_before=valid_before,
                )
            )
            unit.emit(
                CertificateIssued(
                    actor=person.id,
                    subject=grant.id,
                    serial=str(serial),
                    device_id=device.id,
                    key_sha256=digest.hex(),
                    source=holder.source,
                    valid_before_ms=milliseconds(valid_before),
                )
            )
        wish = CertificateWish(
            key=key,
            serial=serial,
            grant_id=grant.id,
            device_id=device.id,
            principals=tuple(dict.fromkeys((COMMON_PRINCIPAL, person.username, grant.account))),
            source=holder.source,
            valid_after=valid_after,
            valid_before=valid_before,
        )
        return IssuedCertificate(self._authority.issue(wish), serial, valid_before)

    def finish(self, holder: Holder, grant_id: str) -> GrantView:
        """The vendor gives the rest of the window back. Raises NotFound and Conflict `grants.not_in_state`."""
        with self._database.unit_of_work() as unit:
            row = self._row(unit.session, grant_id, of_person=holder.person_id)
            self._end(unit.session, row, GrantCommand.FINISH, by=holder.person_id, reason=None)
            unit.emit(GrantFinished(actor=holder.person_id, subject=row.id, device_id=row.device_id))
            return self._views(unit.session, [store.grant_of(row)])[0]

    def revoke(self, actor: str, grant_id: str, reason: str) -> GrantView:
        """Take a grant back at once. Raises NotFound, Invalid, and Conflict `grants.not_in_state`."""
        reason = rules.check_reason(reason)
        with self._database.unit_of_work() as unit:
            row = self._row(unit.session, grant_id)
            self._revoke(unit, row, actor, reason)
            return self._views(unit.session, [store.grant_of(row)])[0]

    def revoke_within(self, unit: UnitOfWork, actor: str, grant_id: str, reason: str) -> bool:
        """Take a grant back in the caller's transaction; False when it is over already. Raises NotFound."""
        row = self._row(unit.session, grant_id)
        if row.state not in rules.LIVE_STATES:
            return False
        self._revoke(unit, row, actor, reason)
        return True

    def revoke_unless_another_approved(self, device_id: str) -> int:
        """Take back a device's grants that only people approved who let the device in; returns how many.

        For a device that was suspended and let in again by the approver of a grant that still runs.
        """
        with self._database.unit_of_work() as unit:
            vouchers = self._devices.get_within(unit.session, device_id).vouchers
            now = self._clock.now()
            alone = [
                grant
                for grant in store.live_of_device(unit.session, device_id, now, _BATCH)
                if self._requests.approvers_within(unit.session, grant.request_id) <= vouchers
            ]
            for grant in alone:
                self.revoke_within(unit, "system:control", grant.id, _SELF_APPROVED)
            return len(alone)

    def revoke_of_target(self, actor: str, target_id: str) -> int:
        """Take back every grant of a target that was retired; returns how many."""
        revoked = 0
        while True:
            with self._database.unit_of_work() as unit:
                rows = store.live_of_target(unit.session, target_id, _BATCH)
                for row in rows:
                    self._revoke(unit, row, actor, _TARGET_RETIRED)
            if not rows:
                return revoked
            revoked += len(rows)

    def expire_over(self) -> int:
        """Expire grants whose window has ended, at most 100 a call; returns how many."""
        now, expired = self._clock.now(), 0
        with self._database.reading() as session:
            if not store.over(session, now, 1):
                return 0
        with self._database.unit_of_work() as unit:
            for row in store.over(unit.session, now, _BATCH):
                self._end(unit.session, row, GrantCommand.EXPIRE, by="system:control", reason=None)
                unit.emit(
                    GrantExpired(
                        actor="system:control", subject=row.id, person_id=row.person_id, device_id=row.device_id
                    )
                )
                expired += 1
        return expired

    # -- for other domains --------------------------------------------------------------------------------------------

    def live_grants(self) -> Mapping[str, Sequence[LiveGrant]]:
        """By device, the grants for which it may knock, also those whose window is still to come.

        One query, however many devices there are: the roster is built anew every few seconds.
        """
        with self._database.reading() as session:
            found = store.live(session, self._clock.now(), _ROSTER_GRANTS_OF_ALL)
        by_device: dict[str, list[LiveGrant]] = {}
        for grant in found:
            of_device = by_device.setdefault(grant.device_id, [])
            if len(of_device) < _ROSTER_GRANTS:
                told = LiveGrant(grant.id, raw(grant.id), DOORS[grant.protocol], grant.not_before, grant.not_after)
                of_device.append(told)
        return by_device

    def ids_by_request(self, request_ids: Collection[str]) -> Mapping[str, str]:
        """The grants' ids by their requests'."""
        with self._database.reading() as session:
            return store.ids_by_request(session, request_ids)

    def get_within(self, session: Session, grant_id: str) -> Grant:
        """One grant, read in the caller's transaction. Raises NotFound."""
        return store.grant_of(self._row(session, grant_id))

    def locked_within(self, session: Session, grant_id: str) -> Grant:
        """One grant, kept from changing until the caller's transaction ends. Raises NotFound.

        An admission and a revocation of the same grant thus never overlap (SQLite has one writer anyway).
        """
        row = session.get(GrantRow, grant_id, with_for_update=True)
        if row is None:
            raise errors.not_found(grant_id)
        return store.grant_of(row)

    def certificate_within(self, session: Session, serial: int) -> CertificateFacts | None:
        """What is known of the certificate with this serial, read in the caller's transaction."""
        return store.certificate(session, serial)

    def activate_within(self, unit: UnitOfWork, grant_id: str) -> None:
        """A session was admitted under this grant. Part of the session's own use-case, which tells the trail."""
        row = self._row(unit.session, grant_id)
        row.state = rules.moved(row.state, GrantCommand.ACTIVATE)
        unit.session.add(row)

    # -- reading ------------------------------------------------------------------------------------------------------

    def grants(self, *, limit: int, before_id: str | None = None, person_id: str | None = None) -> list[GrantView]:
        """Grants from the newest back; `person_id` keeps one person's."""
        with self._database.reading() as session:
            found = store.newest(session, limit=limit, before_id=before_id, person_id=person_id)
            return self._views(session, found)

    def get(self, grant_id: str, *, person_id: str | None = None) -> GrantView:
        """One grant; with `person_id`, only if it is that person's. Raises NotFound."""
        with self._database.reading() as session:
            return self._views(session, [store.grant_of(self._row(session, grant_id, of_person=person_id))])[0]

    # -- inside a transaction -----------------------------------------------------------------------------------------

    def _end(self, session: Session, row: GrantRow, command: GrantCommand, *, by: str, reason: str | None) -> None:
        now = self._clock.now()
        row.state = rules.moved(row.state, command)
        row.ended_at, row.ended_by, row.end_reason = now, by, reason
        session.add(row)
        store.revoke_certificates(session, row.id, now)

    def _revoke(self, unit: UnitOfWork, row: GrantRow, actor: str, reason: str) -> None:
        self._end(unit.session, row, GrantCommand.REVOKE, by=actor, reason=reason)
        unit.emit(
            GrantRevoked(actor=actor, subject=row.id, person_id=row.person_id, device_id=row.device_id, reason=reason)
        )

    def _fresh_serial(self, session: Session) -> int:
        while True:
            serial = self._random_bits(_SERIAL_BITS)
            if serial and store.certificate(session, serial) is None:
                return serial

    @staticmethod
    def _row(session: Session, grant_id: str, of_person: str | None = None) -> GrantRow:
        row = session.get(GrantRow, grant_id)
        if row is None or of_person not in (None, row.person_id):
            raise errors.not_found(grant_id)
        return row

    def _views(self, session: Session, grants: Sequence[Grant]) -> list[GrantView]:
        people = self._people.several_within(session, {grant.person_id for grant in grants})
        devices = self._devices.several_within(session, {grant.device_id for grant in grants})
        targets = self._targets.several_within(session, {grant.target_id for grant in grants})
        return [
            GrantView(grant, people[grant.person_id], devices[grant.device_id], targets[grant.target_id])
            for grant in grants
        ]
