"""The table of accepted knocks."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime
from broker.knock_link.model import KnockFact


class KnockRow(SQLModel, table=True):
    """An accepted knock. Devices and invites share one id column, and grants lie above: both without foreign keys."""

    __tablename__ = "knocks"

    id: str = Field(primary_key=True, max_length=24)
    device_id: str = Field(max_length=40, index=True)
    door: int
    grant_id: str | None = Field(default=None, max_length=40, index=True)
    address: str = Field(max_length=45)
    window_seconds: int
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    signed_knock: bytes = Field(sa_type=LargeBinary)


def add(session: Session, fact: KnockFact) -> bool:
    """Store a knock; whether it is new. The guard may tell one twice when its link was lost."""
    if session.get(KnockRow, fact.knock_id) is not None:
        return False
    session.add(
        KnockRow(
            id=fact.knock_id,
            device_id=fact.device_id,
            door=fact.door,
            grant_id=fact.grant_id,
            address=fact.address,
            window_seconds=fact.window_seconds,
            at=fact.at,
            signed_knock=fact.signed_knock,
        )
    )
    return True


def find(session: Session, knock_id: str) -> KnockFact | None:
    """The knock of that id (its nonce in hex)."""
    row = session.get(KnockRow, knock_id)
    return _fact_of(row) if row is not None else None


def latest_of_device(session: Session, device_id: str) -> KnockFact | None:
    """The last accepted knock of a device."""
    query = select(KnockRow).where(KnockRow.device_id == device_id).order_by(col(KnockRow.at).desc()).limit(1)
    row = session.exec(query).first()
    return _fact_of(row) if row is not None else None


def _fact_of(row: KnockRow) -> KnockFact:
    return KnockFact(
        knock_id=row.id,
        device_id=row.device_id,
        door=row.door,
        grant_id=row.grant_id,
        address=row.address,
        window_seconds=row.window_seconds,
        at=row.at,
        signed_knock=row.signed_knock,
    )
