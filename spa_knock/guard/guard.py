"""The guard's conduct: what to do with a datagram, a message or the passing of time. The sockets are the daemon's."""

import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

from spa_knock.guard.clock import Moment
from spa_knock.guard.errors import RosterError, StampStoreError
from spa_knock.guard.handover import Failed, Handover, Receiver, Send
from spa_knock.guard.refusals import RefusalBook
from spa_knock.guard.roster import Assembly, KeyTable
from spa_knock.guard.rules import Accepted, Address, Reason, Refused, Stand, judge
from spa_knock.guard.stamps import StampStore
from spa_knock.link.rate import TokenBucket
from spa_knock.wire.keys import epoch_at

STATUS_SECONDS = 5.0
MAX_FACTS = 1_024
"""Accepted knocks that wait for control to hear of them; while so many wait, no knock is accepted."""
KNOCKS_PER_SECOND = 3.0
KNOCKS_AT_ONCE = 30.0
_MAX_RATES = 4_096

_log = logging.getLogger(__name__)


class State(StrEnum):
    """What control is told of the guard."""

    STARTING = "starting"
    ARMED = "armed"
    DEGRADED = "degraded"


class Guard:
    """Everything the guard knows and decides. `now` is in seconds of a monotonic clock.

    send: hands a message to a link and says whether the link took it.
    """

    def __init__(
        self,
        *,
        doors: Collection[int],
        ports: Collection[int],
        store: StampStore,
        moment: Moment,
        send: Callable[[Send], bool],
    ) -> None:
        self._doors = frozenset(doors)
        self._ports = sorted(set(ports))
        self._store = store
        self._moment = moment
        self._send = send
        self._table: KeyTable | None = None
        self._assembly = Assembly()
        self._handover = Handover()
        self._facts: deque[Send] = deque()
        self._counters: Counter[str] = Counter()
        self._rates: OrderedDict[str, TokenBucket] = OrderedDict()
        self._refusals = RefusalBook()
        self._links_up = dict.fromkeys(Receiver, False)
        self._next_status = 0.0
        self._told_state = State.STARTING

    @property
    def state(self) -> State:
        """Armed: knocks are judged. Starting: no roster came yet. Degraded: something that opening needs is missing."""
        if self._table is None:
            return State.STARTING
        usable = (
            self._moment.is_steady
            and self._moment.now_ms < self._table.roster.expires_at_ms
            and self._links_up[Receiver.GATEWAY]
            and self._links_up[Receiver.OPENER]
        )
        return State.ARMED if usable else State.DEGRADED

    @property
    def counters(self) -> Mapping[str, int]:
        """How many knocks were accepted, and refused for each reason, since the start."""
        return dict(self._counters)

    def datagram(self, packet: bytes, source: Address, now: float) -> None:
        """Judge one datagram. Whatever it is, nothing goes back to the network, and junk only moves a counter."""
        if self._table is None or self.state is not State.ARMED:
            self._refuse(Reason.NOT_READY)
            return
        stand = Stand(
            table=self._table,
            doors=self._doors,
            last_stamp_ms=self._store.last_ms,
            fence_ms=self._store.fence_ms,
            now_ms=self._moment.now_ms,
        )
        judgement = judge(packet, source, stand)
        if isinstance(judgement, Refused):
            if not self._is_copy(judgement):
                self._refusals.note(judgement, source, self._moment.now_ms)
            self._refuse(judgement.reason)
        else:
            self._accept(judgement, self._table, now)

    def message(self, sender: Receiver, message: Mapping[str, object], now: float) -> None:
        """A message of control, the gateway or the opener. Raises RosterError when control's makes no sense."""
        if sender is not Receiver.CONTROL:
            self._follow(self._handover.answered(sender, message, now), now)
            return
        match message.get("type"):
            case "roster":
                roster = self._assembly.add(message)
                if roster is not None:
                    self._table = KeyTable(roster)
                    self._table.cover(epoch_at(self._moment.now_ms // 1000))
                    self._next_status = 0.0
                    _log.info("roster %d with %d devices", roster.version, len(roster.devices))
            case "revoke":
                self._revoke(message.get("device_id"))
            case kind:
                raise RosterError(f"a message of type {ascii(kind)[:40]} is not known here")

    def link_changed(self, receiver: Receiver, *, is_up: bool) -> None:
        """A link came up or broke."""
        self._links_up[receiver] = is_up
        if receiver is Receiver.CONTROL:
            # Parts of a roster do not go on over another connection.
            self._assembly = Assembly()
            self._next_status = 0.0

    def tick(self, moment: Moment, now: float) -> None:
        """Time passed: give up what took too long, tell control, move on with the epochs. Call it often."""
        self._moment = moment
        if moment.went_back:
            # Packets stamped before the step, but never delivered, must not become valid again.
            self._store.raise_fence(self._store.newest_ms())
        if self._table is not None:
            self._table.cover(epoch_at(moment.now_ms // 1000))
        for failed in self._handover.expire(now):
            self._follow(failed, now)
        self._tell_facts()
        self._tell_status(now)

    def next_limit(self) -> float | None:
        """When `tick` is needed at the latest, beside its usual pace."""
        return self._handover.next_limit()

    def _accept(self, knock: Accepted, table: KeyTable, now: float) -> None:
        refusal = self._hindrance(knock, now)
        if refusal is not None:
            self._refuse(refusal)
            return
        try:
            # Before anything is opened: a knock that failed half-way is used up, a crash cannot make it usable again.
            self._store.accept(
                knock.device.device_id,
                knock.body.stamp_ms,
                roster=table.roster.devices,
                now_ms=self._moment.now_ms,
            )
        except StampStoreError as error:
            _log.error("a knock was refused: %s", error)
            self._refuse(Reason.STORE)
            return
        send = self._handover.begin(knock, at_ms=self._moment.now_ms, now=now)
        self._follow(send, now)

    def _is_copy(self, refused: Refused) -> bool:
        """Whether this is the device's last accepted knock again: clients send copies, in case one gets lost."""
        body, device_id = refused.body, refused.device_id
        return body is not None and device_id is not None and body.stamp_ms == self._store.last_ms(device_id)

    def _hindrance(self, knock: Accepted, now: float) -> Reason | None:
        device_id = knock.device.device_id
        if self._handover.is_under_way(knock.knock_id):
            return Reason.REPLAYED
        rate = self._rates.pop(device_id, None) or TokenBucket(KNOCKS_PER_SECOND, KNOCKS_AT_ONCE)
        self._rates[device_id] = rate
        if len(self._rates) > _MAX_RATES:
            self._rates.popitem(last=False)
        if not rate.admits(now):
            return Reason.RATE
        if len(self._facts) >= MAX_FACTS:
            return Reason.FACTS_WAITING
        return None if self._handover.has_room else Reason.NOT_READY

    def _follow(self, outcome: Send | Failed | None, now: float) -> None:
        match outcome:
            case None:
                pass
            case Failed(knock_id, device_id, reason):
                self._refuse(reason)
                _log.warning("knock %s of %s failed: no answer of the %s in time", knock_id, device_id, reason)
            case Send(Receiver.CONTROL, message):
                self._counters["accepted"] += 1
                self._refusals.forget(str(message["device_id"]))
                _log.info("knock %s of %s opened door %s", message["knock_id"], message["device_id"], message["door"])
                self._facts.append(outcome)
                self._tell_facts()
            case Send():
                # A link that breaks here lets the step run into its limit, which fails the knock.
                self._send(outcome)

    def _revoke(self, device_id: object) -> None:
        if not isinstance(device_id, str):
            raise RosterError("a revocation names no device")
        self._assembly.revoke(device_id)
        self._handover.give_up(device_id)
        if self._table is not None:
            self._table.forget(device_id)
        _log.warning("device %s was revoked", ascii(device_id)[:40])

    def _refuse(self, reason: Reason) -> None:
        self._counters[f"refused_{reason}"] += 1

    def _tell_facts(self) -> None:
        while self._facts and self._links_up[Receiver.CONTROL] and self._send(self._facts[0]):
            self._facts.popleft()

    def _tell_status(self, now: float) -> None:
        state = self.state
        if state is not self._told_state:
            _log.warning("the guard is %s", state)
            self._told_state = state
            self._next_status = now
        if now < self._next_status or not self._links_up[Receiver.CONTROL]:
            return
        self._next_status = now + STATUS_SECONDS
        self._send(
            Send(
                Receiver.CONTROL,
                {
                    "type": "status",
                    "state": str(state),
                    "roster_version": self._table.roster.version if self._table else 0,
                    "counters": dict(self._counters),
                    "ports": self._ports,
                    "refusals": self._refusals.told(),
                },
            )
        )
