"""Orders to gateways: entered in the caller's transaction, sent once it is committed, before anybody reacts to it."""

from collections.abc import Callable
from datetime import datetime

from broker.adapters.db.database import UnitOfWork
from broker.kernel.clock import milliseconds
from broker.sessions import rules, store
from broker.sessions.events import SessionEndOrdered
from broker.sessions.model import OrderKind, SessionCommand, SessionOrder
from broker.sessions.store import SessionRow


class Orders:
    """The way from a decision to the gateway worker that has the session."""

    def __init__(self) -> None:
        self._send: Callable[[SessionOrder], None] = lambda _: None

    def on_order(self, send: Callable[[SessionOrder], None]) -> None:
        """Have committed orders passed to this; it must be thread-safe and return at once."""
        self._send = send

    def send(self, order: SessionOrder) -> None:
        """Pass on what changes no record: a message, a watch."""
        self._send(order)

    def end_within(
        self, unit: UnitOfWork, row: SessionRow, kind: OrderKind, reason: str, actor: str, now: datetime
    ) -> None:
        """Enter that a session must end. One that was told so already is told again by a cut; else nothing happens."""
        if (row.state, SessionCommand.ORDER_END) in rules.MOVES:
            row.state = rules.moved(row.state, SessionCommand.ORDER_END)
            row.end_ordered_at, row.end_order, row.end_order_reason = now, kind.value, reason
            unit.session.add(row)
            unit.emit(SessionEndOrdered(actor=actor, subject=row.id, reason=reason, order=kind.value))
        elif kind is not OrderKind.CUT:
            return
        order = store.end_order(row, now)
        unit.after_commit(lambda: self._send(order))

    def hold_within(self, unit: UnitOfWork, row: SessionRow, reason: str | None, now: datetime) -> None:
        """Enter that a session's input is held for this reason, or (None) held no longer."""
        row.frozen_at, row.frozen_reason = (now, reason) if reason is not None else (None, None)
        row.freeze_epoch = max(milliseconds(now), row.freeze_epoch + 1)
        unit.session.add(row)
        order = store.freeze_order(row)
        unit.after_commit(lambda: self._send(order))
