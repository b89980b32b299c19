"""The tables of sessions, used proofs and gateway streams, and their queries."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, false, func
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.kernel.clock import milliseconds
from broker.sessions import errors
from broker.sessions.model import OrderKind, SessionOrder, SessionRecord, SessionState
from broker.sessions.rules import OPEN_STATES


class SessionRow(SQLModel, table=True):
    """One session. Closed means: it has a reason and an end, and only then."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint(
            "(state = 'closed') = (end_reason IS NOT NULL AND ended_at IS NOT NULL)", name="closed_has_reason_and_end"
        ),
        CheckConstraint("state <> 'live' OR started_at IS NOT NULL", name="live_has_started"),
    )

    id: str = Field(primary_key=True, max_length=40)
    grant_id: str = Field(foreign_key="grants.id", max_length=40, index=True)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    device_id: str = Field(foreign_key="devices.id", max_length=40, index=True)
    source: str = Field(max_length=45)
    source_port: int
    target_id: str = Field(foreign_key="targets.id", max_length=40, index=True)
    account: str = Field(max_length=64)
    protocol: str = Field(max_length=20)
    permit_id: str = Field(unique=True, max_length=40)
    recording_id: str = Field(unique=True, max_length=40)
    knock_id: str = Field(max_length=24)
    worker: str = Field(max_length=40)
    boot_id: str = Field(max_length=64)
    policy_version: str = Field(max_length=40)
    rule_id: str = Field(max_length=80)
    autonomy_seconds: int
    state: SessionState = Field(sa_type=enum_column(SessionState), index=True)
    not_after: datetime = Field(sa_type=UtcDateTime)
    admitted_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_reason: str | None = Field(default=None, max_length=80)
    end_ordered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_order: str | None = Field(default=None, max_length=20)
    end_order_reason: str | None = Field(default=None, max_length=200)
    exit_status: int | None = None
    commands_blocked: int = 0
    must_be_watched: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    frozen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    frozen_reason: str | None = Field(default=None, max_length=200)
    freeze_epoch: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    unanswered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    recording_health: str = Field(default="good", max_length=20, sa_column_kwargs={"server_default": "good"})


class UsedProofRow(SQLModel, table=True):
    """A connection that was admitted once and never again: its session identifier's hash, and its knock."""

    __tablename__ = "session_proofs"

    identifier_sha256: bytes = Field(sa_type=LargeBinary, primary_key=True)
    knock_id: str = Field(unique=True, max_length=24)
    session_id: str = Field(foreign_key="sessions.id", unique=True, max_length=40)
    at: datetime = Field(sa_type=UtcDateTime)


class GatewayStreamRow(SQLModel, table=True):
    """How far the numbered messages of one start of a gateway worker were taken.

    Of one that signs: its key, the link of the newest entry, and the how-manieth signed start of its worker it is; all
    None for one of a release that did not sign.
    """

    __tablename__ = "gateway_streams"

    worker: str = Field(primary_key=True, max_length=40)
    boot_id: str = Field(primary_key=True, max_length=64)
    last_seq: int = Field(sa_type=BigInteger)
    public: bytes | None = Field(default=None, sa_type=LargeBinary)
    link: bytes | None = Field(default=None, sa_type=LargeBinary)
    number: int | None = Field(default=None, sa_type=BigInteger)


def record_of(row: SessionRow) -> SessionRecord:
    """A row as a value."""
    return SessionRecord(
        id=row.id,
        grant_id=row.grant_id,
        person_id=row.person_id,
        device_id=row.device_id,
        source=row.source,
        target_id=row.target_id,
        account=row.account,
        protocol=row.protocol,
        permit_id=row.permit_id,
        recording_id=row.recording_id,
        knock_id=row.knock_id,
        worker=row.worker,
        boot_id=row.boot_id,
        policy_version=row.policy_version,
        rule_id=row.rule_id,
        autonomy_seconds=row.autonomy_seconds,
        state=row.state,
        not_after=row.not_after,
        admitted_at=row.admitted_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        end_ordered_at=row.end_ordered_at,
        end_order=row.end_order,
        end_order_reason=row.end_order_reason,
        exit_status=row.exit_status,
        commands_blocked=row.commands_blocked,
        source_port=row.source_port,
        must_be_watched=row.must_be_watched,
        frozen_at=row.frozen_at,
        frozen_reason=row.frozen_reason,
        unanswered_at=row.unanswered_at,
        recording_health=row.recording_health,
    )


