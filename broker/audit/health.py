"""Whether the trail can be written: told by every write that fails, and asked by a small write of its own.

What cannot be told to the trail must not begin. So no new session starts while this says no; what runs goes on under
the permit it holds. It says yes again as soon as a write of a size that matters has succeeded.
"""

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import LargeBinary
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field, SQLModel

from broker.adapters.db.columns import UtcDateTime
from broker.adapters.db.database import Database
from broker.audit.events import TrailWritable
from broker.kernel.clock import Clock, milliseconds

_ONE: Final = 1
_BEAT_BYTES: Final = 16
_ROOM_BYTES: Final = 256 * 1024
_log = structlog.get_logger(__name__)


class HeartbeatRow(SQLModel, table=True):
    """One row that is written again and again, to see whether writing works."""

    __tablename__ = "audit_heartbeat"

    id: int = Field(default=_ONE, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    room: bytes = Field(default=b"", sa_type=LargeBinary)


@dataclass(frozen=True)
class TrailState:
    """`failing_since` is None while the trail can be written; `problem` names the kind of the last error."""

    failing_since: datetime | None
    failures: int
    problem: str


class TrailHealth:
    """Knows whether the trail can be written. Safe to ask from every thread; asking costs nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._failing_since: datetime | None = None
        self._failures = 0
        self._problem = ""
        database.on_write_failure(self._failed)

    @property
    def is_writable(self) -> bool:
        """Whether the last write succeeded."""
        return self._failing_since is None

    def state(self) -> TrailState:
        """What is known; `failures` counts since the start of the process."""
        with self._lock:
            return TrailState(self._failing_since, self._failures, self._problem)

    def probe(self) -> bool:
        """Write the heartbeat, with room for a session's records when writing failed before; whether it succeeded.

        The first success after failures tells the trail for how long nothing could be told.
        """
        with self._lock:
            since, failures = self._failing_since, self._failures
        now = self._clock.now()
        try:
            with self._database.unit_of_work() as unit:
                row = unit.session.get(HeartbeatRow, _ONE) or HeartbeatRow(at=now)
                # Random, so that it is another value each time and takes the room that it says.
                row.at, row.room = now, secrets.token_bytes(_BEAT_BYTES if since is None else _ROOM_BYTES)
                unit.session.add(row)
                if since is not None:
                    unit.emit(
                        TrailWritable(
                            actor="system:control",
                            subject="site",
                            failing_since_ms=milliseconds(since),
                            failures=failures,
                        )
                    )
        except DBAPIError:
            return False
        if since is not None:
            with self._lock:
                self._failing_since, self._problem = None, ""
            _log.info("audit_can_be_written_again", since=since.isoformat(), failures=failures)
        return True

    def _failed(self, error: DBAPIError) -> None:
        with self._lock:
            self._failures += 1
            self._problem = type(error.orig).__name__ if error.orig is not None else type(error).__name__
            first = self._failing_since is None
            if first:
                self._failing_since = self._clock.now()
        if first:
            _log.error("audit_cannot_be_written", problem=self._problem, consequence="no new session begins")
