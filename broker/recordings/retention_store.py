"""The tables of holds, purges and tombstones, what the database itself refuses about them, and their queries."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, func
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table
from broker.recordings import store as _recordings
from broker.recordings.model import Recording, RecordingState
from broker.recordings.retention_model import Destroyed, Hold, Purge, PurgeState
from broker.recordings.store import RecordingRow, recording_of
from recorder.tombstone import LEAST_KEPT_DAYS


class HoldRow(SQLModel, table=True):
    """One hold of one recording."""

    __tablename__ = "recording_holds"
    __table_args__ = (
        CheckConstraint(
            "(lifted_by IS NULL) = (lifted_at IS NULL) AND (lifted_by IS NULL) = (lift_reason IS NULL)",
            name="lifted_has_who_when_why",
        ),
        CheckConstraint("lifted_by IS NULL OR lifted_by <> placed_by", name="nobody_lifts_their_own_hold"),
    )

    id: str = Field(primary_key=True, max_length=40)
    recording_id: str = Field(foreign_key="recordings.id", max_length=40, index=True)
    reason: str = Field(max_length=500)
    placed_by: str = Field(foreign_key="people.id", max_length=40)
    placed_at: datetime = Field(sa_type=UtcDateTime)
    lifted_by: str | None = Field(default=None, foreign_key="people.id", max_length=40)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lift_reason: str | None = Field(default=None, max_length=500)


class PurgeRow(SQLModel, table=True):
    """One purge that was asked for."""

    __tablename__ = "recording_purges"
    __table_args__ = (
        CheckConstraint(
            "state <> 'confirmed' OR (decided_by IS NOT NULL AND decided_by <> asked_by AND decided_at IS NOT NULL)",
            name="two_people_destroy",
        ),
    )

    id: str = Field(primary_key=True, max_length=40)
    state: PurgeState = Field(sa_type=enum_column(PurgeState), index=True)
    reason: str = Field(max_length=500)
    recording_count: int
    total_bytes: int = Field(sa_type=BigInteger)
    list_sha256: bytes = Field(sa_type=LargeBinary)
    asked_by: str = Field(foreign_key="people.id", max_length=40)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_by: str | None = Field(default=None, foreign_key="people.id", max_length=40)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decision_reason: str | None = Field(default=None, max_length=500)


class PurgeItemRow(SQLModel, table=True):
    """One recording of a purge's list."""

    __tablename__ = "recording_purge_items"

    purge_id: str = Field(primary_key=True, foreign_key="recording_purges.id", max_length=40)
    recording_id: str = Field(primary_key=True, foreign_key="recordings.id", max_length=40, index=True)


class TombstoneRow(SQLModel, table=True):
    """What stays of a destroyed recording. `removed_at` is None until the gateway has removed the file."""

    __tablename__ = "recording_tombstones"

    recording_id: str = Field(primary_key=True, foreign_key="recordings.id", max_length=40)
    purge_id: str = Field(foreign_key="recording_purges.id", max_length=40, index=True)
    line: bytes = Field(sa_type=LargeBinary)
    purged_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    refusal: str | None = Field(default=None, max_length=80)


_YOUNG: Final = "EXISTS (SELECT 1 FROM recordings WHERE recordings.id = NEW.recording_id AND (closed_at IS NULL OR {}))"
_YOUNG_SQLITE: Final = " OR ".join(
    f"NEW.purged_at < strftime('%Y-%m-%d %H:%M:%f', {moment}, '+{LEAST_KEPT_DAYS} days')"
    for moment in ("closed_at", "opened_at")
)
_YOUNG_POSTGRESQL: Final = " OR ".join(
    f"NEW.purged_at < {moment} + interval '{LEAST_KEPT_DAYS} days'" for moment in ("closed_at", "opened_at")
)


def _unless_role(column: str, role: str) -> str:
    return f"NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.{column} AND people.role = '{role}')"  # noqa: S608 - our own names


