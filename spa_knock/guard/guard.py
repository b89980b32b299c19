"""The guard's conduct: what to do with a datagram, a message or the passing of time. The sockets are the daemon's."""

import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

from spa_knock.guard.clock import Moment
from spa_knock.guard.errors import RosterError, StampStoreError, StoreFull
from spa_knock.guard.handover import Failed, Handover, Receiver, Send
from spa_knock.guard.refusals import RefusalBook
from spa_knock.guard.roster import Assembly, KeyTable
from spa_knock.guard.rules import Accepted, Address, Reason, Refused, Stand, judge
from spa_knock.guard.stamps import StampStore
from spa_knock.link.rate import TokenBucket
from spa_knock.wire.keys import epoch_at
from spa_knock.wire.packet import nonce_of

STATUS_SECONDS = 5.0
MAX_FACTS = 1_024
"""Accepted knocks that wait for control to hear of them; while so many wait, no knock is accepted."""
CHECK_SECONDS = 5.0
"""How often the opener is asked whether it could open; while it could not, every second."""
_FAULTY_CHECK_SECONDS = 1.0
FAILURES_OF_A_NONCE = 64
"""So many packets with one nonce that pass the gate and can never be accepted have it shed in the kernel."""
_MAX_FAILING_NONCES = 1_024
_CHECK_ID = "check"
_CHECK_ANSWER_SECONDS = 2.0
_FAULTY_CODES = frozenset({"kernel_refused", "rules_changed"})
KNOCKS_PER_SECOND = 3.0
KNOCKS_AT_ONCE = 30.0
_MAX_RATES = 4_096

_log = logging.getLogger(__name__)


