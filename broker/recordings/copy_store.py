"""The table of copies in the store of objects, what the database itself refuses about it, and its queries."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, LargeBinary, and_, func, or_
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table
from broker.recordings.copy_model import Copy, CopyState
from broker.recordings.model import Recording, RecordingState
from broker.recordings.retention_store import HoldRow, TombstoneRow
from broker.recordings.store import RecordingRow, recording_of
from recorder.stores.port import Stored


class CopyRow(SQLModel, table=True):
    """The copy of one recording. `receipt` is the archive's word about `version`; without it no file may go."""

    __tablename__ = "recording_copies"

    recording_id: str = Field(primary_key=True, foreign_key="recordings.id", max_length=40)
    state: CopyState = Field(sa_type=enum_column(CopyState), index=True)
    attempt: int = Field(default=1)
    uploaded_bytes: int = Field(default=0, sa_type=BigInteger)
    version: str | None = Field(default=None, max_length=200)
    size: int | None = Field(default=None, sa_type=BigInteger)
    receipt: bytes | None = Field(default=None, sa_type=LargeBinary)
    is_held: bool = Field(default=False)
    problem: str | None = Field(default=None, max_length=40)
    failures: int = Field(default=0)
    try_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    locked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    verified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


GUARDS: Final = (
    Guard(
        name="copies_are_verified_before_release",
        table="recording_copies",
        before="UPDATE OF state",
        refuses_when="NEW.state IN ('verified', 'released') AND "
        "(NEW.receipt IS NULL OR NEW.version IS NULL OR NEW.size IS NULL OR NEW.verified_at IS NULL)",
        words="a file is let go only after its copy was verified",
    ),
    Guard(
        name="copies_keep_what_was_verified",
        table="recording_copies",
        before="UPDATE OF version, size, receipt",
        refuses_when="OLD.receipt IS NOT NULL AND (NEW.receipt IS NULL OR NEW.receipt <> OLD.receipt "
        "OR NEW.version IS NULL OR NEW.version <> OLD.version OR NEW.size IS NULL OR NEW.size <> OLD.size)",
        words="a verified copy stays the one that was verified",
    ),
    Guard(
        name="copies_stay_in_the_index",
        table="recording_copies",
        before="DELETE",
        refuses_when="1 = 1",
        words="a copy stays in the index also when its object was lawfully destroyed",
    ),
)
guard_table(SQLModel.metadata.tables["recording_copies"], *GUARDS)

_VERIFIED: Final = (CopyState.VERIFIED, CopyState.RELEASED)
_HELD: Final = select(HoldRow.recording_id).where(col(HoldRow.lifted_by).is_(None))
_DESTROYED: Final = select(TombstoneRow.recording_id)


def copy_of(row: CopyRow) -> Copy:
    """A row as a value."""
    return Copy(
        recording_id=row.recording_id,
        state=row.state,
        attempt=row.attempt,
        uploaded_bytes=row.uploaded_bytes,
        stored=_object(row),
        is_held=row.is_held,
        problem=row.problem,
        locked_until=row.locked_until,
        verified_at=row.verified_at,
        released_at=row.released_at,
        removed_at=row.removed_at,
    )


def _object(row: CopyRow) -> Stored | None:
    if row.version is None or row.size is None:
        return None
    return Stored(row.recording_id, row.size, row.version)


def copies(session: Session, recording_ids: Collection[str]) -> dict[str, Copy]:
    """The copies of these recordings, by id; those without one are left out."""
    rows = session.exec(select(CopyRow).where(col(CopyRow.recording_id).in_(recording_ids))).all()
    return {row.recording_id: copy_of(row) for row in rows}


def verified_object(session: Session, recording_id: str) -> Stored | None:
    """The object that was verified as this recording, None when there is none."""
    row = session.get(CopyRow, recording_id)
    return _object(row) if row is not None and row.state in _VERIFIED and row.removed_at is None else None


def to_be_stored(session: Session, now: datetime, limit: int) -> list[tuple[Recording, Copy | None]]:
    """Recordings that the store has not whole and whose next try is due: those that ended first, oldest first."""
    query = (
        select(RecordingRow, CopyRow)
        .join(CopyRow, col(CopyRow.recording_id) == col(RecordingRow.id), isouter=True)
        .where(
            or_(col(CopyRow.state).is_(None), col(CopyRow.state) == CopyState.GROWING),
            or_(col(CopyRow.try_at).is_(None), col(CopyRow.try_at) <= now),
            col(RecordingRow.id).not_in(_DESTROYED),
        )
        .order_by(col(RecordingRow.state) == RecordingState.OPEN, col(RecordingRow.id))
        .limit(limit)
    )
    return [(recording_of(row), copy_of(copy) if copy is not None else None) for row, copy in session.exec(query).all()]


