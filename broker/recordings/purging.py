"""Destroying recordings: a system administrator asks, an auditor confirms the exact list; tombstones stay.

The tombstones are committed with the confirmation. The files go afterwards (`removal`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.identities import rules as people_rules
from broker.identities.model import PersonState
from broker.identities.service import PeopleService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import is_id, new_id
from broker.recordings import errors, retention_rules, retention_store
from broker.recordings.events import (
    PurgeAsked,
    PurgeConfirmed,
    PurgeDeclined,
    PurgeLapsed,
    PurgeWithdrawn,
    RecordingPurged,
)
from broker.recordings.model import Recording
from broker.recordings.retention_model import (
    Barrier,
    Destroyed,
    Kept,
    Purge,
    PurgeCommand,
    PurgeState,
    SessionWords,
)
from broker.recordings.retention_store import PurgeItemRow, PurgeRow, TombstoneRow
from broker.recordings.service import RecordingService
from recorder.tombstone import Sign, Tombstone, line_of

ASKING: Final = "recordings.purge.ask"
_CONTROL: Final = "system:control"

WordsOf = Callable[[Session, Collection[str]], Mapping[str, SessionWords]]
"""What a list shows of these sessions, by id: the sessions lie above."""


@dataclass(frozen=True)
class Retention:
    """What the site set, and the key that signs tombstones. Less than 180 days is never meant."""

    site: str
    keep: timedelta
    sign: Sign


@dataclass(frozen=True)
class PurgeList:
    """A purge and its recordings as they are now."""

    purge: Purge
    items: list[Kept]


class Purging:
    """The use-cases of purges, and the removal of what was destroyed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        people: PeopleService,
        recordings: RecordingService,
        words_of: WordsOf,
        retention: Retention,
    ) -> None:
        self._database = database
        self._clock = clock
        self._people = people
        self._recordings = recordings
        self._words_of = words_of
        self._retention = retention

    @property
    def keep(self) -> timedelta:
        """How long recordings are kept after their end."""
        return max(self._retention.keep, retention_rules.LEAST_KEPT)

    # -- reading ------------------------------------------------------------------------------------------------------

    def over(self, *, limit: int = 50, after: str | None = None) -> list[Kept]:
        """Recordings whose time is over, held ones too, oldest first."""
        now = self._clock.now()
        with self._database.reading() as session:
            found = retention_store.ended_before(session, now - self.keep, limit=limit, after=after)
            return self._kept(session, found, now)

    def kept(self, recording_id: str) -> Kept:
        """One recording. Raises NotFound."""
        with self._database.reading() as session:
            recording = retention_store.get_recording(session, recording_id)
            if recording is None:
                raise errors.not_found(recording_id)
            return self._kept(session, [recording], self._clock.now())[0]

    def purges(self, *, limit: int = 50, before: str | None = None, state: PurgeState | None = None) -> list[Purge]:
        """Purges, newest first."""
        with self._database.reading() as session:
            return retention_store.purges(session, limit=limit, before=before, state=state)

    def purge_list(self, purge_id: str) -> PurgeList:
        """One purge with its exact list, for whoever reviews it. Raises NotFound."""
        with self._database.reading() as session:
            row = _row(session, purge_id)
            known = retention_store.recordings(session, retention_store.items_of(session, purge_id))
            items = self._kept(session, [known[one] for one in sorted(known)], self._clock.now())
            return PurgeList(retention_store.purge_of(row), items)

    # -- asking and deciding ------------------------------------------------------------------------------------------

    def ask_purge(self, actor: str, recording_ids: Sequence[str], reason: str) -> Purge:
        """Ask that these recordings be destroyed. Nothing happens to them before another person confirms the list.

        Raises Invalid, NotFound, and Conflict (`recordings.purge_…`) naming the first that may not be destroyed.
        """
        said, now = retention_rules.checked_reason(reason), self._clock.now()
        ids = sorted(set(recording_ids))
        if not 1 <= len(ids) <= retention_rules.MOST_AT_ONCE or len(ids) != len(recording_ids):
            raise errors.purge_of_nothing()
        altered = self._altered(ids)
        with self._database.unit_of_work() as unit:
            known = self._destroyable(unit.session, ids, altered, now)
            waiting = retention_store.waiting_in(unit.session, ids, now)
            if waiting:
                raise errors.purge_pending(min(waiting))
            row = PurgeRow(
                id=new_id("prg", now),
                state=PurgeState.ASKED,
                reason=said,
                recording_count=len(known),
                total_bytes=sum(one.bytes_written for one in known),
                list_sha256=retention_rules.list_sha256(ids),
                asked_by=actor,
                asked_at=now,
                expires_at=now + retention_rules.ASK_VALID,
            )
            unit.session.add(row)
            unit.session.flush()
            unit.session.add_all([PurgeItemRow(purge_id=row.id, recording_id=one) for one in ids])
            unit.session.flush()
            unit.emit(
                PurgeAsked(
                    actor=actor,
                    subject=row.id,
                    recordings=row.recording_count,
                    bytes=row.total_bytes,
                    list_sha256=row.list_sha256.hex(),
                    expires_at_ms=milliseconds(row.expires_at),
                    reason=said,
                )
            )
            return retention_store.purge_of(row)

    def confirm_purge(self, actor: str, purge_id: str, reviewed: bytes) -> Purge:
        """Destroy the recordings of a purge; `reviewed` is the `list_sha256` of the list that this person reviewed.

        All or none: one that is held, or is not what was recorded any more, keeps all of them. A file that is missing
        or altered cannot be purged, so that no purge makes a tampering lawful afterwards.
        Raises NotFound, Forbidden `recordings.purge_own` and Conflict.
        """
        now = self._clock.now()
        with self._database.reading() as session:
            altered = self._altered(retention_store.items_of(session, purge_id))
        with self._database.unit_of_work() as unit:
            row = _row(unit.session, purge_id)
            retention_rules.check_confirmer(retention_store.purge_of(row), actor, reviewed, now)
            self._check_asker(unit.session, row.asked_by)
            ids = retention_store.items_of(unit.session, purge_id)
            if retention_rules.list_sha256(ids) != row.list_sha256:
                raise errors.another_list()
            known = self._destroyable(unit.session, ids, altered, now)
            words = self._words_of(unit.session, {one.session_id for one in known})
            self._decide(unit.session, row, PurgeCommand.CONFIRM, actor, None, now)
            unit.emit(
                PurgeConfirmed(
                    actor=actor,
                    subject=row.id,
                    asked_by=row.asked_by,
                    recordings=row.recording_count,
                    bytes=row.total_bytes,
                    list_sha256=row.list_sha256.hex(),
                )
            )
            for one in known:
                left = self._tombstone(one, words[one.session_id].grant_id, row, actor, now)
                signature = left.signature(self._retention.sign)
                unit.session.add(
                    TombstoneRow(recording_id=one.id, purge_id=row.id, line=line_of(left, signature), purged_at=now)
                )
                unit.emit(
                    RecordingPurged(
                        actor=actor,
                        subject=left.recording_id,
                        site=left.site,
                        session_id=left.session_id,
                        grant_id=left.grant_id,
                        state=left.state,
                        opened_at_ms=left.opened_at_ms,
                        closed_at_ms=left.closed_at_ms,
                        frames=left.frames,
                        batches=left.batches,
                        bytes=left.bytes,
                        signing_key=left.signing_key,
                        header_sha256=left.header_sha256,
                        head_sha256=left.head_sha256,
                        head_signature=left.head_signature,
                        purge_id=left.purge_id,
                        asked_by=left.asked_by,
                        reason=left.reason,
                        purged_at_ms=left.purged_at_ms,
                        signature=signature.hex(),
                    )
                )
            unit.session.flush()
            return retention_store.purge_of(row)

    def decline_purge(self, actor: str, purge_id: str, reason: str) -> Purge:
        """Refuse a purge. Raises NotFound, Invalid `recordings.reason_missing` and Conflict."""
        said, now = retention_rules.checked_reason(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = _row(unit.session, purge_id)
            self._decide(unit.session, row, PurgeCommand.DECLINE, actor, said, now)
            unit.emit(PurgeDeclined(actor=actor, subject=row.id, asked_by=row.asked_by, reason=said))
            return retention_store.purge_of(row)

    def withdraw_purge(self, actor: str, purge_id: str) -> Purge:
        """Take a purge back; any system administrator may. Raises NotFound and Conflict."""
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            row = _row(unit.session, purge_id)
            self._decide(unit.session, row, PurgeCommand.WITHDRAW, actor, None, now)
            unit.emit(PurgeWithdrawn(actor=actor, subject=row.id, asked_by=row.asked_by))
            return retention_store.purge_of(row)

    def lapse_overdue(self) -> int:
        """Mark purges that nobody confirmed in time; returns how many."""
        now = self._clock.now()
        with self._database.reading() as session:
            if not retention_store.lapsed(session, now):
                return 0
        with self._database.unit_of_work() as unit:
            overdue = retention_store.lapsed(unit.session, now)
            for row in overdue:
                self._decide(unit.session, row, PurgeCommand.LAPSE, None, None, now)
                unit.emit(PurgeLapsed(actor=_CONTROL, subject=row.id, asked_by=row.asked_by))
            return len(overdue)

    # -- within -------------------------------------------------------------------------------------------------------

    def _kept(self, session: Session, recordings: Sequence[Recording], now: datetime) -> list[Kept]:
        ids = [one.id for one in recordings]
        holds, gone = retention_store.holds_of(session, ids), retention_store.destroyed(session, ids)
        words = self._words_of(session, {one.session_id for one in recordings})
        waiting = retention_store.waiting_in(session, ids, now)
        return [
            Kept(
                recording=one,
                session=words.get(one.session_id),
                keep_until=retention_rules.keep_until(one, self.keep),
                holds=holds.get(one.id, ()),
                destroyed=gone.get(one.id),
                waits_in=waiting.get(one.id),
                barrier=Barrier.PURGED
                if one.id in gone
                else retention_rules.barrier(one, holds.get(one.id, ()), self.keep, now),
            )
            for one in recordings
        ]

    def _altered(self, ids: Collection[str]) -> str | None:
        """The first of these recordings whose file is not there or not what was recorded. Reads ends, not contents."""
        with self._database.reading() as session:
            known = retention_store.recordings(session, ids)
            gone: Mapping[str, Destroyed] = retention_store.destroyed(session, ids)
        for name in sorted(known.keys() - gone.keys()):
            if not self._recordings.is_as_recorded(known[name]):
                return name
        return None

    def _destroyable(self, session: Session, ids: Sequence[str], altered: str | None, now: datetime) -> list[Recording]:
        known = retention_store.recordings(session, ids)
        holds, gone = retention_store.holds_of(session, ids), retention_store.destroyed(session, ids)
        for name in ids:
            if name not in known:
                raise errors.not_found(name)
            barrier = retention_rules.barrier(known[name], holds.get(name, ()), self.keep, now)
            if name in gone:
                barrier = Barrier.PURGED
            elif barrier is None and name == altered:
                barrier = Barrier.NOT_AS_RECORDED
            if barrier is not None:
                raise errors.purge_barred(name, barrier.value)
        return [known[name] for name in ids]

    def _check_asker(self, session: Session, person_id: str) -> None:
        asker = self._people.get_within(session, person_id)
        if asker.state is not PersonState.ACTIVE or ASKING not in people_rules.permissions_of(asker.role):
            raise errors.purge_asker_gone()

    @staticmethod
    def _decide(
        session: Session, row: PurgeRow, command: PurgeCommand, actor: str | None, reason: str | None, now: datetime
    ) -> None:
        row.state = retention_rules.moved(row.state, command)
        row.decided_by, row.decided_at, row.decision_reason = actor, now, reason
        session.add(row)
        session.flush()

    def _tombstone(self, one: Recording, grant_id: str, row: PurgeRow, confirmer: str, now: datetime) -> Tombstone:
        return Tombstone(
            site=self._retention.site,
            recording_id=one.id,
            session_id=one.session_id,
            grant_id=grant_id,
            state=one.state.value,
            opened_at_ms=milliseconds(one.opened_at),
            closed_at_ms=milliseconds(one.closed_at) if one.closed_at is not None else 0,
            frames=one.frames,
            batches=one.batches,
            bytes=one.bytes_written,
            signing_key=one.signing_public.hex(),
            header_sha256=one.header_sha256.hex(),
            head_sha256=one.head_sha256.hex() if one.head_sha256 is not None else None,
            # A recording that broke off has no signature of its own at its end.
            head_signature=one.head_signature.hex() if one.head_signature else None,
            purge_id=row.id,
            asked_by=row.asked_by,
            confirmed_by=confirmer,
            reason=row.reason,
            purged_at_ms=milliseconds(now),
        )


def _row(session: Session, purge_id: str) -> PurgeRow:
    row = session.get(PurgeRow, purge_id) if is_id("prg", purge_id) else None
    if row is None:
        raise errors.not_found(purge_id)
    return row
