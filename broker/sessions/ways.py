"""The gateway's ways to targets: opened with a lease, and in use as long as a session leads there."""

from collections.abc import Callable
from datetime import datetime

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock
from broker.sessions import store
from broker.sessions.model import SessionState
from broker.sessions.store import SessionRow
from broker.targets.service import TargetService


class Ways:
    """Which ways there must be. Who opens them in the firewall is told at `on_lease`."""

    def __init__(self, database: Database, clock: Clock, targets: TargetService) -> None:
        self._database = database
        self._clock = clock
        self._targets = targets
        self._open: Callable[[str, int, int], None] = lambda _address, _port, _seconds: None

    def on_lease(self, open_way: Callable[[str, int, int], None]) -> None:
        """Have the gateway's way to a target opened with each lease: address, port, seconds until the permit ends.

        It is called before the lease is committed; when it raises, nothing is leased.
        """
        self._open = open_way

    def open_within(self, session: Session, target_id: str, address: str, port: int, now: datetime) -> None:
        """Open the way for a session whose lease is being given in the caller's transaction.

        Every flow there ends with the way, so it lasts as long as the longest session that leads there.
        """
        longest = max(one.not_after for one in _leading_to(session, target_id))
        self._open(address, port, _seconds(now, longest))

    def leads_to(self, address: str, port: int) -> bool:
        """Whether an open session's target is in use and at this address and port now."""
        with self._database.reading() as session:
            ids = {row.target_id for row in store.open_sessions(session)}
            found = self._targets.several_within(session, ids).values()
            return any((one.address, one.port) == (address, port) and not one.is_retired for one in found)

    def without_use(self, session_id: str) -> tuple[str, int] | None:
        """Address and port of a session's target when no open session leads there any more. Raises NotFound."""
        with self._database.reading() as session:
            target_id = store.existing(session, session_id).target_id
            if any(row.target_id == target_id for row in store.open_sessions(session)):
                return None
            target = self._targets.get_within(session, target_id)
            return target.address, target.port

    def in_use(self, session_id: str) -> tuple[str, int, int] | None:
        """Address and port of a session's target, and for how many seconds other sessions still lead there.

        None when none does, or the target is retired. Raises NotFound.
        """
        with self._database.reading() as session:
            target_id = store.existing(session, session_id).target_id
            others = _leading_to(session, target_id)
            if not others:
                return None
            target = self._targets.get_within(session, target_id)
            if target.is_retired:
                return None
            longest = max(row.not_after for row in others)
            return target.address, target.port, _seconds(self._clock.now(), longest)


def _seconds(now: datetime, until: datetime) -> int:
    return max(1, int((until - now).total_seconds()))


def _leading_to(session: Session, target_id: str) -> list[SessionRow]:
    """The open sessions that were leased the way to a target."""
    leased = (row for row in store.open_sessions(session) if row.state is not SessionState.PENDING)
    return [row for row in leased if row.target_id == target_id]
