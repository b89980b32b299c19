"""The tables of grants and certificates, and their queries."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.grants.model import CertificateFacts, Grant, GrantState
from broker.grants.rules import LIVE_STATES


class GrantRow(SQLModel, table=True):
    """One grant; one request gives one at most."""

    __tablename__ = "grants"

    id: str = Field(primary_key=True, max_length=40)
    request_id: str = Field(foreign_key="access_requests.id", unique=True, max_length=40)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    device_id: str = Field(foreign_key="devices.id", max_length=40, index=True)
    target_id: str = Field(foreign_key="targets.id", max_length=40, index=True)
    account: str = Field(max_length=64)
    protocol: str = Field(max_length=20)
    not_before: datetime = Field(sa_type=UtcDateTime)
    not_after: datetime = Field(sa_type=UtcDateTime, index=True)
    approvals: int
    state: GrantState = Field(sa_type=enum_column(GrantState), index=True)
    issued_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_by: str | None = Field(default=None, max_length=80)
    end_reason: str | None = Field(default=None, max_length=500)


class SshCertificateRow(SQLModel, table=True):
    """One certificate: written before it is handed out."""

    __tablename__ = "ssh_certificates"

    serial: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    grant_id: str = Field(foreign_key="grants.id", max_length=40, index=True)
    device_id: str = Field(foreign_key="devices.id", max_length=40)
    person_id: str = Field(foreign_key="people.id", max_length=40)
    key_sha256: bytes = Field(sa_type=LargeBinary)
    source: str = Field(max_length=45)
    issued_at: datetime = Field(sa_type=UtcDateTime)
    valid_after: datetime = Field(sa_type=UtcDateTime)
    valid_before: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


def grant_of(row: GrantRow) -> Grant:
    """A row as a value."""
    return Grant(
        id=row.id,
        request_id=row.request_id,
        person_id=row.person_id,
        device_id=row.device_id,
        target_id=row.target_id,
        account=row.account,
        protocol=row.protocol,
        not_before=row.not_before,
        not_after=row.not_after,
        approvals=row.approvals,
        state=row.state,
        issued_at=row.issued_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        end_reason=row.end_reason,
    )


def by_request(session: Session, request_id: str) -> Grant | None:
    """The grant that a request gave."""
    row = session.exec(select(GrantRow).where(GrantRow.request_id == request_id)).first()
    return grant_of(row) if row is not None else None


def ids_by_request(session: Session, request_ids: Collection[str]) -> dict[str, str]:
    """The grants' ids by their requests'."""
    query = select(GrantRow.request_id, GrantRow.id).where(col(GrantRow.request_id).in_(request_ids))
    return dict(session.exec(query).all())


def newest(session: Session, *, limit: int, before_id: str | None = None, person_id: str | None = None) -> list[Grant]:
    """Grants from the newest back (ids are ordered by time), older than `before_id`."""
    query = select(GrantRow).order_by(col(GrantRow.id).desc()).limit(limit)
    if before_id is not None:
        query = query.where(col(GrantRow.id) < before_id)
    if person_id is not None:
        query = query.where(GrantRow.person_id == person_id)
    return [grant_of(row) for row in session.exec(query).all()]


def live_of_device(session: Session, device_id: str, now: datetime, limit: int) -> list[Grant]:
    """The device's grants that are not over, also those whose window is still to come, earliest first."""
    query = (
        select(GrantRow)
        .where(GrantRow.device_id == device_id, col(GrantRow.state).in_(LIVE_STATES), col(GrantRow.not_after) > now)
        .order_by(col(GrantRow.not_before), col(GrantRow.id))
        .limit(limit)
    )
    return [grant_of(row) for row in session.exec(query).all()]


def live_of_target(session: Session, target_id: str, limit: int) -> list[GrantRow]:
    """The target's grants that are not over."""
    query = select(GrantRow).where(GrantRow.target_id == target_id, col(GrantRow.state).in_(LIVE_STATES)).limit(limit)
    return list(session.exec(query).all())


def live(session: Session, now: datetime, limit: int) -> list[Grant]:
    """Every device's grants that are not over, also those whose window is still to come, earliest first."""
    query = (
        select(GrantRow)
        .where(col(GrantRow.state).in_(LIVE_STATES), col(GrantRow.not_after) > now)
        .order_by(col(GrantRow.not_before), col(GrantRow.id))
        .limit(limit)
    )
    return [grant_of(row) for row in session.exec(query).all()]


def over(session: Session, now: datetime, limit: int) -> list[GrantRow]:
    """Live grants whose window has ended."""
    query = select(GrantRow).where(col(GrantRow.state).in_(LIVE_STATES), col(GrantRow.not_after) <= now).limit(limit)
    return list(session.exec(query).all())


def certificate(session: Session, serial: int) -> CertificateFacts | None:
    """What is known of the certificate with this serial."""
    row = session.get(SshCertificateRow, serial)
    if row is None:
        return None
    return CertificateFacts(
        serial=row.serial,
        grant_id=row.grant_id,
        device_id=row.device_id,
        person_id=row.person_id,
        key_sha256=row.key_sha256,
        source=row.source,
        valid_after=row.valid_after,
        valid_before=row.valid_before,
        revoked_at=row.revoked_at,
    )


def revoke_certificates(session: Session, grant_id: str, at: datetime) -> None:
    """No certificate of this grant admits anybody any more."""
    query = select(SshCertificateRow).where(
        SshCertificateRow.grant_id == grant_id, col(SshCertificateRow.revoked_at).is_(None)
    )
    for row in session.exec(query).all():
        row.revoked_at = at
        session.add(row)
