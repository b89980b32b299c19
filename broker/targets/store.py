"""The tables of zones, targets and accounts."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table
from broker.targets.model import Account, Protocol, Target, Zone


class ZoneRow(SQLModel, table=True):
    """A part of the plant's network."""

    __tablename__ = "zones"

    id: str = Field(primary_key=True, max_length=40)
    name: str = Field(max_length=80, unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class TargetRow(SQLModel, table=True):
    """A machine in exactly one zone. A retired one keeps its row, its name and its accounts, as its history needs."""

    __tablename__ = "targets"

    id: str = Field(primary_key=True, max_length=40)
    name: str = Field(max_length=63, unique=True)
    zone_id: str = Field(foreign_key="zones.id", max_length=40, index=True)
    address: str = Field(max_length=45)
    port: int
    protocol: Protocol = Field(sa_type=enum_column(Protocol))
    host_key: str = Field(max_length=4096)
    description: str = Field(max_length=500)
    created_at: datetime = Field(sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AccountRow(SQLModel, table=True):
    """A user name on a target."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("target_id", "username"),)

    id: str = Field(primary_key=True, max_length=40)
    target_id: str = Field(foreign_key="targets.id", max_length=40, index=True)
    username: str = Field(max_length=64)


GUARDS: Final = (
    Guard(
        name="targets_stay_retired",
        table="targets",
        before="UPDATE",
        refuses_when="OLD.retired_at IS NOT NULL",
        words="a retired target stays as it was",
    ),
)
guard_table(SQLModel.metadata.tables["targets"], *GUARDS)


def zone_of(row: ZoneRow) -> Zone:
    """A row as a value."""
    return Zone(row.id, row.name, row.created_at)


def zone_named(session: Session, name: str) -> ZoneRow | None:
    """The zone of that name."""
    return session.exec(select(ZoneRow).where(ZoneRow.name == name)).first()


def zones(session: Session, *, limit: int, after: str | None) -> list[Zone]:
    """Zones in the order they were made in."""
    query = select(ZoneRow).order_by(col(ZoneRow.id)).limit(limit)
    if after is not None:
        query = query.where(col(ZoneRow.id) > after)
    return [zone_of(row) for row in session.exec(query).all()]


def target_named(session: Session, name: str) -> TargetRow | None:
    """The target of that name."""
    return session.exec(select(TargetRow).where(TargetRow.name == name)).first()


def target_rows(session: Session, *, limit: int, after: str | None, only_in_use: bool = False) -> list[TargetRow]:
    """Targets in the order they were made in."""
    query = select(TargetRow).order_by(col(TargetRow.id)).limit(limit)
    if only_in_use:
        query = query.where(col(TargetRow.retired_at).is_(None))
    if after is not None:
        query = query.where(col(TargetRow.id) > after)
    return list(session.exec(query).all())


def targets_of(session: Session, rows: Iterable[TargetRow]) -> list[Target]:
    """Rows as values, with their zones' names and their accounts by name: two queries however many they are."""
    listed = list(rows)
    ids = [row.id for row in listed]
    names = {
        row.id: row.name
        for row in session.exec(select(ZoneRow).where(col(ZoneRow.id).in_({row.zone_id for row in listed}))).all()
    }
    accounts: dict[str, list[Account]] = {}
    query = select(AccountRow).where(col(AccountRow.target_id).in_(ids)).order_by(col(AccountRow.username))
    for row in session.exec(query).all():
        accounts.setdefault(row.target_id, []).append(Account(row.id, row.target_id, row.username))
    return [
        Target(
            id=row.id,
            name=row.name,
            zone_id=row.zone_id,
            zone_name=names[row.zone_id],
            address=row.address,
            port=row.port,
            protocol=row.protocol,
            host_key=row.host_key,
            description=row.description,
            accounts=tuple(accounts.get(row.id, ())),
            created_at=row.created_at,
            retired_at=row.retired_at,
        )
        for row in listed
    ]