GUARDS: Final = (
    Guard(
        name="recordings_keep_their_times",
        table="recordings",
        before="UPDATE OF opened_at, closed_at",
        refuses_when="NEW.opened_at <> OLD.opened_at OR (OLD.closed_at IS NOT NULL AND "
        "(NEW.closed_at IS NULL OR NEW.closed_at <> OLD.closed_at))",
        words="a recording keeps the moments of its beginning and end: they say how long it is kept",
    ),
    Guard(
        name="recordings_stay_in_the_index",
        table="recordings",
        before="DELETE",
        refuses_when="1 = 1",
        words="a recording stays in the index also when its file was lawfully destroyed",
    ),
    Guard(
        name="holds_are_placed_by_auditors",
        table="recording_holds",
        before="INSERT",
        refuses_when=_unless_role("placed_by", "auditor"),
        words="only an auditor places a hold",
    ),
    Guard(
        name="holds_are_of_what_is_there",
        table="recording_holds",
        before="INSERT",
        refuses_when="NEW.lifted_by IS NULL AND EXISTS "
        "(SELECT 1 FROM recording_tombstones WHERE recording_tombstones.recording_id = NEW.recording_id)",
        words="a destroyed recording is not held any more",
    ),
    Guard(
        name="holds_are_lifted_by_security",
        table="recording_holds",
        before="UPDATE OF lifted_by, lifted_at",
        refuses_when=f"OLD.lifted_by IS NOT NULL OR {_unless_role('lifted_by', 'security_administrator')}",
        words="only a security administrator lifts a hold, and once",
    ),
    Guard(
        name="holds_keep_what_they_say",
        table="recording_holds",
        before="UPDATE OF recording_id, reason, placed_by, placed_at",
        refuses_when="1 = 1",
        words="a hold is lifted, never rewritten",
    ),
    Guard(
        name="holds_stay",
        table="recording_holds",
        before="DELETE",
        refuses_when="1 = 1",
        words="a hold is lifted, never taken away",
    ),
    Guard(
        name="purges_are_asked_by_system_admins",
        table="recording_purges",
        before="INSERT",
        refuses_when=_unless_role("asked_by", "system_administrator"),
        words="only a system administrator asks for a purge",
    ),
    Guard(
        name="purges_are_decided_once",
        table="recording_purges",
        before="UPDATE OF state",
        refuses_when="OLD.state <> 'asked' AND NEW.state <> OLD.state",
        words="a purge is decided once",
    ),
    Guard(
        name="purges_are_confirmed_by_auditors",
        table="recording_purges",
        before="UPDATE OF state",
        refuses_when="NEW.state = 'confirmed' AND OLD.state <> 'confirmed' AND "
        f"(NEW.decided_at >= OLD.expires_at OR {_unless_role('decided_by', 'auditor')})",
        words="only an auditor confirms a purge, before it lapses",
    ),
    Guard(
        name="purges_keep_their_asker",
        table="recording_purges",
        before="UPDATE OF asked_by, expires_at, list_sha256",
        refuses_when="NEW.asked_by <> OLD.asked_by OR NEW.expires_at <> OLD.expires_at "
        "OR NEW.list_sha256 <> OLD.list_sha256",
        words="what was asked for stays what it was",
    ),
    Guard(
        name="tombstones_need_a_confirmed_purge",
        table="recording_tombstones",
        before="INSERT",
        refuses_when="NOT EXISTS (SELECT 1 FROM recording_purges AS purge "
        "JOIN recording_purge_items AS item ON item.purge_id = purge.id WHERE purge.id = NEW.purge_id "
        "AND purge.state = 'confirmed' AND item.recording_id = NEW.recording_id)",
        words="a recording is destroyed by a confirmed purge that names it",
    ),
    Guard(
        name="tombstones_need_the_time_to_be_over",
        table="recording_tombstones",
        before="INSERT",
        refuses_when=_YOUNG.format(_YOUNG_SQLITE),
        on_postgresql=_YOUNG.format(_YOUNG_POSTGRESQL),
        words=f"a recording is kept for {LEAST_KEPT_DAYS} days after its end",
    ),
    Guard(
        name="tombstones_respect_holds",
        table="recording_tombstones",
        before="INSERT",
        refuses_when="EXISTS (SELECT 1 FROM recording_holds WHERE recording_holds.recording_id = NEW.recording_id "
        "AND recording_holds.lifted_by IS NULL)",
        words="a recording on hold is not destroyed",
    ),
    Guard(
        name="tombstones_keep_what_they_say",
        table="recording_tombstones",
        before="UPDATE OF recording_id, purge_id, line, purged_at",
        refuses_when="1 = 1",
        words="a tombstone is never rewritten",
    ),
    Guard(
        name="tombstones_stay",
        table="recording_tombstones",
        before="DELETE",
        refuses_when="1 = 1",
        words="a tombstone stays",
    ),
)
for _name in ("recordings", "recording_holds", "recording_purges", "recording_tombstones"):
    guard_table(SQLModel.metadata.tables[_name], *(one for one in GUARDS if one.table == _name))


def hold_of(row: HoldRow) -> Hold:
    """A row as a value."""
    return Hold(
        id=row.id,
        recording_id=row.recording_id,
        reason=row.reason,
        placed_by=row.placed_by,
        placed_at=row.placed_at,
        lifted_by=row.lifted_by,
        lifted_at=row.lifted_at,
        lift_reason=row.lift_reason,
    )


def purge_of(row: PurgeRow) -> Purge:
    """A row as a value."""
    return Purge(
        id=row.id,
        state=row.state,
        reason=row.reason,
        recording_count=row.recording_count,
        total_bytes=row.total_bytes,
        list_sha256=row.list_sha256,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )


def destroyed_of(row: TombstoneRow) -> Destroyed:
    """A row as a value."""
    return Destroyed(
        recording_id=row.recording_id,
        purge_id=row.purge_id,
        line=row.line,
        purged_at=row.purged_at,
        removed_at=row.removed_at,
        refusal=row.refusal,
    )


def recordings(session: Session, recording_ids: Collection[str]) -> dict[str, Recording]:
    """These recordings, by id; those that do not exist are left out."""
    rows = session.exec(select(RecordingRow).where(col(RecordingRow.id).in_(recording_ids))).all()
    return {row.id: recording_of(row) for row in rows}


