"""The one port between the byte side and the control side: messages out, orders in, and what outlives silence.

Outward: `admit`, `lease`, `hold`, `renew` (asked and awaited), `ended` and `report` (signed, spooled on disk, delivered
at least once, in order). Inward: orders about a session, to test a connection, and to remove what was lawfully
destroyed. The gateway never asks per byte.
"""

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog

from broker.gateway.local_link import LocalLink, Message, PeerRefused, PeerSilent
from broker.gateway.permits import Admission, BadAnswer, Denial, Lease, SessionPermit, number, text
from broker.gateway.probing import ProbeOrder, read_order
from broker.gateway.spool import Spool, SpoolError

ADMIT_SECONDS: Final = 15.0
LEASE_SECONDS: Final = 15.0
HOLD_SECONDS: Final = 300.0
RENEW_SECONDS: Final = 5.0
DELIVER_SECONDS: Final = 10.0
PING_SECONDS: Final = 10.0
VERSION: Final = 2
"""Of the link. A control that takes no signed entries refuses it, so that none is handed to one that would drop it."""

_PING_EVERY_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0
_MOST_REFUSALS: Final = 5
_MOST_COMMAND_CHARS: Final = 4_000
_MAX_EARLY_ORDERS: Final = 1_024

_log = structlog.get_logger("gateway.authority")


class OrderKind(StrEnum):
    END = "end"
    CUT = "cut"
    FREEZE = "freeze"
    THAW = "thaw"
    MESSAGE = "message"
    WATCH = "watch"


_ENDS: Final = frozenset({OrderKind.END, OrderKind.CUT})
_OUTLIVE_THEIR_ARRIVAL: Final = _ENDS | {OrderKind.FREEZE}


@dataclass(frozen=True, slots=True)
class Order:
    """What control wants done to one session. A later order has a higher epoch.

    `reason` holds the words, also a message's; `watch_id` names a watch that is to begin.
    """

    kind: OrderKind
    session_id: str
    reason: str
    epoch: int
    watch_id: str = ""


@dataclass(frozen=True, slots=True)
class SshProof:
    """The client's own signature over the SSH session (RFC 4252 section 7): control verifies it itself."""

    certificate: bytes
    signed_data: bytes
    signature: bytes
    session_id: bytes

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "ssh-userauth",
            "certificate_b64": b64(self.certificate),
            "signed_data_b64": b64(self.signed_data),
            "signature_b64": b64(self.signature),
            "session_id_b64": b64(self.session_id),
        }