def existing(session: Session, session_id: str) -> SessionRow:
    """That session's row. Raises NotFound."""
    row = session.get(SessionRow, session_id)
    if row is None:
        raise errors.not_found(session_id)
    return row


def newest(
    session: Session, *, limit: int, before_id: str | None = None, state: SessionState | None = None
) -> list[SessionRecord]:
    """Sessions from the newest back (ids are ordered by time), older than `before_id`."""
    query = select(SessionRow).order_by(col(SessionRow.id).desc()).limit(limit)
    if before_id is not None:
        query = query.where(col(SessionRow.id) < before_id)
    if state is not None:
        query = query.where(SessionRow.state == state)
    return [record_of(row) for row in session.exec(query).all()]


def open_sessions(
    session: Session,
    *,
    grant_id: str | None = None,
    device_id: str | None = None,
    person_id: str | None = None,
    worker: str | None = None,
) -> Sequence[SessionRow]:
    """Sessions that are not closed, oldest first, of everybody or of one grant, device, person or gateway worker."""
    query = select(SessionRow).where(col(SessionRow.state).in_(OPEN_STATES)).order_by(col(SessionRow.id))
    for column, value in (
        (SessionRow.grant_id, grant_id),
        (SessionRow.device_id, device_id),
        (SessionRow.person_id, person_id),
        (SessionRow.worker, worker),
    ):
        if value is not None:
            query = query.where(column == value)
    return session.exec(query).all()


def count_open(session: Session) -> int:
    """How many sessions are not closed."""
    query = select(func.count()).select_from(SessionRow).where(col(SessionRow.state).in_(OPEN_STATES))
    return int(session.exec(query).one())


def was_used(session: Session, identifier_sha256: bytes, knock_id: str) -> bool:
    """Whether this connection, or its knock, was admitted before."""
    query = select(UsedProofRow).where(
        (col(UsedProofRow.identifier_sha256) == identifier_sha256) | (col(UsedProofRow.knock_id) == knock_id)
    )
    return session.exec(query).first() is not None


def advance_stream(session: Session, worker: str, boot_id: str, seq: int) -> int | None:
    """Take the unsigned message with this number; returns the number that was expected, or None when it was taken
    before."""
    row = session.get(GatewayStreamRow, (worker, boot_id))
    if row is None:
        row = GatewayStreamRow(worker=worker, boot_id=boot_id, last_seq=0)
    expected = row.last_seq + 1
    if seq < expected:
        return None
    row.last_seq = seq
    session.add(row)
    session.flush()
    return expected


def freeze_order(row: SessionRow) -> SessionOrder:
    """Whether a session's gateway must hold its input, as it was last decided."""
    return SessionOrder(
        session_id=row.id,
        order=OrderKind.FREEZE if row.frozen_at is not None else OrderKind.THAW,
        reason=row.frozen_reason or "",
        epoch=row.freeze_epoch,
        worker=row.worker,
    )


def ordered_reason(row: SessionRow) -> str | None:
    """The reason with which a session is closed whose end was ordered; None when nobody ordered it."""
    if row.end_order is None:
        return None
    return OrderKind.CUT.value if row.end_order == OrderKind.CUT.value else row.end_order_reason


def end_order(row: SessionRow, now: datetime) -> SessionOrder:
    """The order that a session's gateway must have."""
    return SessionOrder(
        session_id=row.id,
        order=OrderKind(row.end_order or OrderKind.END.value),
        reason=row.end_order_reason or "",
        epoch=milliseconds(row.end_ordered_at or now),
        worker=row.worker,
    )
