"""The trail's tables and the appender that every unit of work ends with."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime
from broker.audit.chain import GENESIS, canonical, link
from broker.audit.model import AuditEvent, AuditRecord
from broker.kernel.clock import Clock

_PAGE: Final = 500
_Sequence = BigInteger().with_variant(Integer, "sqlite")


class AuditEventRow(SQLModel, table=True):
    """One record of the trail."""

    __tablename__ = "audit_events"

    seq: int = Field(sa_column=Column(_Sequence, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    code: str = Field(max_length=80, index=True)
    actor: str = Field(max_length=80, index=True)
    subject: str = Field(max_length=80, index=True)
    params_json: str
    previous_hash: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class OutboxRow(SQLModel, table=True):
    """An event whose reactions have not all run."""

    __tablename__ = "outbox"

    seq: int = Field(sa_column=Column(_Sequence, primary_key=True, autoincrement=False))
    attempts: int = 0


class EventAppender:
    """Numbers, links and writes events within the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, session: Session, events: Sequence[object]) -> Sequence[int]:
        """Append these events in order and return their numbers; no other unit of work may be writing."""
        seq, previous = head(session)
        at = self._clock.now()
        numbers: list[int] = []
        for event in events:
            if not isinstance(event, AuditEvent):
                raise TypeError(f"{type(event).__name__} is no audit event")
            seq += 1
            params = event.params()
            linked = link(previous, canonical(seq, at, event.code, event.actor, event.subject, params))
            session.add(
                AuditEventRow(
                    seq=seq,
                    at=at,
                    code=event.code,
                    actor=event.actor,
                    subject=event.subject,
                    params_json=json.dumps(params, sort_keys=True, ensure_ascii=False),
                    previous_hash=previous,
                    hash=linked,
                )
            )
            session.add(OutboxRow(seq=seq))
            previous = linked
            numbers.append(seq)
        session.flush()
        return numbers


def record_of(row: AuditEventRow) -> AuditRecord:
    """A row as a value."""
    return AuditRecord(
        seq=row.seq,
        at=row.at,
        code=row.code,
        actor=row.actor,
        subject=row.subject,
        params=json.loads(row.params_json),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )


def walk(session: Session) -> Iterator[AuditRecord]:
    """The whole trail from its beginning, a page at a time."""
    after = 0
    while True:
        rows = session.exec(
            select(AuditEventRow).where(col(AuditEventRow.seq) > after).order_by(col(AuditEventRow.seq)).limit(_PAGE)
        ).all()
        for row in rows:
            yield record_of(row)
        if len(rows) < _PAGE:
            return
        after = rows[-1].seq
        session.expunge_all()


def newest(
    session: Session, *, limit: int, before_seq: int | None = None, code: str | None = None, subject: str | None = None
) -> list[AuditRecord]:
    """Records from the newest back, at most `limit`; `code` may end in `*` to mean every code that begins so."""
    query = select(AuditEventRow).order_by(col(AuditEventRow.seq).desc()).limit(limit)
    if before_seq is not None:
        query = query.where(col(AuditEventRow.seq) < before_seq)
    if code is not None and code.endswith("*"):
        query = query.where(col(AuditEventRow.code).startswith(code[:-1], autoescape=True))
    elif code is not None:
        query = query.where(col(AuditEventRow.code) == code)
    if subject is not None:
        query = query.where(col(AuditEventRow.subject) == subject)
    return [record_of(row) for row in session.exec(query).all()]


def head(session: Session) -> tuple[int, bytes]:
    """The number and hash of the last record; of none when the trail is empty."""
    last = session.exec(select(AuditEventRow).order_by(col(AuditEventRow.seq).desc()).limit(1)).first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def hash_at(session: Session, seq: int) -> bytes | None:
    """The hash of one record, None when there is none; number 0 stands before the first."""
    if seq == 0:
        return GENESIS
    return session.exec(select(AuditEventRow.hash).where(col(AuditEventRow.seq) == seq)).first()


def pending(session: Session, limit: int) -> list[AuditRecord]:
    """The oldest records whose reactions have not all run."""
    query = (
        select(AuditEventRow)
        .join(OutboxRow, col(OutboxRow.seq) == col(AuditEventRow.seq))
        .order_by(col(AuditEventRow.seq))
        .limit(limit)
    )
    return [record_of(row) for row in session.exec(query).all()]


def settle(session: Session, seq: int) -> None:
    """All reactions to this record have run."""
    row = session.get(OutboxRow, seq)
    if row is not None:
        session.delete(row)


def count_attempt(session: Session, seq: int) -> None:
    """A reaction to this record failed and will be tried again."""
    row = session.get(OutboxRow, seq)
    if row is not None:
        row.attempts += 1
        session.add(row)
