"""The use-cases of receipts: what is due, what a device said, and what it did not say."""

from datetime import datetime
from typing import Final

import structlog
from sqlmodel import Session

from broker.adapters.db.database import Database, UnitOfWork
from broker.devices.model import Device
from broker.devices.service import DeviceService
from broker.kernel.clock import Clock, milliseconds
from broker.kernel.errors import SallyportError
from broker.receipts import errors, rules, store
from broker.receipts.events import ReceiptMissing, ReceiptNotTaken, ReceiptReceived, ReceiptRefused
from broker.receipts.model import Due, KeptReceipt, ReceiptState
from broker.receipts.store import ReceiptRow
from broker.recordings.service import RecordingService
from broker.sessions.model import SessionRecord, SessionState
from broker.sessions.service import SessionsService
from broker.targets.service import TargetService
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import Signed, read

MOST_DUE: Final = 50
_MOST_ENTERED: Final = 100
_CONTROL: Final = "system:control"
_log = structlog.get_logger(__name__)


class Receipts:
    """Two-sided receipts of one site; `site` is its audience in hexadecimal."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        devices: DeviceService,
        targets: TargetService,
        sessions: SessionsService,
        recordings: RecordingService,
        site: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._devices = devices
        self._targets = targets
        self._sessions = sessions
        self._recordings = recordings
        self._site = site

    # -- for devices --------------------------------------------------------------------------------------------------

    def due(self, device_id: str, certificate_der: bytes) -> list[Due]:
        """The connected device's sessions that run or wait for its word, oldest first.

        Raises Forbidden `device_not_trusted`.
        """
        self._devices.verify_connection(device_id, certificate_der)
        ended_after = self._clock.now() - rules.TAKEN_WITHIN
        with self._database.reading() as session:
            records = store.without_word(session, device_id, ended_after=ended_after, limit=MOST_DUE)
        return [self._due(record) for record in records]

    def take(self, device_id: str, certificate_der: bytes, line: str) -> KeptReceipt:
        """Keep what a connected device says of a session of its own; the same line again changes nothing.

        Raises Forbidden `device_not_trusted` and the refusals of `errors`; what is not taken is in the trail, unless it
        is of no session of this device.
        """
        device = self._devices.verify_connection(device_id, certificate_der)
        try:
            signed = read(line.encode())
        except ReceiptError as error:
            raise errors.unreadable(error.code) from None
        record = self._own(device, signed)
        try:
            self._check(signed, record)
        except SallyportError as error:
            self._tell_not_taken(record, error)
            raise
        return self._keep(signed, record)

    # -- for the plant ------------------------------------------------------------------------------------------------

    def of_session(self, session_id: str) -> KeptReceipt | None:
        """What a session's device said; None while it has time, or for a session that never began. Raises NotFound."""
        record = self._sessions.get(session_id).record
        with self._database.reading() as session:
            row = session.get(ReceiptRow, record.id)
            return store.kept_of(row) if row is not None else None

    def enter_missing(self) -> int:
        """Enter the absence of receipts that did not come in time; returns how many."""
        now = self._clock.now()
        with self._database.reading() as session:
            if not self._silent(session, now):
                return 0
        with self._database.unit_of_work() as unit:
            silent = self._silent(unit.session, now)
            for record in silent:
                unit.session.add(
                    ReceiptRow(session_id=record.id, device_id=record.device_id, state=ReceiptState.MISSING, at=now)
                )
                unit.emit(
                    ReceiptMissing(
                        actor=_CONTROL,
                        subject=record.id,
                        device_id=record.device_id,
                        recording_id=record.recording_id,
                    )
                )
            return len(silent)

    # -- within -------------------------------------------------------------------------------------------------------

    @staticmethod
    def _silent(session: Session, now: datetime) -> list[SessionRecord]:
        return store.without_row(
            session,
            ended_after=now - rules.TAKEN_WITHIN,
            ended_before=now - rules.GIVEN_WITHIN,
            limit=_MOST_ENTERED,
        )

    def _due(self, record: SessionRecord) -> Due:
        shown = self._recordings.shown_head(record.recording_id)
        with self._database.reading() as session:
            target = self._targets.get_within(session, record.target_id)
        return Due(
            site=self._site,
            session_id=record.id,
            grant_id=record.grant_id,
            device_id=record.device_id,
            target=target.name,
            recording_id=record.recording_id,
            signing_key=shown.signing_public.hex(),
            header_sha256=shown.header_sha256.hex(),
            head=shown.head.hex(),
            head_signature=shown.signature.hex(),
            end="running" if record.state is not SessionState.CLOSED else shown.end,
            began_ms=milliseconds(record.started_at or record.admitted_at),
            ended_ms=milliseconds(record.ended_at) if record.ended_at is not None else 0,
        )

    def _own(self, device: Device, signed: Signed) -> SessionRecord:
        """The session of a receipt, when it is this device's and signed by its own key."""
        try:
            record = self._sessions.get(signed.receipt.session_id).record
        except SallyportError:
            raise errors.not_yours() from None
        with self._database.reading() as session:
            key = self._devices.public_key_within(session, device.id)
        if record.device_id != device.id or signed.device_key != key:
            raise errors.not_yours()
        return record

    def _check(self, signed: Signed, record: SessionRecord) -> None:
        if record.state is not SessionState.CLOSED or record.ended_at is None:
            raise errors.too_early(record.id)
        if self._clock.now() >= record.ended_at + rules.TAKEN_WITHIN:
            raise errors.too_late(record.id)
        field = rules.difference(signed.receipt, self._due(record))
        if field is not None:
            raise errors.differs(record.id, field)

    def _tell_not_taken(self, record: SessionRecord, error: SallyportError) -> None:
        field = error.params.get("field")
        with self._database.unit_of_work() as unit:
            unit.emit(
                ReceiptNotTaken(
                    actor=record.device_id,
                    subject=record.id,
                    device_id=record.device_id,
                    problem=error.code,
                    field=str(field) if field is not None else None,
                )
            )
        _log.warning("receipt_not_taken", session=record.id, problem=error.code, field=field)

    def _keep(self, signed: Signed, record: SessionRecord) -> KeptReceipt:
        with self._database.unit_of_work() as unit:
            row = unit.session.get(ReceiptRow, record.id)
            if row is not None and row.line is not None:
                if bytes(row.line) != signed.line:
                    raise errors.already(record.id)
                return store.kept_of(row)
            is_late = row is not None
            state, now = rules.state_of(signed.receipt), self._clock.now()
            row = row or ReceiptRow(session_id=record.id, device_id=record.device_id, state=state, at=now)
            row.state, row.line, row.at = state, signed.line, now
            row.refusal = signed.receipt.refusal or None
            unit.session.add(row)
            unit.session.flush()
            _tell(unit, signed, record, is_late=is_late)
            return store.kept_of(row)


def _tell(unit: UnitOfWork, signed: Signed, record: SessionRecord, *, is_late: bool) -> None:
    receipt = signed.receipt
    if receipt.refusal:
        unit.emit(
            ReceiptRefused(
                actor=record.device_id,
                subject=record.id,
                device_id=record.device_id,
                recording_id=record.recording_id,
                receipt_sha256=signed.sha256,
                refusal=receipt.refusal,
                heads_seen=receipt.heads_seen,
                is_late=is_late,
            )
        )
        return
    unit.emit(
        ReceiptReceived(
            actor=record.device_id,
            subject=record.id,
            device_id=record.device_id,
            recording_id=record.recording_id,
            receipt_sha256=signed.sha256,
            end=receipt.end,
            heads_seen=receipt.heads_seen,
            is_late=is_late,
        )
    )
