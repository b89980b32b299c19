"""The use-cases of access requests: submit, withdraw, approve, deny, lapse."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlmodel import Session

from broker.access_requests import errors, rules, store
from broker.access_requests.events import (
    AccessRequestApproved,
    AccessRequestDenied,
    AccessRequestEndorsed,
    AccessRequestLapsed,
    AccessRequestSubmitted,
    AccessRequestWithdrawn,
)
from broker.access_requests.model import (
    AccessRequest,
    Approval,
    Approved,
    Limits,
    NoticeFacts,
    RequestCommand,
    RequestState,
    StillWaiting,
    Wish,
)
from broker.access_requests.store import AccessApprovalRow, AccessRequestRow
from broker.adapters.db.database import Database, UnitOfWork
from broker.devices.model import Device, DeviceState
from broker.devices.service import DeviceService
from broker.identities.model import Person, PersonState, Role
from broker.identities.service import PeopleService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.errors import NotFound
from broker.kernel.ids import new_id
from broker.policy.judge import APPROVER_ROLE
from broker.policy.model import AccessRule, Effect, PolicyRules
from broker.targets.model import Target
from broker.targets.service import TargetService

_BATCH: Final = 100


@dataclass(frozen=True)
class Asker:
    """Who asks, from which device and address."""

    person_id: str
    device_id: str
    source: str


@dataclass(frozen=True)
class RequestView:
    """A request with what a reader needs to understand it."""

    request: AccessRequest
    person: Person
    device: Device
    target: Target
    approvals: Sequence[Approval]
    people: Mapping[str, Person]


class AccessRequestService:
    """Requests for access, and the decisions on them. `policy` says how many people must approve what."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        people: PeopleService,
        devices: DeviceService,
        targets: TargetService,
        policy: PolicyRules,
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._people = people
        self._devices = devices
        self._targets = targets
        self._policy = policy
        self._limits = limits if limits is not None else Limits()

    def submit(self, asker: Asker, target_name: str, account: str | None, wish: Wish) -> RequestView:
        """Ask for access to a target's account; without an account, to its only one.

        Raises Invalid `invalid`, NotFound for target or account, Conflict `targets.retired`, Forbidden
        `device_not_trusted` or `denied`, TooMany.
        """
        now = self._clock.now()
        wish = rules.check_wish(wish, self._limits, now)
        with self._database.unit_of_work() as unit:
            session = unit.session
            device = self._own_trusted_device(session, asker)
            target = self._target(session, target_name)
            username = _account_of(target, account)
            self._access_rule(target)
            waiting = store.count_of_person(session, asker.person_id, RequestState.SUBMITTED)
            if waiting >= self._limits.waiting_per_person:
                raise errors.too_many_waiting(self._limits.waiting_per_person)
            facts = NoticeFacts(
                earlier_requests=store.count_of_person(session, asker.person_id),
                key_storage=device.key_storage,
                source=asker.source,
                last_source=store.last_source(session, asker.person_id),
                device_trusted_at=device.trusted_at,
            )
            row = AccessRequestRow(
                id=new_id("req", now),
                person_id=asker.person_id,
                device_id=device.id,
                source=asker.source,
                target_id=target.id,
                account=username,
                protocol=target.protocol.value,
                reason=wish.reason,
                work_order=wish.work_order,
                starts_at=wish.starts_at,
                duration_seconds=int(wish.duration.total_seconds()),
                state=RequestState.SUBMITTED,
                submitted_at=now,
                lapses_at=rules.lapses_at(wish, self._limits, now),
                notices_json=store.notices_json(rules.notices(facts, now)),
            )
            session.add(row)
            session.flush()
            unit.emit(
                AccessRequestSubmitted(
                    actor=asker.person_id,
                    subject=row.id,
                    device_id=device.id,
                    target_id=target.id,
                    account=username,
                    source=asker.source,
                    work_order=wish.work_order,
                    reason=wish.reason,
                    starts_at_ms=milliseconds(wish.starts_at) if wish.starts_at is not None else None,
                    duration_seconds=row.duration_seconds,
                )
            )
            return self._views(session, [store.request_of(row)])[0]

    def withdraw(self, person_id: str, request_id: str) -> RequestView:
        """The requester takes an undecided request back. Raises NotFound and Conflict."""
        with self._database.unit_of_work() as unit:
            row = self._row(unit.session, request_id, of_person=person_id)
            row.state = rules.moved(row.state, RequestCommand.WITHDRAW)
            row.decided_at, row.decided_by = self._clock.now(), person_id
            unit.session.add(row)
            unit.emit(AccessRequestWithdrawn(actor=person_id, subject=row.id))
            return self._views(unit.session, [store.request_of(row)])[0]

    def approve(self, approver_id: str, request_id: str, duration: timedelta | None) -> RequestView:
        """Say yes; `duration` shortens what was asked, None leaves it. When enough people did, a grant follows.

        Raises NotFound, Conflict (for a retired target too), Invalid `access_requests.wider_than_asked`, and Forbidden
        for the requester, for who counted already, for who is no active plant administrator, and for who alone vouched
        for the device.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            session = unit.session
            row = self._row(session, request_id)
            self._check_approver(session, approver_id)
            request = store.request_of(row)
            device = self._devices.get_within(session, request.device_id)
            given = store.approvals(session, request.id)
            able = self._able_approvers(session, {approval.approver_id for approval in given})
            outcome = rules.approve(
                request,
                given,
                approver_id=approver_id,
                duration=duration,
                vouchers=device.vouchers,
                able=able,
                required=self._access_rule(self._targets.in_use_within(session, request.target_id)).approvals,
                now=now,
            )
            allowed = request.wish.duration if duration is None else duration
            session.add(
                AccessApprovalRow(
                    request_id=row.id,
                    approver_id=approver_id,
                    at=now,
                    duration_seconds=int(allowed.total_seconds()),
                )
            )
            match outcome:
                case StillWaiting(missing):
                    unit.emit(
                        AccessRequestEndorsed(
                            actor=approver_id,
                            subject=row.id,
                            person_id=row.person_id,
                            missing=missing,
                            duration_seconds=int(allowed.total_seconds()),
                        )
                    )
                case Approved():
                    self._settle_approved(unit, row, outcome, approver_id)
            session.flush()
            return self._views(session, [store.request_of(row)])[0]

    def deny(self, approver_id: str, request_id: str, reason: str) -> RequestView:
        """Say no, with a reason. Raises NotFound, Conflict, Invalid and Forbidden."""
        reason = rules.check_refusal(reason)
        with self._database.unit_of_work() as unit:
            row = self._row(unit.session, request_id)
            self._check_approver(unit.session, approver_id)
            row.state = rules.moved(row.state, RequestCommand.DENY)
            row.decided_at, row.decided_by, row.decision_reason = self._clock.now(), approver_id, reason
            unit.session.add(row)
            unit.emit(AccessRequestDenied(actor=approver_id, subject=row.id, person_id=row.person_id, reason=reason))
            return self._views(unit.session, [store.request_of(row)])[0]

    def lapse_overdue(self) -> int:
        """Let requests lapse that nobody decided in time, at most 100 a call; returns how many."""
        now, lapsed = self._clock.now(), 0
        with self._database.reading() as session:
            if not store.overdue(session, now, 1):
                return 0
        with self._database.unit_of_work() as unit:
            for row in store.overdue(unit.session, now, _BATCH):
                row.state = rules.moved(row.state, RequestCommand.LAPSE)
                row.decided_at = now
                unit.session.add(row)
                unit.emit(AccessRequestLapsed(actor="system:control", subject=row.id, person_id=row.person_id))
                lapsed += 1
        return lapsed

    # -- reading ------------------------------------------------------------------------------------------------------

    def get_within(self, session: Session, request_id: str) -> AccessRequest:
        """One request, read in the caller's transaction. Raises NotFound."""
        return store.request_of(self._row(session, request_id))

    def approvers_within(self, session: Session, request_id: str) -> set[str]:
        """Who approved a request, read in the caller's transaction."""
        return {approval.approver_id for approval in store.approvals(session, request_id)}

    def approval_count_within(self, session: Session, request_id: str) -> int:
        """How many people approved a request, read in the caller's transaction."""
        return len(store.approvals(session, request_id))

    def requests(
        self,
        *,
        limit: int,
        before_id: str | None = None,
        state: RequestState | None = None,
        person_id: str | None = None,
    ) -> list[RequestView]:
        """Requests from the newest back; `person_id` keeps one person's."""
        with self._database.reading() as session:
            found = store.newest(session, limit=limit, before_id=before_id, state=state, person_id=person_id)
            return self._views(session, found)

    def get(self, request_id: str, *, person_id: str | None = None) -> RequestView:
        """One request; with `person_id`, only if it is that person's. Raises NotFound."""
        with self._database.reading() as session:
            row = self._row(session, request_id, of_person=person_id)
            return self._views(session, [store.request_of(row)])[0]

    # -- inside a transaction -----------------------------------------------------------------------------------------

    def _settle_approved(self, unit: UnitOfWork, row: AccessRequestRow, outcome: Approved, approver_id: str) -> None:
        row.state = rules.moved(row.state, RequestCommand.APPROVE)
        row.approved_from, row.approved_until = outcome.window.not_before, outcome.window.not_after
        row.decided_at, row.decided_by = self._clock.now(), approver_id
        unit.session.add(row)
        unit.emit(
            AccessRequestApproved(
                actor=approver_id,
                subject=row.id,
                person_id=row.person_id,
                device_id=row.device_id,
                target_id=row.target_id,
                account=row.account,
                not_before_ms=milliseconds(outcome.window.not_before),
                not_after_ms=milliseconds(outcome.window.not_after),
                approvals=outcome.approvals,
            )
        )

    def _own_trusted_device(self, session: Session, asker: Asker) -> Device:
        device = self._devices.get_within(session, asker.device_id)
        if device.state is not DeviceState.TRUSTED or device.person_id != asker.person_id:
            raise errors.device_not_trusted()
        return device

    def _target(self, session: Session, name: str) -> Target:
        try:
            return self._targets.in_use_within(session, self._targets.named_within(session, name).id)
        except NotFound:
            raise errors.unknown_target(name) from None

    def _access_rule(self, target: Target) -> AccessRule:
        rule = self._policy.rule_for(protocol=target.protocol.value, zone_id=target.zone_id, target_id=target.id)
        if rule is None or rule.effect is Effect.DENY:
            raise errors.nothing_allows_it()
        return rule

    def _check_approver(self, session: Session, person_id: str) -> None:
        person = self._people.get_within(session, person_id)
        if person.role is not Role(APPROVER_ROLE) or person.state is not PersonState.ACTIVE:
            raise errors.approver_not_allowed()

    def _able_approvers(self, session: Session, person_ids: Collection[str]) -> set[str]:
        people = self._people.several_within(session, person_ids).values()
        return {one.id for one in people if one.role is Role(APPROVER_ROLE) and one.state is PersonState.ACTIVE}

    @staticmethod
    def _row(session: Session, request_id: str, of_person: str | None = None) -> AccessRequestRow:
        row = session.get(AccessRequestRow, request_id)
        if row is None or of_person not in (None, row.person_id):
            raise errors.not_found(request_id)
        return row

    def _views(self, session: Session, requests: Sequence[AccessRequest]) -> list[RequestView]:
        approvals = store.approvals_of(session, [request.id for request in requests])
        ids = {request.person_id for request in requests} | {
            request.decided_by for request in requests if request.decided_by is not None
        }
        ids |= {approval.approver_id for given in approvals.values() for approval in given}
        people = self._people.several_within(session, ids)
        devices = self._devices.several_within(session, {request.device_id for request in requests})
        targets = self._targets.several_within(session, {request.target_id for request in requests})
        return [
            RequestView(
                request,
                people[request.person_id],
                devices[request.device_id],
                targets[request.target_id],
                approvals.get(request.id, []),
                people,
            )
            for request in requests
        ]


def _account_of(target: Target, username: str | None) -> str:
    if username is None:
        if len(target.accounts) != 1:
            raise errors.invalid("account", "This target has several accounts: name one.")
        return target.accounts[0].username
    account = target.account_named(username)
    if account is None:
        raise errors.unknown_target(target.name)
    return account.username
