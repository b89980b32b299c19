"""The table of receipts, what the database itself refuses about it, and its queries."""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, LargeBinary
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table
from broker.receipts.model import KeptReceipt, ReceiptState
from broker.sessions.model import SessionRecord, SessionState
from broker.sessions.store import SessionRow, record_of


class ReceiptRow(SQLModel, table=True):
    """What the device of one session said of it."""

    __tablename__ = "session_receipts"
    __table_args__ = (CheckConstraint("(state = 'missing') = (line IS NULL)", name="only_what_is_missing_has_no_line"),)

    session_id: str = Field(primary_key=True, foreign_key="sessions.id", max_length=40)
    device_id: str = Field(foreign_key="devices.id", max_length=40)
    state: ReceiptState = Field(sa_type=enum_column(ReceiptState), index=True)
    line: bytes | None = Field(default=None, sa_type=LargeBinary)
    refusal: str | None = Field(default=None, max_length=40)
    at: datetime = Field(sa_type=UtcDateTime)


GUARDS: Final = (
    Guard(
        name="receipts_are_never_rewritten",
        table="session_receipts",
        before="UPDATE",
        refuses_when="OLD.line IS NOT NULL OR NEW.line IS NULL "
        "OR NEW.session_id <> OLD.session_id OR NEW.device_id <> OLD.device_id",
        words="a receipt stays what the device signed",
    ),
    Guard(
        name="receipts_stay",
        table="session_receipts",
        before="DELETE",
        refuses_when="1 = 1",
        words="a receipt stays, and so does its absence",
    ),
)
guard_table(SQLModel.metadata.tables["session_receipts"], *GUARDS)


def kept_of(row: ReceiptRow) -> KeptReceipt:
    """A row as a value."""
    return KeptReceipt(
        session_id=row.session_id,
        device_id=row.device_id,
        state=row.state,
        line=row.line,
        refusal=row.refusal,
        at=row.at,
    )


def without_word(session: Session, device_id: str, *, ended_after: datetime, limit: int) -> list[SessionRecord]:
    """Sessions of a device that run, or ended after this moment and of which it has said nothing; oldest first."""
    spoken = select(ReceiptRow.session_id).where(col(ReceiptRow.line).is_not(None))
    query = (
        select(SessionRow)
        .where(
            SessionRow.device_id == device_id,
            col(SessionRow.started_at).is_not(None),
            (col(SessionRow.ended_at).is_(None)) | (col(SessionRow.ended_at) > ended_after),
            col(SessionRow.id).not_in(spoken),
        )
        .order_by(col(SessionRow.id))
        .limit(limit)
    )
    return [record_of(row) for row in session.exec(query).all()]


def without_row(session: Session, *, ended_after: datetime, ended_before: datetime, limit: int) -> list[SessionRecord]:
    """Sessions that ended between these moments and whose receipt's absence is not entered yet, oldest first."""
    query = (
        select(SessionRow)
        .where(
            SessionRow.state == SessionState.CLOSED,
            col(SessionRow.started_at).is_not(None),
            col(SessionRow.ended_at) > ended_after,
            col(SessionRow.ended_at) <= ended_before,
            col(SessionRow.id).not_in(select(ReceiptRow.session_id)),
        )
        .order_by(col(SessionRow.id))
        .limit(limit)
    )
    return [record_of(row) for row in session.exec(query).all()]
