"""Legal holds: an auditor places one, a security administrator lifts it; while it stands nothing is destroyed."""

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock
from broker.kernel.ids import is_id, new_id
from broker.recordings import errors, retention_rules, retention_store
from broker.recordings.events import RecordingHoldLifted, RecordingHoldPlaced
from broker.recordings.retention_model import Hold
from broker.recordings.retention_store import HoldRow


class Holding:
    """The use-cases of holds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def place_hold(self, actor: str, recording_id: str, reason: str) -> Hold:
        """Forbid that this recording is destroyed, whatever its age; also one that is being written.

        Raises NotFound, Invalid `recordings.reason_missing`, Conflict `recordings.purged` and TooMany.
        """
        said, now = retention_rules.checked_reason(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            recording = retention_store.get_recording(unit.session, recording_id)
            if recording is None:
                raise errors.not_found(recording_id)
            if retention_store.tombstone(unit.session, recording_id) is not None:
                raise errors.purged(recording_id)
            holds = retention_store.holds_of(unit.session, [recording_id]).get(recording_id, ())
            if sum(hold.lifted_at is None for hold in holds) >= retention_rules.MOST_HOLDS:
                raise errors.too_many_holds(recording_id)
            row = HoldRow(id=new_id("hld", now), recording_id=recording_id, reason=said, placed_by=actor, placed_at=now)
            unit.session.add(row)
            unit.session.flush()
            unit.emit(
                RecordingHoldPlaced(
                    actor=actor,
                    subject=recording_id,
                    hold_id=row.id,
                    session_id=recording.session_id,
                    reason=said,
                )
            )
            return retention_store.hold_of(row)

    def lift_hold(self, actor: str, hold_id: str, reason: str) -> Hold:
        """Let a recording go that an auditor held; it is destroyed only when two others agree, as any other.

        Raises NotFound, Invalid `recordings.reason_missing` and Conflict `recordings.hold_not_standing`.
        """
        said, now = retention_rules.checked_reason(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = unit.session.get(HoldRow, hold_id) if is_id("hld", hold_id) else None
            recording = retention_store.get_recording(unit.session, row.recording_id) if row is not None else None
            if row is None or recording is None:
                raise errors.not_found(hold_id)
            if row.lifted_by is not None:
                raise errors.hold_not_standing()
            row.lifted_by, row.lifted_at, row.lift_reason = actor, now, said
            unit.session.add(row)
            unit.session.flush()
            unit.emit(
                RecordingHoldLifted(
                    actor=actor,
                    subject=row.recording_id,
                    hold_id=row.id,
                    session_id=recording.session_id,
                    placed_by=row.placed_by,
                    reason=said,
                )
            )
            return retention_store.hold_of(row)

    def standing(self, *, limit: int = 50, before: str | None = None) -> list[Hold]:
        """Holds that stand, newest first."""
        with self._database.reading() as session:
            return retention_store.standing_holds(session, limit=limit, before=before)
