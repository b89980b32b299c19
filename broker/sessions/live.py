"""The plant's hand on running sessions: cut, freeze, thaw, a message, a watch; and what follows when nobody answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.grants.service import GrantService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import new_id
from broker.policy.model import DOORS
from broker.sessions import rules, store
from broker.sessions.events import (
    SessionFrozen,
    SessionMessaged,
    SessionThawed,
    SessionUnanswered,
    SessionWatched,
    SessionWatchEnded,
)
from broker.sessions.model import OrderKind, SessionCommand, SessionOrder, SessionRecord
from broker.sessions.orders import Orders
from broker.sessions.store import SessionRow
from broker.targets.service import TargetService

_CONTROL: Final = "system:control"
_HOST: Final = "system:host"


@dataclass(frozen=True)
class Watch:
    """One person's look at one session, from the moment it was entered in the trail."""

    watch_id: str
    session: SessionRecord
    person_id: str
    person_name: str
    after_frame: int
    began_at: datetime


@dataclass(frozen=True)
class Door:
    """Where an engineer's connection came in: the door, and the address and port it came from."""

    number: int
    address: str
    port: int


class LiveSessions:
    """What people of the plant do to sessions that run."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        orders: Orders,
        grants: GrantService,
        targets: TargetService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._orders = orders
        self._grants = grants
        self._targets = targets

    def cut(self, actor: str, session_id: str, reason: str) -> SessionRecord:
        """End a session at once, with words that its engineer reads, and take its grant back in the same transaction.

        Raises NotFound, Invalid, and Conflict `sessions.not_in_state` when it is over.
        """
        words, now = rules.check_words(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = store.existing(unit.session, session_id)
            rules.moved(row.state, SessionCommand.END)
            # The grant first: reactions come in this order, and the firewall's answer must not delay the roster.
            self._grants.revoke_within(unit, actor, row.grant_id, words)
            self._orders.end_within(unit, row, OrderKind.CUT, words, actor, now)
            return store.record_of(row)

    def give_up_grant(self, session_id: str, reason: str) -> None:
        """Take back the grant of a session that root has cut on the host. Nothing happens when it is over already."""
        with self._database.unit_of_work() as unit:
            row = unit.session.get(SessionRow, session_id)
            if row is not None:
                self._grants.revoke_within(unit, _HOST, row.grant_id, reason)

    def freeze(self, actor: str, session_id: str, reason: str) -> SessionRecord:
        """Hold the engineer's input, with words that he reads; output goes on. A session that is held stays so.

        Raises NotFound, Invalid, and Conflict `sessions.not_live`.
        """
        words, now = rules.check_words(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = self._live_row(unit.session, session_id)
            if row.frozen_at is None:
                self._orders.hold_within(unit, row, words, now)
                unit.emit(SessionFrozen(actor=actor, subject=row.id, reason=words))
            return store.record_of(row)

    def thaw(self, actor: str, session_id: str, reason: str) -> SessionRecord:
        """Let the engineer's input go on. A session that is not held stays so.

        Raises NotFound, Invalid, and Conflict `sessions.not_live`.
        """
        words, now = rules.check_words(reason), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = self._live_row(unit.session, session_id)
            if row.frozen_at is not None:
                self._orders.hold_within(unit, row, None, now)
                unit.emit(SessionThawed(actor=actor, subject=row.id, reason=words))
            return store.record_of(row)

    def message(self, actor: str, session_id: str, text: str) -> None:
        """Write a line into the engineer's terminal. Raises NotFound, Invalid, and Conflict `sessions.not_live`."""
        line, now = rules.check_message(text), self._clock.now()
        with self._database.unit_of_work() as unit:
            row = self._live_row(unit.session, session_id)
            unit.emit(SessionMessaged(actor=actor, subject=row.id, text=line))
            order = _order(row, OrderKind.MESSAGE, line, now)
            unit.after_commit(lambda: self._orders.send(order))

    # -- watching -----------------------------------------------------------------------------------------------------

    def begin_watch(self, person_id: str, person_name: str, session_id: str, after_frame: int) -> Watch:
        """Enter that somebody watches a live session, before anything is shown. `after_frame` 0 is from the beginning.

        Raises NotFound and Conflict `sessions.not_live`.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            row = self._live_row(unit.session, session_id)
            watch = Watch(new_id("wch", now), store.record_of(row), person_id, person_name, after_frame, now)
            unit.emit(
                SessionWatched(
                    actor=person_id,
                    subject=row.id,
                    watch_id=watch.watch_id,
                    recording_id=row.recording_id,
                    after_frame=after_frame,
                )
            )
            return watch

    def end_watch(self, watch: Watch, reason: str, last_frame: int) -> None:
        """Enter that a watch is over."""
        seconds = int((self._clock.now() - watch.began_at).total_seconds())
        with self._database.unit_of_work() as unit:
            unit.emit(
                SessionWatchEnded(
                    actor=watch.person_id,
                    subject=watch.session.id,
                    watch_id=watch.watch_id,
                    reason=reason,
                    last_frame=last_frame,
                    seconds=max(seconds, 0),
                )
            )

    def ask_for_frames(self, watch: Watch) -> None:
        """Tell the session's gateway to send its frames to this watch."""
        session = watch.session
        epoch = milliseconds(self._clock.now())
        self._orders.send(
            SessionOrder(session.id, OrderKind.WATCH, watch.person_name, epoch, session.worker, watch.watch_id)
        )

    # -- when a gateway does not answer -------------------------------------------------------------------------------

    def door_of(self, session_id: str) -> Door:
        """Where a session's engineer came in. Raises NotFound."""
        with self._database.reading() as session:
            row = store.existing(session, session_id)
            return Door(DOORS[row.protocol], row.source, row.source_port)

    def unanswered_ends(self) -> list[SessionRecord]:
        """Sessions whose gateway was told to end them and stays silent: their doors must be closed from outside."""
        now = self._clock.now()
        with self._database.reading() as session:
            records = [store.record_of(row) for row in store.open_sessions(session)]
        return [record for record in records if rules.is_unanswered(record, now)]

    def way_for_nobody_else(self, session_id: str) -> tuple[str, int] | None:
        """Address and port of a session's target, unless another session that may go on leads there.

        Raises NotFound.
        """
        now = self._clock.now()
        with self._database.reading() as session:
            target_id = store.existing(session, session_id).target_id
            for row in store.open_sessions(session):
                if row.target_id == target_id and row.id != session_id:
                    other = store.record_of(row)
                    if other.unanswered_at is None and not rules.is_unanswered(other, now):
                        return None
            target = self._targets.get_within(session, target_id)
            return target.address, target.port

    def answer_for_silent_gateways(self, reset: Callable[[Door], None], reset_way: Callable[[str, int], None]) -> int:
        """Have the connections of sessions reset that a silent gateway was told to end; returns how many.

        `reset` and `reset_way` act on the firewall and raise when they cannot: it is tried again at the next call. The
        session stays open in the records until its gateway tells of its recording, or is taken as lost.
        """
        silent = self.unanswered_ends()
        for record in silent:
            reset(self.door_of(record.id))
            way = self.way_for_nobody_else(record.id)
            if way is not None:
                reset_way(*way)
            self._note_unanswered(record.id)
        return len(silent)

    def _note_unanswered(self, session_id: str) -> None:
        with self._database.unit_of_work() as unit:
            row = store.existing(unit.session, session_id)
            if row.unanswered_at is not None:
                return
            row.unanswered_at = self._clock.now()
            unit.session.add(row)
            unit.emit(
                SessionUnanswered(
                    actor=_CONTROL,
                    subject=row.id,
                    worker=row.worker,
                    order=row.end_order or OrderKind.END.value,
                    source=row.source,
                )
            )

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _live_row(self, session: Session, session_id: str) -> SessionRow:
        row = store.existing(session, session_id)
        rules.check_live(row.state)
        return row


def _order(row: SessionRow, kind: OrderKind, words: str, now: datetime) -> SessionOrder:
    return SessionOrder(row.id, kind, words, milliseconds(now), row.worker)
