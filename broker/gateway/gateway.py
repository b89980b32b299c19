"""The gateway as one object: its doors, its links, and the sessions that live in it."""

import asyncio
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import structlog

from broker.gateway import contract as c
from broker.gateway import knocks
from broker.gateway.authority import AdmitRequest, Authority, Order, OrderKind
from broker.gateway.doorway import Doorway, ProvenConnection
from broker.gateway.driver import SessionDriver, Surroundings
from broker.gateway.evidence import Evidence
from broker.gateway.knocks import Expectations
from broker.gateway.legs import Legs
from broker.gateway.local_cut import LocalCut
from broker.gateway.opener_link import OpenerLink
from broker.gateway.permits import Admission, Denial
from broker.gateway.probing import Probes
from broker.gateway.recording_care import RecordingCare
from broker.gateway.recording_room import RecordingRoom
from broker.gateway.releasing import Releasing
from broker.gateway.removing import Removing
from broker.gateway.spec import ProtocolSpec
from broker.gateway.spool import Spool
from broker.gateway.vendor_front import VendorFront, server_context
from broker.gateway.watching import Watching

VENDOR_DOOR: Final = 1
MAX_SESSIONS: Final = 500
_TICK_SECONDS: Final = 1.0
_MOST_CUT_GRANTS: Final = 4_096

