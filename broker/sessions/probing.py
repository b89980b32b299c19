"""Tests of connections to targets: a gateway goes as far as the host key, because control reaches no target itself.

Entered in the trail before it begins. The firewall lets the gateway out for some seconds, and closes that by itself. No
credential takes part: one is leased only for an engineer's own proof.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock
from broker.kernel.errors import Invalid
from broker.kernel.ids import new_id
from broker.sessions import errors
from broker.sessions.model import ProbeOrder, ReportedEvent
from broker.targets import rules
from broker.targets.events import TargetKeyDiffers, TargetKeyMatched, TargetProbed
from broker.targets.model import Protocol, Target
from broker.targets.service import TargetService

PROBE_SECONDS: Final = 10
_WAY_SECONDS: Final = PROBE_SECONDS + 5
_ANSWER_SECONDS: Final = PROBE_SECONDS + 5.0
_MOST_AT_ONCE: Final = 4
_MOST_A_MINUTE: Final = 20
_MOST_A_MINUTE_EACH: Final = 10
_MINUTE: Final = timedelta(minutes=1)
_CODE_CHARACTERS: Final = 40

NO_WORD: Final = "no_word"
"""The outcome when the gateway itself did not answer."""


@dataclass(frozen=True)
class ProbeResult:
    """How a test went. `host_key` is what the target proved to hold; `differs` is None without a key on both sides."""

    probe_id: str
    at: datetime
    outcome: str
    host_key: str | None
    pinned_key: str | None
    milliseconds: int

    @property
    def differs(self) -> bool | None:
        if self.host_key is None or self.pinned_key is None:
            return None
        return self.host_key != self.pinned_key


class TargetProbes:
    """Every connection test of the site, in any thread."""

    def __init__(self, database: Database, clock: Clock, targets: TargetService) -> None:
        self._database = database
        self._clock = clock
        self._targets = targets
        self._workers: Callable[[], frozenset[str]] = frozenset
        self._send: Callable[[ProbeOrder], None] = lambda _: None
        self._open_way: Callable[[str, int, int], None] = lambda _address, _port, _seconds: None
        self._lock = threading.Lock()
        self._waiting: dict[str, queue.SimpleQueue[ReportedEvent]] = {}
        self._recent: deque[tuple[datetime, str]] = deque()
        self._running = 0

    def connect(
        self,
        *,
        workers: Callable[[], frozenset[str]],
        send: Callable[[ProbeOrder], None],
        open_way: Callable[[str, int, int], None],
    ) -> None:
        """Name the gateway workers, the way to them, and the firewall's verb: address, port, seconds."""
        self._workers, self._send, self._open_way = workers, send, open_way

    def probe_target(self, actor: str, target_id: str) -> ProbeResult:
        """Test the way to a target, and whether it shows the pinned key.

        Raises NotFound, Conflict `targets.retired`, TooMany `sessions.too_many_probes`, and Unavailable.
        """
        with self._database.reading() as session:
            target = self._targets.in_use_within(session, target_id)
        result = self._probe(actor, target.address, target.port, target.protocol, target.host_key, target.id)
        if result.host_key is not None:
            with self._database.unit_of_work() as unit:
                unit.emit(_compared(actor, target, result.probe_id, result.host_key))
        return result

    def probe_address(self, actor: str, address: str, port: int, protocol: Protocol) -> ProbeResult:
        """Read the key of a machine that is not entered yet.

        Raises Invalid `targets.unfit`, TooMany `sessions.too_many_probes`, and Unavailable.
        """
        return self._probe(actor, rules.checked_address(address), rules.checked_port(port), protocol, None, None)

    def take(self, event: ReportedEvent) -> None:
        """A gateway's answer; one that nobody waits for any more stands in the trail alone."""
        with self._lock:
            waiting = self._waiting.get(str(event.params.get("probe_id")))
        if waiting is not None:
            waiting.put(event)

    def _probe(
        self, actor: str, address: str, port: int, protocol: Protocol, pinned: str | None, target_id: str | None
    ) -> ProbeResult:
        now = self._clock.now()
        probe_id = new_id("prb", now)
        with self._room(actor), self._answer_to(probe_id) as answers:
            worker = min(self._workers(), default=None)
            if worker is None:
                raise errors.no_gateway()
            with self._database.unit_of_work() as unit:
                unit.emit(
                    TargetProbed(
                        actor=actor, subject=target_id or probe_id, probe_id=probe_id, address=address, port=port
                    )
                )
            self._open_way(address, port, _WAY_SECONDS)
            key_type = pinned.split()[0] if pinned is not None else ""
            self._send(ProbeOrder(probe_id, worker, protocol.value, address, port, key_type, PROBE_SECONDS))
            try:
                event = answers.get(timeout=_ANSWER_SECONDS)
            except queue.Empty:
                return ProbeResult(probe_id, now, NO_WORD, None, pinned, 0)
        return _result(probe_id, now, event, pinned)

    @contextmanager
    def _room(self, actor: str) -> Iterator[None]:
        """Raises TooMany. The broker must not become a scanner of the plant, nor its threads wait for dead machines."""
        now = self._clock.now()
        with self._lock:
            while self._recent and self._recent[0][0] <= now - _MINUTE:
                self._recent.popleft()
            mine = sum(who == actor for _, who in self._recent)
            if self._running >= _MOST_AT_ONCE or len(self._recent) >= _MOST_A_MINUTE or mine >= _MOST_A_MINUTE_EACH:
                raise errors.too_many_probes()
            self._recent.append((now, actor))
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    @contextmanager
    def _answer_to(self, probe_id: str) -> Iterator["queue.SimpleQueue[ReportedEvent]"]:
        answers: queue.SimpleQueue[ReportedEvent] = queue.SimpleQueue()
        with self._lock:
            self._waiting[probe_id] = answers
        try:
            yield answers
        finally:
            with self._lock:
                del self._waiting[probe_id]


def _compared(actor: str, target: Target, probe_id: str, shown: str) -> TargetKeyMatched | TargetKeyDiffers:
    pinned = rules.fingerprint(target.host_key)
    if shown == target.host_key:
        return TargetKeyMatched(actor=actor, subject=target.id, probe_id=probe_id, host_key_sha256=pinned)
    return TargetKeyDiffers(
        actor=actor,
        subject=target.id,
        probe_id=probe_id,
        pinned_sha256=pinned,
        shown_sha256=rules.fingerprint(shown),
    )


def _result(probe_id: str, at: datetime, event: ReportedEvent, pinned: str | None) -> ProbeResult:
    outcome, shown, took = (event.params.get(name) for name in ("outcome", "host_key", "milliseconds"))
    key = None
    if isinstance(shown, str) and shown:
        try:
            key = rules.checked_host_key(shown)
        except Invalid:
            outcome = "unfit_key"
    took_ms = took if isinstance(took, int) and not isinstance(took, bool) else 0
    return ProbeResult(probe_id, at, str(outcome)[:_CODE_CHARACTERS], key, pinned, max(took_ms, 0))
