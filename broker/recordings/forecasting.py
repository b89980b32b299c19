"""The outlook of this site's disk: asked by console, health and metrics, and told to the trail when it changes."""

import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock, milliseconds
from broker.recordings.copy_model import CopyState
from broker.recordings.copy_store import CopyRow
from broker.recordings.events import StorageForecast
from broker.recordings.forecast import WINDOW, Forecast, Level, Recorded, Space, forecast
from broker.recordings.retention_store import TombstoneRow
from broker.recordings.store import RecordingRow

_FRESH: Final = timedelta(seconds=60)
_EVERY: Final = timedelta(hours=1)
_log = structlog.get_logger(__name__)


def space_of(folder: Path, least_free_bytes: int) -> Space:
    """The file system of this folder. Raises OSError."""
    state = os.statvfs(folder)
    return Space(state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize, least_free_bytes)


class Forecasting:
    """Makes forecasts, at most one a minute."""

    def __init__(self, database: Database, clock: Clock, *, space: Callable[[], Space], keep: timedelta) -> None:
        """`space` raises OSError while the file system cannot be asked."""
        self._database = database
        self._clock = clock
        self._space = space
        self._keep = keep
        self._lock = threading.Lock()
        self._last: tuple[datetime, Forecast] | None = None
        self._told = Level.GOOD
        self._watched_at: datetime | None = None

    def outlook(self) -> Forecast:
        """The forecast, of the last minute. Raises OSError."""
        now = self._clock.now()
        with self._lock:
            if self._last is None or not timedelta(0) <= now - self._last[0] < _FRESH:
                with self._database.reading() as session:
                    recorded = _recorded(session, now)
                self._last = now, forecast(recorded, self._space(), self._keep, now)
            return self._last[1]

    def watch(self) -> None:
        """Once an hour: tell the trail when the level is another than before; a start counts as `good`."""
        now = self._clock.now()
        if self._watched_at is not None and now - self._watched_at < _EVERY:
            return
        self._watched_at = now
        found = self.outlook()
        before, calm = self._told, {Level.GOOD, Level.UNKNOWN}
        if found.level is before or (found.level in calm and before in calm):
            return
        with self._database.unit_of_work() as unit:
            unit.emit(
                StorageForecast(
                    actor="system:control",
                    subject="site",
                    level=found.level.value,
                    before=before.value,
                    bytes_per_day=found.bytes_per_day,
                    usable_bytes=found.usable_bytes,
                    full_at_ms=milliseconds(found.full_at) if found.full_at is not None else None,
                    days_held=found.days_held,
                    keep_days=found.keep_days,
                )
            )
        self._told = found.level
        (_log.info if found.level in calm else _log.error)(
            "recordings_forecast", level=found.level.value, days_until_full=found.days_until_full
        )


def _recorded(session: Session, now: datetime) -> Recorded:
    size = col(RecordingRow.bytes_written)
    recent = session.exec(select(func.sum(size)).where(col(RecordingRow.closed_at) >= now - WINDOW)).one()
    gone = select(TombstoneRow.recording_id).where(col(TombstoneRow.removed_at).is_not(None))
    elsewhere = select(CopyRow.recording_id).where(CopyRow.state == CopyState.RELEASED)
    here = (col(RecordingRow.id).not_in(gone), col(RecordingRow.id).not_in(elsewhere))
    kept = session.exec(select(func.sum(size)).where(*here)).one()
    first = session.exec(select(func.min(col(RecordingRow.opened_at)))).one()
    return Recorded(int(recent or 0), int(kept or 0), first)
