"""The engine and its two ways in: a unit of work that writes, and a session that only reads.

Every state change, its audit event, the chain link and the outbox entry share one transaction. A unit of work takes
the site's one write lock before its first statement, so two of them never interleave: on SQLite the file's own lock,
on PostgreSQL an advisory lock that ends with the transaction. Services may therefore read, decide and write.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlmodel import Session, create_engine

from broker.kernel.errors import Unavailable

_OF_WHAT_WAS_WRITTEN: Final = (IntegrityError, DataError, ProgrammingError)
_WRITES: Final = "sallyport_writes"
_BUSY_SECONDS: Final = 10
_SITE_LOCK: Final = 0x5A11_A0D1
_POSTGRESQL: Final = "postgresql+psycopg"
_POOL_SIZE: Final = 10
_POOL_OVERFLOW: Final = 20
_SESSION: Final = (
    "-c statement_timeout=30s",
    f"-c lock_timeout={_BUSY_SECONDS}s",
    "-c idle_in_transaction_session_timeout=60s",
    "-c synchronous_commit=on",
    "-c TimeZone=UTC",
)

EventAppender = Callable[[Session, Sequence[object]], Sequence[int]]
"""Writes events into the trail within a session's transaction and returns their numbers."""

FailureListener = Callable[[DBAPIError], None]
"""Is told of a write that the database could not do, for another reason than what was written."""

CommitListener = Callable[[Sequence[int]], None]
"""Is told the numbers of the events that were just committed."""


class UnitOfWork:
    """One transaction: rows through `session`, audit events through `emit`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._events: list[object] = []
        self._after_commit: list[Callable[[], None]] = []

    def emit(self, audit_event: object) -> None:
        """Have this event written with the change it tells."""
        self._events.append(audit_event)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Have this called once the change is committed, before anybody reacts to its events.

        For what may not wait behind other reactions, an order to end a session. It must not raise, and return at once.
        """
        self._after_commit.append(act)

    @property
    def events(self) -> Sequence[object]:
        """What was emitted so far."""
        return tuple(self._events)

    def committed(self) -> None:
        """Do what was to be done after the commit."""
        for act in self._after_commit:
            act()


class Database:
    """The site's database.

    `url` is SQLAlchemy's, `sqlite:///…` or `postgresql+psycopg://…`; `append_events` is called just before each commit
    with what the unit of work emitted. Raises ValueError for another kind of database.
    """

    def __init__(self, url: str, append_events: EventAppender) -> None:
        self._append_events = append_events
        self._commit_listener: CommitListener | None = None
        self._failure_listener: FailureListener | None = None
        self._turns = threading.Lock()
        self.engine = _make_engine(url)

    def on_commit(self, listener: CommitListener) -> None:
        """Have this called after every commit that wrote events; there is one listener."""
        self._commit_listener = listener

    def on_write_failure(self, listener: FailureListener) -> None:
        """Have this called when the database cannot write (full, read-only, away); there is one listener."""
        self._failure_listener = listener

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """A writing transaction: commits when the block ends, rolls back when it raises.

        Raises Unavailable when other writers leave no turn within ten seconds. When the database goes away during the
        commit itself, the error leaves open whether it was made; the trail tells.
        """
        try:
            with self._turn(), Session(self.engine, expire_on_commit=False) as session:
                session.connection(execution_options={_WRITES: True})
                unit = UnitOfWork(session)
                yield unit
                session.flush()
                numbers = self._append_events(session, unit.events) if unit.events else ()
                session.commit()
        except DBAPIError as error:
            if not isinstance(error, _OF_WHAT_WAS_WRITTEN) and self._failure_listener is not None:
                self._failure_listener(error)
            raise
        unit.committed()
        if numbers and self._commit_listener is not None:
            self._commit_listener(numbers)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose changes are never kept, and whose reads all see the same moment."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session
            session.rollback()

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the other writers of this process without holding a connection that the first of them may need."""
        if self.engine.dialect.name != "postgresql":
            yield
            return
        if not self._turns.acquire(timeout=_BUSY_SECONDS):
            raise Unavailable("database.busy", "The database is busy with other changes; try again.")
        try:
            yield
        finally:
            self._turns.release()


def _make_engine(url: str) -> Engine:
    kind = make_url(url).drivername
    if kind == _POSTGRESQL:
        return _postgresql(url)
    if kind.startswith("sqlite"):
        return _sqlite(url)
    raise ValueError(f"a database of the kind {kind!r} is not known: use sqlite or {_POSTGRESQL}")


def _postgresql(url: str) -> Engine:
    engine = create_engine(
        url,
        # A unit of work must see what the one before it committed while it waited for the lock: no older snapshot.
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_BUSY_SECONDS,
        connect_args={
            "application_name": "sallyport",
            "connect_timeout": 5,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "options": " ".join(_SESSION),
        },
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES, False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SITE_LOCK})")

    return engine


def _sqlite(url: str) -> Engine:
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
