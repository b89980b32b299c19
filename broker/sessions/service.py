"""The use-cases of sessions: admit, lease, renew, order an end; and what a reader sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from broker.adapters.db.database import Database, UnitOfWork
from broker.audit.health import TrailHealth
from broker.devices.model import Device
from broker.devices.service import DeviceService
from broker.grants.service import GrantService
from broker.identities.model import Person
from broker.identities.service import PeopleService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import is_id, new_id
from broker.policy.judge import judge
from broker.policy.model import Allow, Deny, Duty, NeedsApproval, NotProven, PolicyRules, Verdict
from broker.recordings.files import file_name_of
from broker.recordings.model import OpenedFacts
from broker.recordings.service import RecordingService
from broker.sessions import errors, rules, store
from broker.sessions.admission import FactsOfConnections, Gathered, identifier_sha256
from broker.sessions.events import (
    SessionAdmitted,
    SessionRefused,
    SessionStarted,
)
from broker.sessions.model import (
    AdmitAnswer,
    AdmitRequest,
    Admitted,
    GatewayIdentity,
    LeaseAnswer,
    OrderKind,
    SessionCommand,
    SessionRecord,
    SessionState,
)
from broker.sessions.orders import Orders
from broker.sessions.store import SessionRow, UsedProofRow
from broker.sessions.ways import Ways
from broker.targets.model import Target
from broker.targets.service import TargetService
from broker.vault.service import VaultService

_CONTROL: Final = "system:control"
_GATEWAY: Final = "system:gateway"


@dataclass(frozen=True)
class SessionView:
    """A session with what a reader needs to understand it."""

    record: SessionRecord
    person: Person
    device: Device
    target: Target
    has_recording: bool


class SessionsService:
    """Every session of the site. `audience` (8 bytes) is the site's, `unseal_public` the recordings' recipient.

    `unmask_publics`: the two auditors' keys that typed secrets are sealed to, or none.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        people: PeopleService,
        devices: DeviceService,
        targets: TargetService,
        vault: VaultService,
        grants: GrantService,
        recordings: RecordingService,
        policy: PolicyRules,
        audience: bytes,
        unseal_public: bytes,
        unmask_publics: tuple[bytes, ...] = (),
        trail: TrailHealth | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._people = people
        self._devices = devices
        self._targets = targets
        self._vault = vault
        self._grants = grants
        self._recordings = recordings
        self._policy = policy
        self._unseal_public = unseal_public
        self._unmask_publics = unmask_publics
        self._trail = trail
        self._facts = FactsOfConnections(
            people=people, devices=devices, targets=targets, grants=grants, audience=audience
        )
        self.orders = Orders()
        self.ways = Ways(database, clock, targets)

    # -- the gateway asks ---------------------------------------------------------------------------------------------

    def admit(self, request: AdmitRequest) -> AdmitAnswer:
        """Let a connection become a session, when every one of these holds:

        the knock carries the device's signature, is this connection's, for this site, fresh, for this protocol's door
        and grant, and binds the key that is certified; the certificate is our authority's, was handed out for this
        grant, device, key and address, is valid and not revoked; the client signed this very connection with it, and
        neither the connection nor the knock was admitted before; knock, certificate and connection have one address;
        the device is trusted and the person's and the grant's; the person is active; the grant is live, inside its
        window, for this account and protocol; and the policy allows it.
        """
        if not self._can_tell_the_trail():
            return self._untold()
        try:
            return self._admitted(request)
        except DBAPIError:
            if self._can_tell_the_trail():
                raise
            return self._untold()

    def _admitted(self, request: AdmitRequest) -> AdmitAnswer:
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            gathered = self._facts.gather(unit.session, request, new_id("prm", now))
            verdict = self._verdict(gathered, now)
            match verdict:
                case Allow() if isinstance(gathered, Gathered) and gathered.serial is not None:
                    return self._open(unit, request, gathered.serial, verdict, now)
                case Allow():
                    raise AssertionError("an allow without a verified certificate")
                case Deny() | NeedsApproval():
                    unit.emit(_refused(request, verdict))
                    return verdict

    def lease(
        self, gateway: GatewayIdentity, session_id: str, permit_id: str, recording: OpenedFacts, path: str
    ) -> LeaseAnswer:
        """Make a session live: its recording is open, its credential leased, once, in one transaction.

        `path` must end in the name that the recording's id gives its file; nothing else of it is used. Raises NotFound,
        Forbidden, Conflict (`sessions.not_in_state`, `vault.lease_spent`, `vault.detached`), Invalid, and Unavailable
        `audit_unavailable` while the trail cannot be written.
        """
        if not self._can_tell_the_trail():
            raise errors.trail_unavailable()
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            row = store.existing(unit.session, session_id)
            if row.worker != gateway.worker or row.boot_id != gateway.boot_id:
                raise errors.other_gateway()
            if row.permit_id != permit_id:
                raise errors.other_permit()
            if PurePath(path).name != file_name_of(row.recording_id):
                raise errors.other_recording()
            state = rules.moved(row.state, SessionCommand.START)
            if now >= row.not_after or not self._facts.still_holds(
                unit.session, row.grant_id, row.device_id, row.person_id
            ):
                raise errors.permit_over()
            row.state, row.started_at = state, now
            unit.session.add(row)
            unit.session.flush()
            self._recordings.open_within(unit, row.recording_id, row.id, recording)
            lease = self._vault.lease_within(unit, row.id, row.target_id, row.account)
            unit.emit(
                SessionStarted(
                    actor=row.person_id, subject=row.id, recording_id=row.recording_id, lease_id=lease.lease_id
                )
            )
            self.ways.open_within(unit.session, row.target_id, lease.address, lease.port, now)
        return LeaseAnswer(
            lease_id=lease.lease_id,
            address=lease.address,
            port=lease.port,
            host_key=lease.host_key,
            account=lease.account,
            kind=lease.kind.value,
            secret=lease.secret,
        )

    def renew(self, gateway: GatewayIdentity, session_id: str) -> datetime:
        """Until when the session's permit holds. Raises NotFound and Forbidden `sessions.permit_over`."""
        now = self._clock.now()
        with self._database.reading() as session:
            row = store.existing(session, session_id)
            if row.worker != gateway.worker:
                raise errors.other_gateway()
            if row.state is not SessionState.LIVE or now >= row.not_after:
                raise errors.permit_over()
            if not self._facts.seems_to_hold(session, row.grant_id, row.device_id, row.person_id):
                raise errors.permit_over()
            return row.not_after

    # -- ending sessions ----------------------------------------------------------------------------------------------

    def order_end(self, session_id: str, reason: str, *, actor: str = _CONTROL) -> SessionRecord:
        """Have a session ended by its gateway; `reason` is a code. A session that ends or is over stays as it is.

        Raises NotFound and Invalid.
        """
        code, now = rules.check_reason(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = store.existing(unit.session, session_id)
            self.orders.end_within(unit, row, OrderKind.END, code, actor, now)
            return store.record_of(row)

    def end_sessions_of_grant(self, grant_id: str, reason: str) -> int:
        """Have every open session under a grant ended; returns how many."""
        return self._order_ends(reason, grant_id=grant_id)

    def end_sessions_of_device(self, device_id: str, reason: str) -> int:
        """Have every open session from a device ended; returns how many."""
        return self._order_ends(reason, device_id=device_id)

    def end_sessions_of_person(self, person_id: str, reason: str) -> int:
        """Have every open session of a person ended; returns how many."""
        return self._order_ends(reason, person_id=person_id)

    def end_sessions_of_target(self, target_id: str, reason: str) -> int:
        """Have every open session to a target ended; returns how many."""
        return self._order_ends(reason, target_id=target_id)

    def end_sessions_with_credential(self, credential_id: str, reason: str) -> int:
        """Have every open session ended that was given this credential; returns how many."""
        leased = set(self._vault.sessions_with(credential_id))
        with self._database.reading() as session:
            ids = [row.id for row in store.open_sessions(session) if row.id in leased]
        for session_id in ids:
            self.order_end(session_id, reason)
        return len(ids)

    def end_sessions_from_elsewhere(
        self, device_id: str, source: str, reason: str, *, before: datetime | None = None
    ) -> int:
        """Have every open session of a device ended that came in from another address than this; returns how many.

        `before`: only those that were admitted before this moment; None means all.
        """
        with self._database.reading() as session:
            elsewhere = (row for row in store.open_sessions(session, device_id=device_id) if row.source != source)
            ids = [row.id for row in elsewhere if before is None or row.admitted_at < before]
        for session_id in ids:
            self.order_end(session_id, reason)
        return len(ids)

    # -- reading ------------------------------------------------------------------------------------------------------

    def sessions(
        self, *, limit: int, before_id: str | None = None, state: SessionState | None = None
    ) -> list[SessionView]:
        """Sessions from the newest back."""
        with self._database.reading() as session:
            return self._views(session, store.newest(session, limit=limit, before_id=before_id, state=state))

    def get(self, session_id: str) -> SessionView:
        """One session. Raises NotFound."""
        with self._database.reading() as session:
            return self._views(session, [store.record_of(store.existing(session, session_id))])[0]

    def count_open(self) -> int:
        """How many sessions are not closed."""
        with self._database.reading() as session:
            return store.count_open(session)

    # -- when the trail cannot be written -----------------------------------------------------------------------------

    def _can_tell_the_trail(self) -> bool:
        return self._trail is None or self._trail.is_writable

    def _untold(self) -> Deny:
        refusal = errors.trail_unavailable()
        return Deny(
            rule_id="base.audit", policy_version=self._policy.version, code=refusal.code, message=refusal.message
        )

    # -- inside a transaction -----------------------------------------------------------------------------------------

    def _verdict(self, gathered: Gathered | NotProven, now: datetime) -> Verdict:
        if isinstance(gathered, NotProven):
            return Deny(
                rule_id="base.default",
                policy_version=self._policy.version,
                code=gathered.code,
                message=gathered.message,
            )
        return judge(gathered.facts, self._policy, now)

    def _open(self, unit: UnitOfWork, request: AdmitRequest, serial: int, verdict: Allow, now: datetime) -> Admitted:
        permit = verdict.permit
        row = SessionRow(
            id=new_id("ses", now),
            grant_id=permit.grant_id,
            person_id=permit.person_id,
            device_id=permit.device_id,
            source=permit.source,
            source_port=request.source_port,
            target_id=permit.target_id,
            account=permit.account,
            protocol=permit.protocol,
            permit_id=permit.permit_id,
            recording_id=new_id("rec", now),
            knock_id=request.knock_id,
            worker=request.gateway.worker,
            boot_id=request.gateway.boot_id,
            policy_version=verdict.policy_version,
            rule_id=verdict.rule_id,
            autonomy_seconds=int(permit.autonomy.total_seconds()),
            must_be_watched=Duty.WATCHED in permit.duties,
            state=SessionState.PENDING,
            not_after=permit.not_after,
            admitted_at=now,
        )
        unit.session.add(row)
        unit.session.flush()
        unit.session.add(
            UsedProofRow(
                identifier_sha256=identifier_sha256(request), knock_id=request.knock_id, session_id=row.id, at=now
            )
        )
        self._grants.activate_within(unit, permit.grant_id)
        unit.emit(
            SessionAdmitted(
                actor=permit.person_id,
                subject=row.id,
                grant_id=permit.grant_id,
                person_id=permit.person_id,
                device_id=permit.device_id,
                source=permit.source,
                target_id=permit.target_id,
                account=permit.account,
                protocol=permit.protocol,
                permit_id=permit.permit_id,
                recording_id=row.recording_id,
                knock_id=request.knock_id,
                certificate_serial=str(serial),
                rule_id=verdict.rule_id,
                policy_version=verdict.policy_version,
                not_after_ms=milliseconds(permit.not_after),
            )
        )
        return Admitted(row.id, row.recording_id, verdict, self._unseal_public, self._unmask_publics)

    def _order_ends(
        self,
        reason: str,
        *,
        grant_id: str | None = None,
        device_id: str | None = None,
        person_id: str | None = None,
        target_id: str | None = None,
    ) -> int:
        with self._database.reading() as session:
            rows = store.open_sessions(session, grant_id=grant_id, device_id=device_id, person_id=person_id)
            ids = [row.id for row in rows if target_id in (None, row.target_id)]
        for session_id in ids:
            self.order_end(session_id, reason)
        return len(ids)

    def _views(self, session: Session, records: Sequence[SessionRecord]) -> list[SessionView]:
        people: Mapping[str, Person] = self._people.several_within(session, {one.person_id for one in records})
        devices = self._devices.several_within(session, {one.device_id for one in records})
        targets = self._targets.several_within(session, {one.target_id for one in records})
        recorded = self._recordings.known_within(session, {one.recording_id for one in records})
        return [
            SessionView(
                record=one,
                person=people[one.person_id],
                device=devices[one.device_id],
                target=targets[one.target_id],
                has_recording=one.recording_id in recorded,
            )
            for one in records
        ]


def _refused(request: AdmitRequest, verdict: Deny | NeedsApproval) -> SessionRefused:
    return SessionRefused(
        actor=_GATEWAY,
        subject=request.grant_id if is_id("grt", request.grant_id) else "none",
        device_id=request.device_id[:40],
        grant_id=request.grant_id[:40],
        source=request.source[:45],
        protocol=request.protocol[:20],
        knock_id=request.knock_id[:24],
        refusal=verdict.code if isinstance(verdict, Deny) else "policy.needs_approval",
        rule_id=verdict.rule_id,
        policy_version=verdict.policy_version,
    )