def to_be_verified(session: Session, now: datetime, limit: int) -> list[tuple[Recording, Copy]]:
    """Recordings whose object was not read back yet and whose next try is due, oldest first."""
    query = (
        select(RecordingRow, CopyRow)
        .join(CopyRow, col(CopyRow.recording_id) == col(RecordingRow.id))
        .where(
            CopyRow.state == CopyState.STORED,
            or_(col(CopyRow.try_at).is_(None), col(CopyRow.try_at) <= now),
            col(RecordingRow.id).not_in(_DESTROYED),
        )
        .order_by(col(RecordingRow.id))
        .limit(limit)
    )
    return [(recording_of(row), copy_of(copy)) for row, copy in session.exec(query).all()]


def held_otherwise(session: Session, now: datetime, limit: int) -> list[Copy]:
    """Copies whose object bears a legal hold although the recording does not, or the other way round."""
    query = (
        select(CopyRow)
        .where(
            col(CopyRow.version).is_not(None),
            col(CopyRow.removed_at).is_(None),
            or_(col(CopyRow.try_at).is_(None), col(CopyRow.try_at) <= now),
            or_(
                and_(col(CopyRow.is_held).is_(False), col(CopyRow.recording_id).in_(_HELD)),
                and_(col(CopyRow.is_held).is_(True), col(CopyRow.recording_id).not_in(_HELD)),
            ),
        )
        .limit(limit)
    )
    return [copy_of(row) for row in session.exec(query).all()]


def to_be_released(session: Session, ended_before: datetime, limit: int) -> list[tuple[str, bytes]]:
    """Recordings that ended before this and whose file may go, oldest first, each with its receipt.

    One whose hold its object does not show yet stays.
    """
    query = (
        select(CopyRow)
        .join(RecordingRow, col(CopyRow.recording_id) == col(RecordingRow.id))
        .where(
            CopyRow.state == CopyState.VERIFIED,
            col(RecordingRow.closed_at) <= ended_before,
            col(CopyRow.recording_id).not_in(_DESTROYED),
            or_(col(CopyRow.is_held).is_(True), col(CopyRow.recording_id).not_in(_HELD)),
        )
        .order_by(col(CopyRow.recording_id))
        .limit(limit)
    )
    return [(row.recording_id, row.receipt) for row in session.exec(query).all() if row.receipt is not None]


def to_be_removed(session: Session, now: datetime, limit: int) -> list[tuple[str, str, bytes]]:
    """Destroyed recordings whose objects may still be there: recording, purge, tombstone's line."""
    query = (
        select(TombstoneRow, CopyRow)
        .join(CopyRow, col(CopyRow.recording_id) == col(TombstoneRow.recording_id))
        .where(
            col(CopyRow.removed_at).is_(None),
            or_(col(CopyRow.try_at).is_(None), col(CopyRow.try_at) <= now),
        )
        .order_by(col(TombstoneRow.recording_id))
        .limit(limit)
    )
    return [(stone.recording_id, stone.purge_id, stone.line) for stone, _ in session.exec(query).all()]


def wanted(session: Session, limit: int) -> Sequence[str]:
    """Recordings that may have an unfinished upload which goes on."""
    query = (
        select(RecordingRow.id)
        .join(CopyRow, col(CopyRow.recording_id) == col(RecordingRow.id), isouter=True)
        .where(
            or_(col(CopyRow.state).is_(None), col(CopyRow.state) == CopyState.GROWING),
            col(RecordingRow.id).not_in(_DESTROYED),
        )
        .limit(limit)
    )
    return session.exec(query).all()


def counts(session: Session) -> tuple[dict[str, int], int, int]:
    """How many copies are in each state, how many are failing, and the bytes of ended recordings not verified yet."""
    by_state = session.exec(
        select(col(CopyRow.state), func.count()).where(col(CopyRow.removed_at).is_(None)).group_by(col(CopyRow.state))
    ).all()
    found = {state.value: 0 for state in CopyState} | {state.value: count for state, count in by_state}
    failing = session.exec(
        select(func.count())
        .select_from(CopyRow)
        .where(col(CopyRow.problem).is_not(None), col(CopyRow.removed_at).is_(None))
    ).one()
    safe = select(CopyRow.recording_id).where(col(CopyRow.state).in_(_VERIFIED))
    waiting = session.exec(
        select(func.sum(RecordingRow.bytes_written)).where(
            RecordingRow.state != RecordingState.OPEN,
            col(RecordingRow.id).not_in(safe),
            col(RecordingRow.id).not_in(_DESTROYED),
        )
    ).one()
    return found, failing, int(waiting or 0)