def ended_before(session: Session, before: datetime, *, limit: int, after: str | None) -> list[Recording]:
    """Recordings that began and ended before this moment and are not destroyed, oldest first."""
    query = (
        select(RecordingRow)
        .where(
            RecordingRow.state != RecordingState.OPEN,
            col(RecordingRow.closed_at) <= before,
            col(RecordingRow.opened_at) <= before,
            col(RecordingRow.id).not_in(select(TombstoneRow.recording_id)),
        )
        .order_by(col(RecordingRow.id))
        .limit(limit)
    )
    if after is not None:
        query = query.where(col(RecordingRow.id) > after)
    return [recording_of(row) for row in session.exec(query).all()]


def holds_of(session: Session, recording_ids: Collection[str]) -> dict[str, tuple[Hold, ...]]:
    """All holds of these recordings, lifted ones too, in the order in which they were placed."""
    rows = session.exec(
        select(HoldRow).where(col(HoldRow.recording_id).in_(recording_ids)).order_by(col(HoldRow.id))
    ).all()
    return _grouped(hold_of(row) for row in rows)


def _grouped(holds: Iterable[Hold]) -> dict[str, tuple[Hold, ...]]:
    found: dict[str, tuple[Hold, ...]] = {}
    for hold in holds:
        found[hold.recording_id] = (*found.get(hold.recording_id, ()), hold)
    return found


def standing_holds(session: Session, *, limit: int, before: str | None) -> list[Hold]:
    """Holds that stand, newest first."""
    query = select(HoldRow).where(col(HoldRow.lifted_by).is_(None)).order_by(col(HoldRow.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(HoldRow.id) < before)
    return [hold_of(row) for row in session.exec(query).all()]


def destroyed(session: Session, recording_ids: Collection[str]) -> dict[str, Destroyed]:
    """What stays of those of these recordings that were destroyed, by id."""
    rows = session.exec(select(TombstoneRow).where(col(TombstoneRow.recording_id).in_(recording_ids))).all()
    return {row.recording_id: destroyed_of(row) for row in rows}


def tombstone(session: Session, recording_id: str) -> Destroyed | None:
    """What stays of a recording, None when it was not destroyed."""
    return destroyed(session, [recording_id]).get(recording_id)


def to_be_removed(session: Session, limit: int) -> list[Destroyed]:
    """Recordings whose tombstone is committed and whose file may still be there: first what no gateway refused."""
    query = (
        select(TombstoneRow)
        .where(col(TombstoneRow.removed_at).is_(None))
        .order_by(col(TombstoneRow.refusal).is_not(None), col(TombstoneRow.recording_id))
        .limit(limit)
    )
    return [destroyed_of(row) for row in session.exec(query).all()]


def count_to_be_removed(session: Session) -> int:
    """How many destroyed recordings the gateway has not removed yet."""
    query = select(func.count()).select_from(TombstoneRow).where(col(TombstoneRow.removed_at).is_(None))
    return session.exec(query).one()


def count_held(session: Session) -> int:
    """How many recordings bear a hold that stands."""
    query = select(func.count(func.distinct(HoldRow.recording_id))).where(col(HoldRow.lifted_by).is_(None))
    return session.exec(query).one()


def items_of(session: Session, purge_id: str) -> list[str]:
    """The ids of a purge's recordings, in order."""
    query = (
        select(PurgeItemRow.recording_id)
        .where(PurgeItemRow.purge_id == purge_id)
        .order_by(col(PurgeItemRow.recording_id))
    )
    return list(session.exec(query).all())


def waiting_in(session: Session, recording_ids: Collection[str], now: datetime) -> dict[str, str]:
    """Those of these recordings that are in a purge which may still be confirmed, with that purge's id."""
    query = (
        select(PurgeItemRow.recording_id, PurgeItemRow.purge_id)
        .join(PurgeRow, col(PurgeRow.id) == col(PurgeItemRow.purge_id))
        .where(
            PurgeRow.state == PurgeState.ASKED,
            col(PurgeRow.expires_at) > now,
            col(PurgeItemRow.recording_id).in_(recording_ids),
        )
        .order_by(col(PurgeItemRow.recording_id))
    )
    return dict(session.exec(query).all())


def purges(session: Session, *, limit: int, before: str | None, state: PurgeState | None) -> list[Purge]:
    """Purges, newest first."""
    query = select(PurgeRow).order_by(col(PurgeRow.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(PurgeRow.id) < before)
    if state is not None:
        query = query.where(PurgeRow.state == state)
    return [purge_of(row) for row in session.exec(query).all()]


def lapsed(session: Session, now: datetime) -> Sequence[PurgeRow]:
    """Purges that nobody confirmed in time and that are not marked so."""
    query = select(PurgeRow).where(PurgeRow.state == PurgeState.ASKED, col(PurgeRow.expires_at) <= now)
    return session.exec(query).all()


def get_recording(session: Session, recording_id: str) -> Recording | None:
    """One recording."""
    return _recordings.get(session, recording_id)
