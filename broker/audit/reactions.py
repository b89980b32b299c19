"""Carries committed events to those who react to them: at once after the commit, and again until they succeed.

A reaction runs in its own transaction and must be idempotent: after a crash between commit and reaction the outbox
delivers the event again.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.model import AuditEvent, event_of

_BATCH: Final = 200
EventT = TypeVar("EventT", bound=AuditEvent)
_log = structlog.get_logger(__name__)


class Reactions:
    """The subscriptions, and the dispatcher that serves them in the order of the trail."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._handlers: dict[type[AuditEvent], list[Callable[[AuditEvent], None]]] = defaultdict(list)
        self._lock = threading.RLock()
        self._delivering = False
        database.on_commit(self._committed)

    def subscribe(self, event_class: type[EventT], handler: Callable[[EventT], object]) -> None:
        """Have `handler` called with every committed event of this class."""

        def call(event: AuditEvent) -> None:
            if isinstance(event, event_class):
                handler(event)

        self._handlers[event_class].append(call)

    def deliver_pending(self) -> int:
        """Serve what the outbox holds; returns how many records still wait because a reaction failed.

        A reaction that writes events of its own comes back here: the call that is already at work serves those too.
        """
        with self._lock:
            if self._delivering:
                return 0
            self._delivering = True
            try:
                return self._deliver()
            finally:
                self._delivering = False

    def _deliver(self) -> int:
        failed: set[int] = set()
        while True:
            with self._database.reading() as session:
                records = [record for record in store.pending(session, _BATCH) if record.seq not in failed]
            if not records:
                return len(failed)
            for record in records:
                event = event_of(record)
                succeeded = event is None or self._serve(event)
                with self._database.unit_of_work() as unit:
                    if succeeded:
                        store.settle(unit.session, record.seq)
                    else:
                        failed.add(record.seq)
                        store.count_attempt(unit.session, record.seq)

    def _committed(self, _numbers: Sequence[int]) -> None:
        self.deliver_pending()

    def _serve(self, event: AuditEvent) -> bool:
        for handler in self._handlers[type(event)]:
            try:
                handler(event)
            except Exception:  # noqa: BLE001 - the outbox is the edge at which a failed reaction is kept for later
                _log.exception("reaction_failed", code=event.code, subject=event.subject)
                return False
        return True
