"""Copies recordings to the store of objects while they grow, and lets their files go after the copy was verified.

Two threads of control ask the archive, step by step; sessions never wait for them. What fails leaves the file where it
is, is told to the trail once, and is tried again later and later.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

import structlog

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.object_store.client import ArchiveClient, Expected
from broker.kernel.clock import Clock
from broker.kernel.ids import is_id
from broker.recordings import copy_store
from broker.recordings.copy_model import Copy, CopyState, StoreState
from broker.recordings.copy_store import CopyRow
from broker.recordings.events import (
    ObjectStoreState,
    RecordingCopied,
    RecordingCopyFailed,
    RecordingCopyHeld,
    RecordingCopyRemoved,
    RecordingReleased,
    RecordingReleaseRefused,
)
from broker.recordings.model import Recording, RecordingState
from broker.recordings.places import Places
from broker.recordings.reading import audited_chain
from broker.recordings.store import RecordingRow, recording_of
from recorder.errors import DamagedRecordingError, StoreError
from recorder.receipt import Receipt, read_line
from recorder.walk import file_size, read_ending

MOST_OBJECTS: Final = 3
"""So many objects are made of a recording whose copies come back altered; then the last is only looked at again."""

_CONTROL: Final = "system:control"
_GATEWAY: Final = "system:gateway"
_OF_THE_STORE: Final = frozenset({"unreachable", "refused", "no_bucket"})
_ANEW: Final = frozenset({"altered", "not_found"})
_MOST_AT_ONCE: Final = 20
_CHECK_EVERY: Final = timedelta(seconds=60)
_RELEASE_AGAIN: Final = timedelta(seconds=60)
_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(minutes=10)
_LONGEST_WAIT_OF_ONE: Final = timedelta(days=1)
_IDLE_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CopyTerms:
    """What the site set: how long recordings are kept, and for how long also here. `part_bytes`: the archive's."""

    bucket: str
    part_bytes: int
    keep: timedelta
    keep_local: timedelta
    evidence_public: bytes | None
    receipts_public: Callable[[], bytes]


