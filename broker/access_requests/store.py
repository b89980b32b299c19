"""The tables of access requests and approvals, and their queries."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func
from sqlmodel import Field, Session, SQLModel, col, select

from broker.access_requests.model import (
    REASON_CHARACTERS,
    REFUSAL_CHARACTERS,
    WORK_ORDER_CHARACTERS,
    AccessRequest,
    Approval,
    Notice,
    RequestState,
    Window,
    Wish,
)
from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table


class AccessRequestRow(SQLModel, table=True):
    """One request."""

    __tablename__ = "access_requests"

    id: str = Field(primary_key=True, max_length=40)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    device_id: str = Field(foreign_key="devices.id", max_length=40, index=True)
    source: str = Field(max_length=45)
    target_id: str = Field(foreign_key="targets.id", max_length=40, index=True)
    account: str = Field(max_length=64)
    protocol: str = Field(max_length=20)
    reason: str = Field(max_length=REASON_CHARACTERS)
    work_order: str = Field(max_length=WORK_ORDER_CHARACTERS)
    starts_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    duration_seconds: int
    state: RequestState = Field(sa_type=enum_column(RequestState), index=True)
    submitted_at: datetime = Field(sa_type=UtcDateTime)
    lapses_at: datetime = Field(sa_type=UtcDateTime, index=True)
    approved_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approved_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by: str | None = Field(default=None, max_length=40)
    decision_reason: str | None = Field(default=None, max_length=REFUSAL_CHARACTERS)
    notices_json: str


class AccessApprovalRow(SQLModel, table=True):
    """One person's yes to one request; the key lets nobody count twice."""

    __tablename__ = "access_approvals"

    request_id: str = Field(foreign_key="access_requests.id", primary_key=True, max_length=40)
    approver_id: str = Field(foreign_key="people.id", primary_key=True, max_length=40)
    at: datetime = Field(sa_type=UtcDateTime)
    duration_seconds: int


GUARDS: Final = (
    Guard(
        name="approvals_are_by_plant_admins",
        table="access_approvals",
        before="INSERT",
        refuses_when="NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.approver_id "
        "AND people.role = 'plant_admin')",
        words="only a plant administrator approves",
    ),
    Guard(
        name="approvals_are_by_others",
        table="access_approvals",
        before="INSERT",
        refuses_when="EXISTS (SELECT 1 FROM access_requests WHERE access_requests.id = NEW.request_id "
        "AND access_requests.person_id = NEW.approver_id)",
        words="nobody approves their own request",
    ),
)
guard_table(SQLModel.metadata.tables["access_approvals"], *GUARDS)


def request_of(row: AccessRequestRow) -> AccessRequest:
    """A row as a value."""
    window = None
    if row.approved_from is not None and row.approved_until is not None:
        window = Window(row.approved_from, row.approved_until)
    return AccessRequest(
        id=row.id,
        person_id=row.person_id,
        device_id=row.device_id,
        source=row.source,
        target_id=row.target_id,
        account=row.account,
        protocol=row.protocol,
        wish=Wish(row.reason, row.work_order, row.starts_at, timedelta(seconds=row.duration_seconds)),
        state=row.state,
        submitted_at=row.submitted_at,
        lapses_at=row.lapses_at,
        window=window,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        notices=tuple(Notice(code, value) for code, value in json.loads(row.notices_json)),
    )


def notices_json(notices: Sequence[Notice]) -> str:
    """Notices as they are stored."""
    return json.dumps([[notice.code, notice.value] for notice in notices])


def get(session: Session, request_id: str) -> AccessRequest | None:
    """One request."""
    row = session.get(AccessRequestRow, request_id)
    return request_of(row) if row is not None else None


def newest(
    session: Session,
    *,
    limit: int,
    before_id: str | None = None,
    state: RequestState | None = None,
    person_id: str | None = None,
) -> list[AccessRequest]:
    """Requests from the newest back (ids are ordered by time), older than `before_id`."""
    query = select(AccessRequestRow).order_by(col(AccessRequestRow.id).desc()).limit(limit)
    if before_id is not None:
        query = query.where(col(AccessRequestRow.id) < before_id)
    if state is not None:
        query = query.where(AccessRequestRow.state == state)
    if person_id is not None:
        query = query.where(AccessRequestRow.person_id == person_id)
    return [request_of(row) for row in session.exec(query).all()]


def count_of_person(session: Session, person_id: str, state: RequestState | None = None) -> int:
    """How many requests this person has made, of one state or of all."""
    query = select(func.count()).select_from(AccessRequestRow).where(AccessRequestRow.person_id == person_id)
    if state is not None:
        query = query.where(AccessRequestRow.state == state)
    return int(session.exec(query).one())


def last_source(session: Session, person_id: str) -> str | None:
    """The address of this person's latest request."""
    found = newest(session, limit=1, person_id=person_id)
    return found[0].source if found else None


def overdue(session: Session, now: datetime, limit: int) -> list[AccessRequestRow]:
    """Undecided requests whose time is over."""
    query = (
        select(AccessRequestRow)
        .where(AccessRequestRow.state == RequestState.SUBMITTED, col(AccessRequestRow.lapses_at) <= now)
        .limit(limit)
    )
    return list(session.exec(query).all())


def approvals(session: Session, request_id: str) -> list[Approval]:
    """The approvals of one request, oldest first."""
    return approvals_of(session, [request_id]).get(request_id, [])


def approvals_of(session: Session, request_ids: Sequence[str]) -> dict[str, list[Approval]]:
    """The approvals of these requests, oldest first."""
    query = (
        select(AccessApprovalRow)
        .where(col(AccessApprovalRow.request_id).in_(request_ids))
        .order_by(col(AccessApprovalRow.at), col(AccessApprovalRow.approver_id))
    )
    found: dict[str, list[Approval]] = {}
    for row in session.exec(query).all():
        found.setdefault(row.request_id, []).append(
            Approval(row.approver_id, row.at, timedelta(seconds=row.duration_seconds))
        )
    return found
