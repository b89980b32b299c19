"""The engine and its two ways in: a unit of work that writes, and a session that only reads.

Every state change, its audit event, the chain link and the outbox entry share one transaction. On SQLite a unit of
work takes the write lock when it begins, so two of them never interleave; on PostgreSQL the audit chain takes an
advisory lock when it appends.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlmodel import Session, create_engine

_WRITES: Final = "sallyport_writes"
_BUSY_SECONDS: Final = 10

EventAppender = Callable[[Session, Sequence[object]], Sequence[int]]
"""Writes events into the trail within a session's transaction and returns their numbers."""

CommitListener = Callable[[Sequence[int]], None]
"""Is told the numbers of the events that were just committed."""


class UnitOfWork:
    """One transaction: rows through `session`, audit events through `emit`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._events: list[object] = []

    def emit(self, audit_event: object) -> None:
        """Have this event written with the change it tells."""
        self._events.append(audit_event)

    @property
    def events(self) -> Sequence[object]:
        """What was emitted so far."""
        return tuple(self._events)


class Database:
    """The site's database.

    `url` is SQLAlchemy's; `append_events` is called just before each commit with what the unit of work emitted.
    """

    def __init__(self, url: str, append_events: EventAppender) -> None:
        self._append_events = append_events
        self._commit_listener: CommitListener | None = None
        self.engine = _make_engine(url)

    def on_commit(self, listener: CommitListener) -> None:
        """Have this called after every commit that wrote events; there is one listener."""
        self._commit_listener = listener

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """A writing transaction: commits when the block ends, rolls back when it raises."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection(execution_options={_WRITES: True})
            unit = UnitOfWork(session)
            yield unit
            session.flush()
            numbers = self._append_events(session, unit.events) if unit.events else ()
            session.commit()
        if numbers and self._commit_listener is not None:
            self._commit_listener(numbers)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose changes are never kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.rollback()

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def _make_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