@dataclass(frozen=True, slots=True)
class AdmitRequest:
    protocol: str
    knock_id: str
    device_id: str
    grant_id: str | None
    source: str
    source_port: int
    username: str
    signed_knock: bytes
    proof: SshProof

    def to_json(self) -> dict[str, object]:
        return {
            "type": "admit",
            "protocol": self.protocol,
            "knock_id": self.knock_id,
            "device_id": self.device_id,
            "grant_id": self.grant_id,
            "source": self.source,
            "source_port": self.source_port,
            "username": self.username,
            "signed_knock_b64": b64(self.signed_knock),
            "proof": self.proof.to_json(),
        }


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """How a recording ended, for `ended`."""

    state: str
    frames: int
    batches: int
    size_bytes: int
    head_sha256: bytes
    head_signature: bytes
    sealed_at_ms: int

    def to_json(self) -> dict[str, object]:
        return {
            "state": self.state,
            "frames": self.frames,
            "batches": self.batches,
            "bytes": self.size_bytes,
            "head_sha256_hex": self.head_sha256.hex(),
            "head_signature_b64": b64(self.head_signature),
            "sealed_at_ms": self.sealed_at_ms,
        }


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class Authority:
    """Control, as the gateway knows it. `run` must be running for anything to be asked or delivered."""

    def __init__(
        self,
        path: Path,
        spool: Spool,
        *,
        worker: str,
        boot_id: str,
        sessions: Callable[[], Sequence[str]],
        on_order: Callable[[Order], bool],
        on_change: Callable[[bool], None],
        on_probe: Callable[[ProbeOrder], None] = lambda order: None,
        on_removal: Callable[[bytes], None] = lambda line: None,
        on_release: Callable[[bytes], None] = lambda line: None,
    ) -> None:
        """`on_order` says whether it knew the session; `on_change` is told when control is lost (False) and back;
        `on_probe` gets the connections to be tested, `on_removal` tombstones of recordings to be removed,
        `on_release` receipts of copies whose files may go."""
        self._spool = spool
        self._boot_id = boot_id
        self._on_order = on_order
        self._on_probe = on_probe
        self._on_removal = on_removal
        self._on_release = on_release
        self._early: OrderedDict[str, Order] = OrderedDict()
        self._pending = asyncio.Event()
        self._unsynced = asyncio.Event()
        self._link = LocalLink(
            path,
            greeting=lambda: {
                "type": "hello",
                "worker": worker,
                "boot_id": boot_id,
                "version": VERSION,
                "sessions": list(sessions()),
            },
            on_message=self._received,
            on_change=on_change,
        )

    @property
    def is_up(self) -> bool:
        return self._link.up.is_set()

    async def run(self) -> None:
        """Keeps the link, listens whether control still answers, and delivers the spool, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run())
            tasks.create_task(self._ping())
            tasks.create_task(self._deliver())
            tasks.create_task(self._sync())

    async def admit(self, request: AdmitRequest) -> Admission | Denial:
        """Asks for a permit. Raises PeerSilent, PeerRefused or BadAnswer; nothing is opened then."""
        if self._spool.is_full:
            raise PeerSilent("the event spool is full")
        answer = await self._ask(request.to_json(), ADMIT_SECONDS)
        verdict = answer.get("verdict")
        if verdict == "deny":
            return Denial(text(answer, "code"), str(answer.get("message") or "Access is not allowed."))
        if verdict == "needs_approval":
            return Denial("needs_approval", "This connection needs an approval that is not given yet.")
        if verdict != "allow":
            raise BadAnswer(f"the verdict {verdict!r} is not known")
        permit, recording = answer.get("permit"), answer.get("recording")
        if not isinstance(permit, Mapping) or not isinstance(recording, Mapping):
            raise BadAnswer("an allow carries a permit and a recording key")
        unseal_public = base64.b64decode(text(recording, "unseal_public_b64"), validate=True)
        unmask = recording.get("unmask_publics_b64", [])
        if not isinstance(unmask, list) or len(unmask) not in (0, 2):
            raise BadAnswer("typed secrets are sealed to two auditors' keys, or to none")
        return Admission(
            session_id=text(answer, "session_id"),
            recording_id=text(answer, "recording_id"),
            permit=SessionPermit.from_json(permit),
            unseal_public=unseal_public,
            unmask_publics=tuple(base64.b64decode(str(one), validate=True) for one in unmask),
        )

    async def lease(
        self, session_id: str, permit_id: str, *, signing_public: bytes, header_sha256: bytes, path: str
    ) -> Lease:
        """Asks for the credential, naming the recording's key. Raises PeerSilent, PeerRefused or BadAnswer."""
        answer = await self._ask(
            {
                "type": "lease",
                "session_id": session_id,
                "permit_id": permit_id,
                "recording": {
                    "signing_public_b64": b64(signing_public),
                    "header_sha256_hex": header_sha256.hex(),
                    "path": path,
                },
            },
            LEASE_SECONDS,
        )
        return Lease.from_json(answer)

    async def hold(self, session_id: str, rule_id: str, command: str) -> bool:
        """Whether a person approved a command; a silent control refuses, and so does a command too long to be read."""
        if len(command) > _MOST_COMMAND_CHARS:
            return False
        request = {"type": "hold", "session_id": session_id, "rule_id": rule_id, "command": command}
        try:
            answer = await self._link.ask(request, HOLD_SECONDS)
        except (PeerSilent, PeerRefused):
            return False
        return answer.get("decision") == "allow"

    async def renew(self, session_id: str) -> int | None:
        """The permit's end as control has it now, None when it does not say."""
        try:
            return number(await self._ask({"type": "renew", "session_id": session_id}, RENEW_SECONDS), "not_after_ms")
        except (PeerSilent, PeerRefused, BadAnswer):
            return None

    def ended(self, session_id: str, reason: str, recording: RecordingFacts | None, exit_status: int | None) -> None:
        """Spools the end of a session. Raises nothing: a spool that fails is logged and the message waits in memory."""
        self._keep(
            {
                "type": "ended",
                "session_id": session_id,
                "reason": reason,
                "ended_at_ms": _now_ms(),
                "recording": recording.to_json() if recording is not None else None,
                "exit_status": exit_status,
            }
        )

    def report(self, session_id: str | None, code: str, params: Mapping[str, str | int]) -> None:
        """Spools one event for the audit chain."""
        event = {"code": code, "at_ms": _now_ms(), "params": dict(params)}
        self._keep({"type": "report", "session_id": session_id, "events": [event]})

    def early_order(self, session_id: str) -> Order | None:
        """An order that arrived before its session was known here."""
        return self._early.pop(session_id, None)

    async def _ask(self, message: Mapping[str, object], timeout_seconds: float) -> Message:
        try:
            return await self._link.ask(message, timeout_seconds)
        except PeerSilent:
            self._link.drop()  # a control that hangs counts as gone: the next link tells whether it is back
            raise

    async def _ping(self) -> None:
        """A control that hangs holds its connections: only a question that nobody answers shows that it is gone."""
        while True:
            await self._link.up.wait()
            await asyncio.sleep(_PING_EVERY_SECONDS)
            try:
                newest = {"boot_id": self._boot_id, "seq": self._spool.newest_seq}
                await self._ask({"type": "ping", **newest}, PING_SECONDS)
            except PeerSilent as error:
                _log.warning("control_silent", error=str(error))
            except PeerRefused:
                continue  # whoever refuses is there

    def _keep(self, message: Mapping[str, object]) -> None:
        try:
            self._spool.add(message)
        except SpoolError as error:
            _log.error("spool_failed", error=str(error))
        self._pending.set()
        self._unsynced.set()

    async def _sync(self) -> None:
        """Forces to disk what was kept, whether control is there or not."""
        while True:
            await self._unsynced.wait()
            self._unsynced.clear()
            try:
                await asyncio.to_thread(self._spool.sync)
            except SpoolError as error:
                _log.error("spool_failed", error=str(error))

    async def _deliver(self) -> None:
        refusals = 0
        while True:
            spooled = self._spool.first()
            if spooled is None:
                self._pending.clear()
                await self._pending.wait()
                continue
            await self._link.up.wait()
            try:
                await asyncio.to_thread(self._spool.sync)
                await self._ask({"type": "spooled", **spooled.to_json()}, DELIVER_SECONDS)
            except PeerRefused as refusal:
                _log.error("message_refused", seq=spooled.entry.seq, code=refusal.code)
                refusals += 1
                if refusal.code == "internal" and refusals < _MOST_REFUSALS:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                # Control will not take it, also next time: it must not stop what comes behind. Control sees the gap.
            except (PeerSilent, SpoolError) as error:
                _log.warning("delivery_waits", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            refusals = 0
            try:
                self._spool.done(spooled)
            except SpoolError as error:
                _log.error("spool_failed", error=str(error))

    def _received(self, message: Message) -> None:
        if message.get("type") != "order":
            return
        epoch = message.get("epoch", 0)
        try:
            if message.get("order") == "probe":
                self._on_probe(read_order(message))
                return
            if message.get("order") == "remove":
                self._on_removal(text(message, "tombstone").encode())
                return
            if message.get("order") == "release":
                self._on_release(text(message, "receipt").encode())
                return
            order = Order(
                OrderKind(str(message.get("order"))),
                text(message, "session_id"),
                str(message.get("reason") or ""),
                epoch if isinstance(epoch, int) else 0,
                str(message.get("watch_id") or ""),
            )
        except ValueError as error:
            _log.error("order_not_understood", error=str(error))
            return
        if not self._on_order(order) and order.kind in _OUTLIVE_THEIR_ARRIVAL:
            before = self._early.get(order.session_id)
            if before is None or before.kind not in _ENDS:  # nothing undoes an end
                self._early[order.session_id] = order
            while len(self._early) > _MAX_EARLY_ORDERS:
                self._early.popitem(last=False)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
