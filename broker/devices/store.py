"""The tables of devices and invites."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, func, or_, update
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.devices.model import Device, DeviceState
from broker.devices.rules import HIGHEST_MARK


class InviteRow(SQLModel, table=True):
    """A one-use knock identity and client certificate.

    The private key is not kept; the knock key lies sealed until the invite is used.
    """

    __tablename__ = "device_invites"
    __table_args__ = (CheckConstraint(f"mark BETWEEN 1 AND {HIGHEST_MARK}", name="mark_range"),)

    id: str = Field(primary_key=True, max_length=40)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    invited_by: str = Field(foreign_key="people.id", max_length=40)
    code_hash: bytes = Field(sa_type=LargeBinary)
    public_key: bytes = Field(sa_type=LargeBinary)
    certificate_sha256: bytes = Field(sa_type=LargeBinary)
    knock_key_sealed: bytes = Field(sa_type=LargeBinary)
    mark: int = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeviceRow(SQLModel, table=True):
    """A workstation. `knock_key_sealed` is emptied when it is retired.

    While a renewal is under way the `next_` columns hold what the device was given; it is in force beside the old until
    the device first connects with its new certificate.
    """

    __tablename__ = "devices"
    __table_args__ = (CheckConstraint(f"mark BETWEEN 1 AND {HIGHEST_MARK}", name="mark_range"),)

    id: str = Field(primary_key=True, max_length=40)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    invite_id: str = Field(foreign_key="device_invites.id", max_length=40, unique=True)
    name: str = Field(max_length=80)
    state: DeviceState = Field(sa_type=enum_column(DeviceState), index=True)
    key_storage: str = Field(max_length=40)
    operating_system: str = Field(max_length=80)
    short_code: str = Field(max_length=9)
    public_key: bytes = Field(sa_type=LargeBinary, unique=True)
    certificate: bytes = Field(sa_type=LargeBinary)
    certificate_not_after: datetime = Field(sa_type=UtcDateTime)
    knock_key_sealed: bytes = Field(sa_type=LargeBinary)
    next_certificate: bytes | None = Field(default=None, sa_type=LargeBinary)
    next_certificate_not_after: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_knock_key_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    mark: int = Field(unique=True)
    allow_header_address: bool = True
    loose_clock: bool = False
    invited_by: str = Field(foreign_key="people.id", max_length=40)
    enrolled_at: datetime = Field(sa_type=UtcDateTime)
    trusted_by: str | None = Field(default=None, foreign_key="people.id", max_length=40)
    trusted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_knock_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    resumed_by: str | None = Field(default=None, max_length=40)


class SiteKeyRow(SQLModel, table=True):
    """A site key that replaced the one before; the first one of a site lies in a file."""

    __tablename__ = "site_keys"

    id: str = Field(primary_key=True, max_length=40)
    sealed: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_type=UtcDateTime, index=True)


def device_of(row: DeviceRow) -> Device:
    """A row as a value, without its knock key."""
    return Device(
        id=row.id,
        person_id=row.person_id,
        name=row.name,
        state=row.state,
        short_code=row.short_code,
        key_storage=row.key_storage,
        operating_system=row.operating_system,
        public_key=row.public_key,
        certificate_der=row.certificate,
        certificate_not_after=row.certificate_not_after,
        mark=row.mark,
        allow_header_address=row.allow_header_address,
        loose_clock=row.loose_clock,
        renewal_pending=row.next_certificate is not None,
        invited_by=row.invited_by,
        enrolled_at=row.enrolled_at,
        trusted_by=row.trusted_by,
        trusted_at=row.trusted_at,
        last_knock_at=row.last_knock_at,
        resumed_by=row.resumed_by,
    )


def devices(session: Session, *, limit: int, before: str | None) -> list[Device]:
    """Devices from the newest back."""
    query = select(DeviceRow).order_by(col(DeviceRow.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(DeviceRow.id) < before)
    return [device_of(row) for row in session.exec(query).all()]


def next_mark(session: Session) -> int:
    """A mark that no device or invite has had. Rows are never deleted, so marks are never used again."""
    highest = [session.exec(select(func.max(table.mark))).one() or 0 for table in (DeviceRow, InviteRow)]
    return max(highest) + 1


def burn(session: Session, invite_id: str, now: datetime) -> bool:
    """Use up an invite; whether this call was the one that did. The knock key is erased with it."""
    done = session.connection().execute(
        update(InviteRow)
        .where(col(InviteRow.id) == invite_id, col(InviteRow.used_at).is_(None), col(InviteRow.expires_at) > now)
        .values(used_at=now, knock_key_sealed=b"")
    )
    return done.rowcount == 1


def trusted_devices(session: Session, now: datetime) -> Sequence[DeviceRow]:
    """Devices that may knock now."""
    query = (
        select(DeviceRow)
        .where(
            DeviceRow.state == DeviceState.TRUSTED,
            or_(col(DeviceRow.certificate_not_after) > now, col(DeviceRow.next_certificate_not_after) > now),
        )
        .order_by(col(DeviceRow.id))
    )
    return session.exec(query).all()


def shut_out_marks(session: Session) -> Sequence[int]:
    """The marks of suspended and retired devices."""
    shut_out = (DeviceState.SUSPENDED, DeviceState.RETIRED)
    query = select(DeviceRow.mark).where(col(DeviceRow.state).in_(shut_out)).order_by(col(DeviceRow.mark))
    return session.exec(query).all()


def open_invites(session: Session, now: datetime) -> Sequence[InviteRow]:
    """Invites that may knock now."""
    query = (
        select(InviteRow)
        .where(col(InviteRow.used_at).is_(None), col(InviteRow.expires_at) > now)
        .order_by(col(InviteRow.id))
    )
    return session.exec(query).all()


def note_knock(session: Session, device_id: str, at: datetime) -> None:
    """Remember when a device last knocked; never back in time, and nothing for an invite."""
    row = session.get(DeviceRow, device_id)
    if row is not None and (row.last_knock_at is None or row.last_knock_at < at):
        row.last_knock_at = at
        session.add(row)