class Copying:
    """Makes, verifies, holds and removes copies; knows how the store is."""

    def __init__(
        self, database: Database, clock: Clock, *, archive: ArchiveClient, places: Places, terms: CopyTerms
    ) -> None:
        self._database = database
        self._clock = clock
        self._archive = archive
        self._places = places
        self._terms = terms
        self._workers: Callable[[], Collection[str]] = frozenset
        self._send: Callable[[str, bytes], None] = lambda worker, line: None
        self._ordered: dict[str, datetime] = {}
        self._problem: str | None = "not_checked"
        self._told = "ok"
        self._checked_at: datetime | None = None
        self._failures = 0
        self._try_at: datetime | None = None
        self._has_swept = False

    def connect(self, *, workers: Callable[[], Collection[str]], send: Callable[[str, bytes], None]) -> None:
        """Name the gateway workers and the way to one: worker, receipt's line."""
        self._workers, self._send = workers, send

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; copies are read back in a thread beside, so that nothing waits for a large one."""
        reading = threading.Thread(target=self._work, args=(stop, self.read_back), name="reading-back", daemon=True)
        reading.start()
        self._work(stop, self.step)

    @staticmethod
    def _work(stop: threading.Event, step: Callable[[], bool]) -> None:
        while not stop.is_set():
            try:
                is_busy = step()
            except Exception:  # noqa: BLE001 - one bad step must not end the copying of all recordings
                _log.exception("copying_step_failed")
                is_busy = False
            stop.wait(0 if is_busy else _IDLE_SECONDS)

    def step(self) -> bool:
        """Everything that is due but reading back, a part of each recording at most; whether more is due at once."""
        now = self._clock.now()
        if self._try_at is not None and now < self._try_at:
            return False
        try:
            self._check(now)
            self._sweep()
            # Holds and removals first: people decided about them.
            self._hold(now)
            self._remove(now)
            is_busy = self._grow(now)
        except StoreError as error:
            self._store_failed(error, now)
            return False
        self._release(now)
        return is_busy

    def read_back(self) -> bool:
        """Have copies verified that were not yet; nothing while the store cannot be used."""
        if self._problem is None:
            now = self._clock.now()
            try:
                self._verify(now)
            except StoreError as error:
                self._store_failed(error, now)
        return False

    def state(self) -> StoreState:
        """How the store is, and the copies."""
        with self._database.reading() as session:
            counts, failing, waiting = copy_store.counts(session)
        return StoreState(self._terms.bucket, self._problem, self._checked_at, counts, failing, waiting)

    # -- the store itself ---------------------------------------------------------------------------------------------

    def _check(self, now: datetime) -> None:
        if self._problem is None and self._checked_at is not None and now - self._checked_at < _CHECK_EVERY:
            return
        self._archive.check()
        self._checked_at, self._problem = now, None
        self._failures, self._try_at = 0, None
        self._tell_state("ok")

    def _store_failed(self, error: StoreError, now: datetime) -> None:
        self._problem, self._checked_at = error.code, now
        self._try_at = now + min(_FIRST_WAIT * 2 ** min(self._failures, 10), _LONGEST_WAIT)
        self._failures += 1
        _log.error("object_store_fails", code=error.code, error=str(error))
        self._tell_state(error.code)

    def _tell_state(self, state: str) -> None:
        if state == self._told:
            return
        with self._database.unit_of_work() as unit:
            unit.emit(ObjectStoreState(actor=_CONTROL, subject="site", state=state, before=self._told))
        self._told = state

    def _sweep(self) -> None:
        """Once after a start: give up uploads that a dead process left and nobody continues."""
        if self._has_swept:
            return
        with self._database.reading() as session:
            wanted = copy_store.wanted(session, 1001)
        if len(wanted) <= 1000:
            self._archive.sweep(wanted)
        self._has_swept = True

    # -- copies -------------------------------------------------------------------------------------------------------

    def _grow(self, now: datetime) -> bool:
        with self._database.reading() as session:
            due = copy_store.to_be_stored(session, now, 500)
        is_busy = False
        asked = 0
        for recording, copy in due:
            if asked >= _MOST_AT_ONCE:
                return True
            try:
                with self._places.path(recording.id).open("rb") as file:
                    size = _final_size(file) if recording.state is not RecordingState.OPEN else None
                    sent = copy.uploaded_bytes if copy is not None else 0
                    if size is None and file_size(file) - sent < self._terms.part_bytes:
                        continue
                    asked += 1
                    attempt = copy.attempt if copy is not None else 1
                    uploaded, stored = self._archive.advance(recording.id, file.fileno(), size, attempt)
            except FileNotFoundError:
                self._one_failed(recording, StoreError("missing", "its file is not there"), now)
                continue
            except OSError as error:
                self._one_failed(recording, StoreError("not_readable", str(error)), now)
                continue
            except StoreError as error:
                self._one_failed(recording, error, now)
                continue
            is_busy = is_busy or uploaded > sent or stored is not None
            with self._database.unit_of_work() as unit:
                row = _row(unit, recording.id)
                row.uploaded_bytes, row.problem, row.failures, row.try_at = uploaded, None, 0, None
                if stored is not None:
                    row.state, row.version, row.size = CopyState.STORED, stored.version, stored.size
                unit.session.add(row)
        return is_busy

    def _verify(self, now: datetime) -> None:
        with self._database.reading() as session:
            due = copy_store.to_be_verified(session, now, _MOST_AT_ONCE)
        for recording, copy in due:
            if copy.stored is None:
                continue
            keep_until = (recording.closed_at or now) + self._terms.keep
            expected = Expected(
                recording.signing_public, audited_chain(recording), self._terms.evidence_public, keep_until
            )
            try:
                line = self._archive.verify(copy.stored, expected)
                receipt = self._checked(line, copy)
            except StoreError as error:
                self._one_failed(recording, error, now)
                continue
            self._verified(recording, copy, receipt, line)

    def _checked(self, line: bytes, copy: Copy) -> Receipt:
        try:
            receipt = read_line(line, self._terms.receipts_public())
        except (DamagedRecordingError, OSError, ValueError) as error:
            raise StoreError("forged_receipt", f"{copy.recording_id}: {error}") from None
        stored = copy.stored
        told = (receipt.recording_id, receipt.bytes, receipt.version)
        if stored is None or told != (stored.recording_id, stored.size, stored.version):
            raise StoreError("forged_receipt", f"{copy.recording_id}: the receipt is of another object")
        return receipt

    def _verified(self, recording: Recording, copy: Copy, receipt: Receipt, line: bytes) -> None:
        with self._database.unit_of_work() as unit:
            row = _row(unit, recording.id)
            if row.state is not CopyState.STORED or row.version != receipt.version or row.removed_at is not None:
                return  # destroyed meanwhile
            row.receipt, row.verified_at = line, self._clock.now()
            row.locked_until = datetime.fromtimestamp(receipt.locked_until_ms / 1000, UTC)
            row.problem, row.failures, row.try_at = None, 0, None
            row.state = CopyState.VERIFIED
            unit.session.add(row)
            unit.emit(
                RecordingCopied(
                    actor=_CONTROL,
                    subject=recording.id,
                    session_id=recording.session_id,
                    bucket=receipt.bucket,
                    version=receipt.version,
                    bytes=receipt.bytes,
                    sha256=receipt.sha256,
                    lock_mode=receipt.lock_mode,
                    locked_until_ms=receipt.locked_until_ms,
                    attempt=copy.attempt,
                )
            )

    def _one_failed(self, recording: Recording, error: StoreError, now: datetime) -> None:
        """Raises the error again when the whole store fails, for one recording is as good as another then."""
        if error.code in _OF_THE_STORE:
            raise error
        _log.error("copy_failed", recording=recording.id, code=error.code, error=str(error))
        with self._database.unit_of_work() as unit:
            row = _row(unit, recording.id)
            is_news = row.problem != error.code
            row.problem, row.failures = error.code[:40], row.failures + 1
            row.try_at = now + min(_FIRST_WAIT * 2 ** min(row.failures, 20), _LONGEST_WAIT_OF_ONE)
            if error.code in _ANEW and row.state is CopyState.STORED and row.attempt < MOST_OBJECTS:
                row.state, row.attempt, row.uploaded_bytes = CopyState.GROWING, row.attempt + 1, 0
                row.version = row.size = None
                is_news = True
            unit.session.add(row)
            if is_news:
                unit.emit(
                    RecordingCopyFailed(
                        actor=_CONTROL,
                        subject=recording.id,
                        session_id=recording.session_id,
                        reason=row.problem,
                        attempt=row.attempt,
                    )
                )

    def _hold(self, now: datetime) -> None:
        with self._database.reading() as session:
            due = copy_store.held_otherwise(session, now, _MOST_AT_ONCE)
        for copy in due:
            if copy.stored is None:
                continue
            wanted = not copy.is_held
            try:
                self._archive.hold(copy.stored, is_held=wanted)
            except StoreError as error:
                self._one_failed(self._recording(copy.recording_id), error, now)
                continue
            with self._database.unit_of_work() as unit:
                row = _row(unit, copy.recording_id)
                row.is_held, row.problem, row.failures, row.try_at = wanted, None, 0, None
                unit.session.add(row)
                unit.emit(
                    RecordingCopyHeld(
                        actor=_CONTROL,
                        subject=row.recording_id,
                        session_id=_session_of(unit, row.recording_id),
                        version=copy.stored.version,
                        is_held=wanted,
                    )
                )

    def _remove(self, now: datetime) -> None:
        with self._database.reading() as session:
            due = copy_store.to_be_removed(session, now, _MOST_AT_ONCE)
        for recording_id, purge_id, line in due:
            try:
                objects = self._archive.remove(line)
            except StoreError as error:
                self._one_failed(self._recording(recording_id), error, now)
                continue
            with self._database.unit_of_work() as unit:
                row = _row(unit, recording_id)
                row.removed_at, row.problem, row.try_at = self._clock.now(), None, None
                unit.session.add(row)
                unit.emit(
                    RecordingCopyRemoved(actor=_CONTROL, subject=recording_id, purge_id=purge_id, objects=objects)
                )

    # -- the file here ------------------------------------------------------------------------------------------------

    def _release(self, now: datetime) -> None:
        """Tell a gateway of files that may go; again until it says what became of them."""
        worker = min(self._workers(), default=None)
        if worker is None:
            return
        with self._database.reading() as session:
            due = copy_store.to_be_released(session, now - self._terms.keep_local, _MOST_AT_ONCE)
        told = {name: at for name, _ in due if (at := self._ordered.get(name)) is not None}
        for name, line in due:
            if name not in told or now - told[name] >= _RELEASE_AGAIN:
                self._send(worker, line)
                told[name] = now
        self._ordered = told

    def released_within(self, unit: UnitOfWork, recording_id: str, outcome: str) -> None:
        """A gateway's answer: `released`, `absent`, or why not. Only a verified copy is ever released."""
        row = unit.session.get(CopyRow, recording_id) if is_id("rec", recording_id) else None
        if row is None or row.state is not CopyState.VERIFIED or row.version is None:
            _log.error("release_of_what_is_not_verified", recording=recording_id[:40], outcome=outcome[:80])
            return
        session_id = _session_of(unit, row.recording_id)
        if outcome in {"released", "absent"}:
            row.state, row.released_at, row.problem = CopyState.RELEASED, self._clock.now(), None
            unit.emit(
                RecordingReleased(
                    actor=_GATEWAY,
                    subject=row.recording_id,
                    session_id=session_id,
                    version=row.version,
                    was_there=outcome == "released",
                )
            )
        elif row.problem != outcome[:40]:
            row.problem = outcome[:40]
            unit.emit(
                RecordingReleaseRefused(
                    actor=_GATEWAY, subject=row.recording_id, session_id=session_id, reason=row.problem
                )
            )
        unit.session.add(row)

    def _recording(self, recording_id: str) -> Recording:
        with self._database.reading() as session:
            return recording_of(session.get_one(RecordingRow, recording_id))


def _row(unit: UnitOfWork, recording_id: str) -> CopyRow:
    row = unit.session.get(CopyRow, recording_id)
    return row if row is not None else CopyRow(recording_id=recording_id, state=CopyState.GROWING)


def _session_of(unit: UnitOfWork, recording_id: str) -> str:
    return unit.session.get_one(RecordingRow, recording_id).session_id


def _final_size(file: BinaryIO) -> int:
    """The size of a recording that ended. Raises StoreError `unfinished` while nothing marks its end."""
    size = file_size(file)
    if read_ending(file, size).tag is None:
        raise StoreError("unfinished", "its end is not marked yet")
    return size