class Fault(StrEnum):
    """What keeps the guard from accepting knocks once it has a roster."""

    CLOCK = "clock"
    ROSTER = "roster"
    GATEWAY_LINK = "gateway_link"
    OPENER_LINK = "opener_link"
    FIREWALL = "firewall"
    STAMPS = "stamps"


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
        self._told: tuple[State, tuple[Fault, ...]] = (State.STARTING, ())
        self._firewall_works = True
        self._store_works = True
        self._next_check = 0.0
        self._check_until: float | None = None
        self._failing_nonces: OrderedDict[bytes, int] = OrderedDict()
        self._gate = ""
        self._shed_at_socket = 0

    @property
    def state(self) -> State:
        """Armed: knocks are judged. Starting: no roster came yet. Degraded: something that opening needs is missing."""
        if self._table is None:
            return State.STARTING
        return State.DEGRADED if self.faults else State.ARMED

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Why no knock is accepted though there is a roster."""
        table = self._table
        found = {
            Fault.CLOCK: not self._moment.is_steady,
            Fault.ROSTER: table is not None and self._moment.now_ms >= table.roster.expires_at_ms,
            Fault.GATEWAY_LINK: not self._links_up[Receiver.GATEWAY],
            Fault.OPENER_LINK: not self._links_up[Receiver.OPENER],
            Fault.FIREWALL: not self._firewall_works,
            Fault.STAMPS: not self._store_works,
        }
        return tuple(fault for fault, is_there in found.items() if is_there)

    @property
    def gate_keys(self) -> tuple[bytes, ...]:
        """What the kernel's gate shall let through now; nothing while there is no roster."""
        return self._table.gate_keys_around(self._moment.now_ms) if self._table is not None else ()

    def note_gate(self, gate: str, shed_at_socket: int) -> None:
        """What the kernel's gate does and has shed, for the status."""
        self._gate, self._shed_at_socket = gate, shed_at_socket

    @property
    def counters(self) -> Mapping[str, int]:
        """How many knocks were accepted, and refused for each reason, since the start."""
        at_socket = {"shed_at_socket": self._shed_at_socket} if self._shed_at_socket else {}
        return {**self._counters, **at_socket}

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
            if judgement.is_for_ever:
                self._note_failure(nonce_of(packet))
        else:
            self._accept(judgement, self._table, now)

    def message(self, sender: Receiver, message: Mapping[str, object], now: float) -> None:
        """A message of control, the gateway or the opener. Raises RosterError when control's makes no sense."""
        if sender is Receiver.OPENER and message.get("id") == _CHECK_ID:
            self._checked(message, now)
            return
        if sender is not Receiver.CONTROL:
            self._follow(self._handover.answered(sender, message, now), now)
            return
        match message.get("type"):
            case "roster":
                roster = self._assembly.add(message)
                if roster is not None:
                    self._table = KeyTable(roster, self._assembly.known, self._table)
                    self._assembly = Assembly(self._table)
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
            self._assembly = Assembly(self._table)
            self._next_status = 0.0
        if receiver is Receiver.OPENER:
            self._check_until, self._next_check = None, 0.0

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
        self._check_opener(now)
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
            self._store_works = self._store_works and isinstance(error, StoreFull)
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
            case Failed(knock_id, device_id, reason, code):
                self._refuse(reason)
                _log.warning("knock %s of %s failed: the %s answered %s", knock_id, device_id, reason, code)
                if code == "full":
                    self._counters["firewall_full"] += 1
                if reason is Reason.OPENER and code in _FAULTY_CODES:
                    self._set_firewall(works=False, why=code)
                    self._next_check = now + _FAULTY_CHECK_SECONDS
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

    def _note_failure(self, nonce: bytes) -> None:
        count = self._failing_nonces.pop(nonce, 0) + 1
        if count >= FAILURES_OF_A_NONCE:
            self._counters["nonces_shed"] += 1
            self._send(Send(Receiver.OPENER, {"type": "shed", "knock_id": nonce.hex()}))
            return
        self._failing_nonces[nonce] = count
        if len(self._failing_nonces) > _MAX_FAILING_NONCES:
            self._failing_nonces.popitem(last=False)

    def flush(self) -> None:
        """Write stamps to the disk; while that fails no knock is accepted."""
        try:
            self._store.flush()
        except StampStoreError as error:
            if self._store_works:
                _log.error("no knock is accepted: %s", error)
            self._store_works = False
        else:
            self._store_works = True

    def _check_opener(self, now: float) -> None:
        """Ask the opener now and then whether it could open; it may have lost its rules without a knock telling."""
        if self._check_until is not None and now >= self._check_until:
            self._check_until, self._next_check = None, now
            self._set_firewall(works=False, why="silent")
        if now < self._next_check or self._check_until is not None or not self._links_up[Receiver.OPENER]:
            return
        self._next_check = now + (CHECK_SECONDS if self._firewall_works else _FAULTY_CHECK_SECONDS)
        self._check_until = now + _CHECK_ANSWER_SECONDS
        self._send(Send(Receiver.OPENER, {"type": "check", "id": _CHECK_ID}))

    def _checked(self, message: Mapping[str, object], now: float) -> None:
        self._check_until = None
        works = message.get("type") == "done"
        self._set_firewall(works=works, why=str(message.get("code"))[:40])
        self._next_check = now + (CHECK_SECONDS if works else _FAULTY_CHECK_SECONDS)

    def _set_firewall(self, *, works: bool, why: str) -> None:
        if self._firewall_works and not works:
            _log.error("no knock is accepted: the opener cannot open (%s)", why)
        self._firewall_works = works

    def _tell_facts(self) -> None:
        while self._facts and self._links_up[Receiver.CONTROL] and self._send(self._facts[0]):
            self._facts.popleft()

    def _tell_status(self, now: float) -> None:
        state, faults = self.state, self.faults if self._table is not None else ()
        if (state, faults) != self._told:
            _log.warning("the guard is %s %s", state, " ".join(faults))
            self._told = (state, faults)
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
                    "faults": [str(fault) for fault in faults],
                    "gate": self._gate,
                    "counters": dict(self.counters),
                    "ports": self._ports,
                    "refusals": self._refusals.told(),
                },
            )
        )