_log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything the gateway is started with; it reads no settings of its own.

    `tls`: listening sockets of the vendor face; `protocols`: those of each protocol by its name (`{"ssh": …}`);
    `knocks`: Unix listeners for the guard, whose uid is `guard_uid` (None = any, for tests); `cut`: those for root
    (`cutter_uid`) to end sessions without control. Without `opener_socket` flows are neither marked nor windows shut:
    for tests. Without `tombstone_key_file` (the site's public checkpoint key) no recording is ever removed, and without
    `receipt_key_file` (the archive's) none is let go for its copy. The host key and certificate are OpenSSH files.
    """

    authority_socket: Path
    vendor_socket: Path
    recordings_dir: Path
    state_dir: Path
    ssh_host_key_file: Path
    ssh_host_certificate_file: Path | None
    tls_chain_file: Path
    tls_key_file: Path
    device_ca_file: Path
    evidence_key_file: Path
    tls: tuple[socket.socket, ...] = ()
    protocols: Mapping[str, tuple[socket.socket, ...]] = field(default_factory=dict)
    knocks: tuple[socket.socket, ...] = ()
    cut: tuple[socket.socket, ...] = ()
    opener_socket: Path | None = None
    tombstone_key_file: Path | None = None
    receipt_key_file: Path | None = None
    guard_uid: int | None = None
    cutter_uid: int = 0
    worker: str = "gateway-1"
    care: RecordingCare = field(default_factory=RecordingCare)


class Listener(Protocol):
    """A protocol's engine: takes proven connections, makes sessions of them."""

    async def start(self) -> None:
        """Loads keys; called once before the door opens."""
        ...

    async def serve(self, connection: ProvenConnection) -> None:
        """Serves one connection to its end."""
        ...


class TooManySessions(Exception):
    """The gateway takes no more sessions at the moment."""


class Sessions:
    """The live sessions: admits, runs, and passes orders and time to them."""

    def __init__(self) -> None:
        self._live: dict[str, SessionDriver] = {}
        self._epochs: dict[str, int] = {}
        self._grants: dict[str, str] = {}
        self._cut_grants: OrderedDict[str, None] = OrderedDict()
        self.around: Surroundings | None = None
        self.watching: Watching | None = None
        self.room: RecordingRoom | None = None

    def ids(self) -> list[str]:
        return list(self._live)

    async def admit(self, request: AdmitRequest) -> Admission | Denial:
        """Asks control. Raises TooManySessions and what `Authority.admit` raises."""
        if len(self._live) >= MAX_SESSIONS:
            raise TooManySessions
        if self.room is not None and not self.room.admits:
            return Denial("recordings_full", "The broker has no room to record a session. Tell the plant.")
        answer = await self._surroundings.authority.admit(request)
        if isinstance(answer, Denial) or request.grant_id is None:
            return answer
        if request.grant_id in self._cut_grants:  # cut here, and control may not have heard of it yet
            self.reject(answer, "cut")
            return Denial("cut", "The plant has ended this access.")
        self._grants[answer.session_id] = request.grant_id
        return answer

    def reject(self, admission: Admission, reason: str) -> None:
        """Tells control that a session it admitted was not begun."""
        self._grants.pop(admission.session_id, None)
        self._surroundings.authority.ended(admission.session_id, reason, None, None)

    def begin(self, admission: Admission, legs: Legs) -> SessionDriver:
        """A session on its way: `run` it. From now on orders reach it."""
        driver = SessionDriver(admission, legs, self._surroundings)
        self._live[driver.session_id] = driver
        return driver

    async def run(self, driver: SessionDriver) -> None:
        """Runs a session that `begin` made, to its end."""
        early = self._surroundings.authority.early_order(driver.session_id)
        if early is not None:
            asyncio.get_running_loop().call_soon(self.obey, early)
        try:
            await driver.run()
        finally:
            self._live.pop(driver.session_id, None)
            self._epochs.pop(driver.session_id, None)
            self._grants.pop(driver.session_id, None)

    def obey(self, order: Order) -> bool:
        """Passes an order on; False when its session is not here. A freeze or thaw older than the last does nothing."""
        driver = self._live.get(order.session_id)
        if driver is None:
            return False
        if order.kind is OrderKind.WATCH:
            if self.watching is not None and order.watch_id:
                self.watching.begin(order.watch_id, driver)
            return True
        late = order.epoch < self._epochs.get(order.session_id, 0)
        self._epochs[order.session_id] = max(order.epoch, self._epochs.get(order.session_id, 0))
        match order.kind:
            case OrderKind.END:
                driver.feed(c.PermitEnded(order.reason))
            case OrderKind.CUT:
                driver.feed(c.CutOrdered(order.reason))
            case OrderKind.FREEZE if not late:
                driver.feed(c.Frozen(order.reason))
            case OrderKind.MESSAGE:
                driver.feed(c.Told(order.reason))
            case OrderKind.THAW if not late:
                driver.feed(c.Thawed())
            case _:
                _log.info("order_without_effect", order=order.kind.value, session_id=order.session_id)
        return True

    def shown(self) -> list[dict[str, str | int]]:
        """Every live session as root's list shows it, oldest first."""
        return [
            {
                "session_id": driver.session_id,
                "person": driver.admission.permit.person_name,
                "device_id": driver.admission.permit.device_id,
                "source": driver.admission.permit.source,
                "target": driver.admission.permit.target_name,
                "account": driver.admission.permit.account,
                "protocol": driver.admission.permit.protocol,
                "not_after_ms": driver.admission.permit.not_after_ms,
            }
            for driver in self._live.values()
        ]

    def cut_here(self, session_ids: Sequence[str], reason: str, operator: str) -> list[str]:
        """Root cuts sessions on this host, whether or not control answers; returns those that were there.

        The report stands in the spool before the session's end does, and nothing begins under their grants any more.
        """
        cut: list[str] = []
        for session_id in session_ids:
            driver = self._live.get(session_id)
            if driver is None or driver.is_over:
                continue
            grant_id = self._grants.get(session_id)
            if grant_id is not None:
                self._cut_grants[grant_id] = None
                while len(self._cut_grants) > _MOST_CUT_GRANTS:
                    self._cut_grants.popitem(last=False)
            self._surroundings.authority.report(
                session_id, "session.session.cut_on_host", {"reason": reason, "operator": operator}
            )
            driver.feed(c.CutOrdered(reason))
            cut.append(session_id)
        return cut

    def control_changed(self, up: bool) -> None:  # noqa: FBT001 - the callback of a link
        for driver in list(self._live.values()):
            driver.feed(c.ControlBack() if up else c.ControlLost())

    async def tick(self) -> None:
        """Lets every session look at its deadlines, once a second, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for driver in list(self._live.values()):
                driver.tick()

    @property
    def _surroundings(self) -> Surroundings:
        if self.around is None:
            raise RuntimeError("sessions are used before the gateway started")
        return self.around


class Gateway:
    """`run` serves until it is cancelled; every session then ends with `gateway_stopped`."""

    def __init__(self, config: GatewayConfig, specs: Sequence[ProtocolSpec]) -> None:
        """`specs` are the protocols whose listeners may be loaded. Raises ValueError when a socket has no protocol."""
        self._config = config
        known = {spec.name: spec for spec in specs}
        if missing := set(config.protocols) - set(known):
            raise ValueError(f"no protocol is known for the sockets {sorted(missing)}")
        self._specs = [spec for spec in specs if spec.name in (config.protocols)]
        self.expectations = Expectations()
        self.sessions = Sessions()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Opens the doors once everything behind them is ready, and then sets `ready`.

        Raises what reading a key file, the state folder or a listener raises: without a part it does not start.
        """
        config = self._config
        boot_id = secrets.token_hex(16)
        evidence = Evidence.load(config.evidence_key_file)
        spool = Spool(config.state_dir / "spool.jsonl", evidence.boot_key(config.worker, boot_id))
        probes = Probes(self._specs, lambda code, params: authority.report(None, code, params))
        authority = Authority(
            config.authority_socket,
            spool,
            worker=config.worker,
            boot_id=boot_id,
            sessions=self.sessions.ids,
            on_order=self.sessions.obey,
            on_change=self.sessions.control_changed,
            on_probe=probes.begin,
            on_removal=lambda line: removing.begin(line),
            on_release=lambda line: releasing.begin(line),
        )

        def report(code: str, params: Mapping[str, str | int]) -> None:
            authority.report(None, code, params)

        removing = Removing(
            config.recordings_dir, config.tombstone_key_file, report, lambda: time.time_ns() // 1_000_000
        )
        releasing = Releasing(config.recordings_dir, config.receipt_key_file, report)
        self.sessions.room = RecordingRoom(config.recordings_dir, config.care, report)
        for lost in evidence.mark_left_over(config.recordings_dir):
            authority.ended(lost.session_id, "gateway_crashed", lost.recording, None)
        self.sessions.around = Surroundings(authority, config.recordings_dir, evidence, config.care)
        opener = OpenerLink(config.opener_socket) if config.opener_socket is not None else None
        try:
            doors = await self._doors(opener, report)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(authority.run())
                if opener is not None:
                    tasks.create_task(opener.run())
                tasks.create_task(knocks.listener(self.expectations, config.guard_uid).serve(*config.knocks))
                tasks.create_task(LocalCut(self.sessions).listener(config.cutter_uid).serve(*config.cut))
                self.sessions.watching = Watching(config.authority_socket)
                tasks.create_task(self.sessions.watching.run())
                tasks.create_task(probes.run())
                tasks.create_task(removing.run())
                tasks.create_task(releasing.run())
                tasks.create_task(self.sessions.tick())
                tasks.create_task(self.sessions.room.run())
                for door in doors:
                    tasks.create_task(door.run())
                self.ready.set()
        finally:
            spool.close()

    async def _doors(
        self, opener: OpenerLink | None, report: Callable[[str, Mapping[str, str | int]], None]
    ) -> list[Doorway]:
        config = self._config
        doors: list[Doorway] = []
        if config.tls:
            context = server_context(config.tls_chain_file, config.tls_key_file, config.device_ca_file)
            front = VendorFront(context, config.vendor_socket)
            doors.append(Doorway(config.tls, VENDOR_DOOR, self.expectations, opener, front.serve, report))
        for spec in self._specs:
            listener = _load(spec.listener)(config, self.sessions)
            await listener.start()
            sockets = config.protocols[spec.name]
            doors.append(Doorway(sockets, spec.door, self.expectations, opener, listener.serve, report))
        return doors


def _load(name: str) -> Callable[[GatewayConfig, Sessions], Listener]:
    module, _, attribute = name.partition(":")
    factory: Callable[[GatewayConfig, Sessions], Listener] = getattr(import_module(module), attribute)
    return factory
