"""What the gateway tells of its sessions, taken once; and the sessions that no gateway holds any more."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, assert_never

import structlog
from sqlmodel import Session

from broker.adapters.db.database import Database, UnitOfWork
from broker.devices.model import DeviceState
from broker.devices.service import DeviceService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.ids import is_id
from broker.recordings.service import RecordingService
from broker.sessions import errors, rules, store
from broker.sessions.events import SessionEnded
from broker.sessions.gateway_events import (
    ANCHORED,
    BLOCKED,
    PROBED,
    RECORDING_HEALTH,
    RELEASE,
    REMOVAL,
    anchor_of,
    audit_event,
    removal_of,
)
from broker.sessions.model import (
    Ended,
    GatewayIdentity,
    OrderKind,
    Report,
    ReportedEvent,
    SessionCommand,
    SessionOrder,
    SessionState,
)
from broker.sessions.sequence import EventSequence, tell_gap
from broker.sessions.sequence_rules import Gap, Refused, Taken, Told
from broker.sessions.spooled import Adopted, Signed, Started
from broker.sessions.store import SessionRow

_CONTROL: Final = "system:control"
_GATEWAY: Final = "system:gateway"
_log = structlog.get_logger(__name__)


class GatewayReports:
    """Takes the numbered messages of gateways. Each counts once; a number that is missing goes into the trail."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        devices: DeviceService,
        recordings: RecordingService,
        *,
        evidence_public: bytes,
    ) -> None:
        """`evidence_public` is the gateways' evidence key: what it does not vouch for is not taken."""
        self._sequence = EventSequence(evidence_public)
        self._database = database
        self._clock = clock
        self._devices = devices
        self._recordings = recordings
        self._on_probe: Callable[[ReportedEvent], None] = lambda _: None
        self._on_removal: Callable[[UnitOfWork, str, str], None] = lambda _unit, _recording, _outcome: None
        self._on_release: Callable[[UnitOfWork, str, str], None] = lambda _unit, _recording, _outcome: None

    def on_probe(self, take: Callable[[ReportedEvent], None]) -> None:
        """Have the answers of connection tests passed to this, each once, when they are in the trail."""
        self._on_probe = take

    def on_removal(self, take: Callable[[UnitOfWork, str, str], None]) -> None:
        """Have what became of removals passed to this, in the report's transaction: recording and outcome."""
        self._on_removal = take

    def on_release(self, take: Callable[[UnitOfWork, str, str], None]) -> None:
        """Have what became of copied recordings' files passed to this, as `on_removal`."""
        self._on_release = take

    def spooled(self, gateway: GatewayIdentity, signed: Signed) -> None:
        """A signed entry of a gateway's spool. Raises Conflict `sessions.entry_refused`, which is in the trail then."""
        worker, entry, told = gateway.worker, signed.entry, signed.told
        with self._database.unit_of_work() as unit:
            judged = self._sequence.take_within(unit, worker, signed.boot, entry)
            if isinstance(judged, Taken):
                match told:
                    case Started():
                        pass
                    case Adopted() if not self._sequence.may_adopt_within(unit, worker, entry.boot_id, told.boot_id):
                        judged = Refused.ADOPTED_LATE
                        self._sequence.refuse_within(unit, worker, entry.boot_id, entry.seq, judged)
                    case Adopted():
                        if self._take_unsigned(unit, worker, told.boot_id, told.seq):
                            self._carry_out(unit, worker, told.told)
                    case Ended() | Report():
                        self._carry_out(unit, worker, told)
                    case never:
                        assert_never(never)
        if isinstance(judged, Refused):
            raise errors.entry_refused(judged.value)

    def newest(self, gateway: GatewayIdentity, told: Told) -> None:
        """A gateway says which entry it has kept as its newest; a later start must go on from there."""
        self._sequence.tell(gateway.worker, told)

    def ended(self, gateway: GatewayIdentity, boot_id: str, seq: int, ended: Ended) -> None:
        """As `report`: a session is over, as a gateway of a release that did not sign says."""
        self._unsigned(gateway.worker, boot_id, seq, ended)

    def report(self, gateway: GatewayIdentity, report: Report) -> None:
        """What a gateway of a release that did not sign saw, into the trail, once for each number.

        Raises Conflict `sessions.entry_refused` once the worker has signed anything.
        """
        self._unsigned(gateway.worker, report.boot_id, report.seq, report)

    def _unsigned(self, worker: str, boot_id: str, seq: int, told: Ended | Report) -> None:
        with self._database.unit_of_work() as unit:
            is_late = self._sequence.is_signed_within(unit, worker)
            if is_late:
                self._sequence.refuse_within(unit, worker, boot_id, seq, Refused.UNSIGNED)
            elif self._take_unsigned(unit, worker, boot_id, seq):
                self._carry_out(unit, worker, told)
        if is_late:
            raise errors.entry_refused(Refused.UNSIGNED.value)

    def _carry_out(self, unit: UnitOfWork, worker: str, told: Ended | Report) -> None:
        match told:
            case Ended():
                self._end(unit, worker, told)
            case Report():
                self._enter(unit, worker, told)
            case never:
                assert_never(never)

    def _end(self, unit: UnitOfWork, worker: str, ended: Ended) -> None:
        row = self._own_row(unit.session, worker, ended.session_id)
        if row is None:
            _log.warning("end_of_unknown_session", session=ended.session_id, worker=worker)
            return
        if ended.recording is not None:
            self._recordings.close_within(unit, row.recording_id, ended.recording)
        else:
            self._recordings.break_within(unit, row.recording_id)
        if row.state is not SessionState.CLOSED:
            self._close(unit, row, self._why(unit.session, row, ended.reason), ended.ended_at, ended.exit_status)

    def _enter(self, unit: UnitOfWork, worker: str, report: Report) -> None:
        row = self._own_row(unit.session, worker, report.session_id)
        session_id, person_id = (row.id, row.person_id) if row is not None else (None, None)
        for event in report.events:
            if event.code == ANCHORED and row is not None:
                head = anchor_of(event)
                if head is not None:
                    self._recordings.anchored_within(unit, row.recording_id, head)
                    continue
            if event.code == REMOVAL:
                self._on_removal(unit, *removal_of(event))
                continue
            if event.code == RELEASE:
                self._on_release(unit, *removal_of(event))
                continue
            audited = audit_event(event, session_id, person_id, worker)
            if audited is not None:
                unit.emit(audited)
            if event.code == PROBED:
                unit.after_commit(partial(self._on_probe, event))
        if row is not None:
            row.commands_blocked += sum(event.code == BLOCKED for event in report.events)
            for event in report.events:
                row.recording_health = RECORDING_HEALTH.get(event.code, row.recording_health)
            unit.session.add(row)

    def outstanding_orders(self, worker: str, held: Sequence[str]) -> list[SessionOrder]:
        """What a gateway that has just connected must still be told about the sessions it holds.

        Sessions that it must end, those that are over or unknown here, and whether the others' input is held.
        """
        now = self._clock.now()
        with self._database.reading() as session:
            orders = []
            for session_id in held:
                row = session.get(SessionRow, session_id) if is_id("ses", session_id) else None
                if row is None or row.worker != worker or row.state is SessionState.CLOSED:
                    orders.append(SessionOrder(session_id, OrderKind.END, "unknown_session", milliseconds(now), worker))
                elif row.state is SessionState.CLOSING:
                    orders.append(store.end_order(row, now))
                elif row.freeze_epoch:
                    orders.append(store.freeze_order(row))
            return orders

    def close_missing(self, worker: str, held: Sequence[str], connected_at: datetime) -> int:
        """Close what this worker had open before it connected and does not hold any more; returns how many.

        Call it some time after the gateway connected, so that the ends it had spooled came first.
        """
        with self._database.unit_of_work() as unit:
            missing = [
                row
                for row in store.open_sessions(unit.session, worker=worker)
                if row.id not in held and row.admitted_at < connected_at
            ]
            for row in missing:
                self._close_lost(unit, row, "gateway_lost")
            return len(missing)

    def close_overdue(self) -> int:
        """Close sessions that never started, or whose gateway cannot hold them any more; returns how many."""
        now = self._clock.now()
        with self._database.reading() as session:
            if not any(rules.lost_because(store.record_of(row), now) for row in store.open_sessions(session)):
                return 0
        closed = 0
        with self._database.unit_of_work() as unit:
            for row in store.open_sessions(unit.session):
                reason = rules.lost_because(store.record_of(row), now)
                if reason is not None:
                    self._close_lost(unit, row, reason)
                    closed += 1
        return closed

    def _why(self, session: Session, row: SessionRow, told: str) -> str:
        device = self._devices.get_within(session, row.device_id)
        return rules.end_reason(told, store.ordered_reason(row), device_is_trusted=device.state is DeviceState.TRUSTED)

    def _close_lost(self, unit: UnitOfWork, row: SessionRow, reason: str) -> None:
        self._recordings.break_within(unit, row.recording_id)
        self._close(unit, row, reason, self._clock.now(), None)

    @staticmethod
    def _close(unit: UnitOfWork, row: SessionRow, reason: str, at: datetime, exit_status: int | None) -> None:
        row.state = rules.moved(row.state, SessionCommand.END)
        row.end_reason, row.ended_at, row.exit_status = reason[:80] or "unknown", at, exit_status
        unit.session.add(row)
        unit.emit(
            SessionEnded(
                actor=_GATEWAY,
                subject=row.id,
                grant_id=row.grant_id,
                device_id=row.device_id,
                reason=row.end_reason,
                ended_at_ms=milliseconds(at),
                exit_status=exit_status,
                commands_blocked=row.commands_blocked,
            )
        )

    @staticmethod
    def _take_unsigned(unit: UnitOfWork, worker: str, boot_id: str, seq: int) -> bool:
        expected = store.advance_stream(unit.session, worker, boot_id, seq)
        if expected is not None and seq > expected:
            tell_gap(unit, worker, boot_id, Gap(expected, seq))
        return expected is not None

    @staticmethod
    def _own_row(session: Session, worker: str, session_id: str | None) -> SessionRow | None:
        row = session.get(SessionRow, session_id) if session_id is not None else None
        return row if row is not None and row.worker == worker else None
