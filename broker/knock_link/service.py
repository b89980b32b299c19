"""Control's end of the guard's socket: sends rosters and revocations, takes in accepted knocks and status."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from broker.kernel.clock import Clock, milliseconds
from broker.knock_link.facts import Knocks
from broker.knock_link.messages import Message, MessageError, read_knock, read_status, revoke_message, roster_messages
from broker.knock_link.model import GuardStatus, LinkHealth, RosterSource
from spa_knock.link.framing import Decoder, encode
from spa_knock.link.process import peer_uid
from spa_knock.link.rate import TokenBucket

ROSTER_VALID: Final = timedelta(seconds=60)
PUSH_EVERY_SECONDS: Final = 20.0
TELL_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.02
_WRITE_SECONDS: Final = 5.0
# A guard that is not itself must not fill the trail with its moods.
_STATES_TOLD: Final = (0.2, 20.0)
_READ_BYTES: Final = 65_536
_MOST_REVOCATIONS: Final = 1_000
_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Link:
    """One connection of the guard, and what waits to be sent on it."""

    writer: asyncio.StreamWriter
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    revocations: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_REVOCATIONS))


class KnockLinkService:
    """The server of the `knock_link` socket.

    `guard_uid` is the only user id that may connect; None lets any in (tests).

    `push` and `revoke` may be called from any thread; everything else runs in the loop that `serve` runs in.
    """

    def __init__(
        self,
        clock: Clock,
        source: RosterSource,
        knocks: Knocks,
        *,
        guard_uid: int | None,
        push_every_seconds: float = PUSH_EVERY_SECONDS,
    ) -> None:
        self._clock = clock
        self._source = source
        self._knocks = knocks
        self._guard_uid = guard_uid
        self._push_every_seconds = push_every_seconds
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: _Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._status: GuardStatus | None = None
        self._version = 0
        self._wanted = 0
        self._built: dict[int, int] = {}
        self._state_rate = TokenBucket(*_STATES_TOLD)
        self._told_state: tuple[str, tuple[str, ...]] | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Serve the guard until cancelled. The newest connection is the guard's; an older one is closed."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        server = await asyncio.start_unix_server(self._connected, sock=listener)
        try:
            await asyncio.Event().wait()
        finally:
            with self._lock:
                self._loop = None
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell(self, seconds: float = TELL_SECONDS) -> bool:
        """Have a fresh roster sent, and wait until the guard says that it has it; whether it did in time."""
        with self._lock:
            self._wanted += 1
            wanted = self._wanted
        self.push()
        until = time.monotonic() + seconds
        while self._link is not None and time.monotonic() < until:
            status = self._status
            if status is not None and self._built.get(status.roster_version, 0) >= wanted:
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def push(self) -> None:
        """Have a fresh roster sent at once. Without a guard nothing is lost: it gets one when it connects."""
        self._in_loop(None)

    def revoke(self, device_id: str) -> None:
        """Have the guard forget a device at once, then get a fresh roster."""
        self._in_loop(device_id)

    def health(self) -> LinkHealth:
        """Whether the guard is there, and what it last said."""
        return LinkHealth(self._link is not None, self._status, self._version)

    def _in_loop(self, revoked: str | None) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake, revoked)

    def _wake(self, revoked: str | None) -> None:
        link = self._link
        if link is None:
            return
        if revoked is not None:
            link.revocations.append(revoked)
        link.wake.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        link = _Link(writer)
        try:
            uid = peer_uid(writer.get_extra_info("socket"))
            if self._guard_uid is not None and uid != self._guard_uid:
                _log.error("guard_link_wrong_peer", uid=uid)
                return
            if self._link is not None:
                self._link.writer.close()
            self._link = link
            _log.info("guard_link_up")
            await self._run(reader, link)
        except asyncio.CancelledError:
            # The server is being closed; asyncio's own callback for this task would otherwise report it as an error.
            _log.info("guard_link_closing")
        finally:
            if self._link is link:
                self._link = None
                _log.warning("guard_link_down")
            writer.close()

    async def _run(self, reader: asyncio.StreamReader, link: _Link) -> None:
        """Read and write until either ends; whatever ends one ends the other."""
        reading = asyncio.ensure_future(self._read(reader))
        writing = asyncio.ensure_future(self._write(link))
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            writing.cancel()
            results = await asyncio.gather(reading, writing, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                _log.warning("guard_link_failed", error=type(result).__name__, reason=str(result))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = Decoder()
        while data := await reader.read(_READ_BYTES):
            for message in decoder.feed(data):
                await self._take(message)

    async def _take(self, message: Message) -> None:
        match message.get("type"):
            case "knock":
                fact = read_knock(message)
                if not await asyncio.to_thread(self._knocks.record, fact):
                    _log.error("guard_knock_unproved", knock_id=fact.knock_id, device_id=fact.device_id)
            case "status":
                self._status = status = read_status(message, self._clock.now())
                await self._tell_state(status)
            case _:
                raise MessageError("a message of this type is not the guard's to send")

    async def _tell_state(self, status: GuardStatus) -> None:
        """One line in the trail for each change; a guard that starts is not yet a guard that fails."""
        now = (status.state, status.faults)
        if status.state == "starting" or now == self._told_state:
            return
        if not self._state_rate.admits(self._clock.now().timestamp()):
            return  # Told with a later status.
        self._told_state = now
        if status.state != "armed":
            _log.error("guard_degraded", faults=status.faults)
        await asyncio.to_thread(self._knocks.tell_state, status)

    async def _write(self, link: _Link) -> None:
        """Send what was revoked, then a roster built after it; again at every wake and every 20 s.

        One task does both, so that a roster built before a revocation never follows it.
        """
        while True:
            link.wake.clear()
            revoked = list(dict.fromkeys(link.revocations))
            link.revocations.clear()
            for device_id in revoked:
                await self._send(link, revoke_message(device_id))
            for message in await asyncio.to_thread(self._roster):
                await self._send(link, message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._push_every_seconds):
                    await link.wake.wait()

    def _roster(self) -> list[Message]:
        with self._lock:
            wanted = self._wanted
        facts = self._source.roster_facts()
        now = self._clock.now()
        self._version = max(self._version + 1, milliseconds(now))
        # The guard may still speak of the roster before this one.
        self._built = {**dict(list(self._built.items())[-3:]), self._version: wanted}
        return roster_messages(facts, self._version, now + ROSTER_VALID)

    @staticmethod
    async def _send(link: _Link, message: Message) -> None:
        link.writer.write(encode(message))
        # Not `wait_for`: it forgets a cancellation that comes as the drain ends, and control would not stop.
        async with asyncio.timeout(_WRITE_SECONDS):
            await link.writer.drain()
