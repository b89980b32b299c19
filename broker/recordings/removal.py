"""The files of destroyed recordings: a gateway is told to remove one only when its tombstone is committed.

It is told again and again until it says that the file is gone. Whatever dies in between, a file that is gone has its
tombstone, and a tombstone's file goes.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from broker.adapters.db.database import Database, UnitOfWork
from broker.kernel.clock import Clock
from broker.kernel.ids import is_id
from broker.recordings import retention_store
from broker.recordings.events import RecordingRemovalRefused, RecordingRemoved
from broker.recordings.retention_store import TombstoneRow

_GATEWAY: Final = "system:gateway"
_AGAIN: Final = timedelta(seconds=60)
_MOST_ORDERED: Final = 50

_log = structlog.get_logger(__name__)


class Removals:
    """Has gateways remove what was destroyed, and takes their answers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._workers: Callable[[], Collection[str]] = frozenset
        self._send: Callable[[str, bytes], None] = lambda worker, line: None
        self._told: dict[str, datetime] = {}

    def connect(self, *, workers: Callable[[], Collection[str]], send: Callable[[str, bytes], None]) -> None:
        """Name the gateway workers and the way to one: worker, tombstone's line."""
        self._workers, self._send = workers, send

    def remove_waiting(self) -> int:
        """Tell a gateway of the files whose tombstones are committed; returns of how many. One is told once a minute.

        After a restart everything that was not answered is told again.
        """
        worker = min(self._workers(), default=None)
        if worker is None:
            return 0
        now = self._clock.now()
        with self._database.reading() as session:
            waiting = retention_store.to_be_removed(session, _MOST_ORDERED)
        told = {one.recording_id: self._told.get(one.recording_id) for one in waiting}
        due = [one for one in waiting if (last := told[one.recording_id]) is None or now - last >= _AGAIN]
        for one in due:
            self._send(worker, one.line)
        self._told = {name: at for name, at in told.items() if at is not None} | dict.fromkeys(
            (one.recording_id for one in due), now
        )
        return len(due)

    def removal_within(self, unit: UnitOfWork, recording_id: str, outcome: str) -> None:
        """A gateway's answer: `removed`, `absent`, or why not. One about a recording that was not destroyed is logged.

        A file that is removed is told to the trail once.
        """
        row = unit.session.get(TombstoneRow, recording_id) if is_id("rec", recording_id) else None
        if row is None:
            _log.error("removal_of_what_is_not_destroyed", recording=recording_id[:40], outcome=outcome[:80])
            return
        if row.removed_at is not None:
            return
        if outcome in {"removed", "absent"}:
            row.removed_at, row.refusal = self._clock.now(), None
            unit.emit(
                RecordingRemoved(
                    actor=_GATEWAY, subject=row.recording_id, purge_id=row.purge_id, was_there=outcome == "removed"
                )
            )
        elif row.refusal != outcome[:80]:
            row.refusal = outcome[:80]
            unit.emit(
                RecordingRemovalRefused(
                    actor=_GATEWAY, subject=row.recording_id, purge_id=row.purge_id, reason=row.refusal
                )
            )
        unit.session.add(row)

    def counts(self) -> tuple[int, int]:
        """How many recordings are on hold, and how many destroyed ones no gateway has removed yet."""
        with self._database.reading() as session:
            return retention_store.count_held(session), retention_store.count_to_be_removed(session)
