"""The server of the link between gateway and control: a gateway worker connects, says who it is, and asks; or it sends
the frames of one watch on a connection of its own.

A hello is answered by a `welcome`, every request once, by its `id`; orders go the other way when they are committed.
The services are called
in threads, at most 16 at a time for a link, so a slow database slows that gateway's new sessions and nothing else.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from broker.kernel.clock import Clock
from broker.kernel.errors import SallyportError
from broker.sessions import messages, spooled
from broker.sessions.messages import BadMessage, Message
from broker.sessions.model import GatewayIdentity, ProbeOrder, SessionOrder
from broker.sessions.reports import GatewayReports
from broker.sessions.service import SessionsService
from broker.sessions.watching import Watching
from spa_knock.link.framing import Decoder, FramingError, encode
from spa_knock.link.process import peer_uid

_HELLO_SECONDS: Final = 5.0
_WRITE_SECONDS: Final = 10.0
_MISSING_SECONDS: Final = 30.0
_WATCHES: Final = frozenset({"watching", "watch_ended"})
_AT_ONCE: Final = 16
_READ_BYTES: Final = 65_536
_MOST_BUFFERED_BYTES: Final = 4 * 1024 * 1024

_log = structlog.get_logger("control.authority")


@dataclass(eq=False)
class _Link:
    """One connected gateway worker."""

    identity: GatewayIdentity
    writer: asyncio.StreamWriter
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def send(self, message: Mapping[str, object]) -> None:
        """Queue a message; a peer that does not read any more loses the link instead of filling our memory."""
        if self.writer.transport.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > _MOST_BUFFERED_BYTES:
            _log.error("gateway_does_not_read", worker=self.identity.worker)
            self.writer.transport.abort()
            return
        self.writer.write(encode(message))


class AuthorityServer:
    """Serves gateways of one user id. Create it and run `serve` in one event loop; `order` may be called anywhere."""

    def __init__(
        self,
        service: SessionsService,
        reports: GatewayReports,
        clock: Clock,
        *,
        watching: Watching,
        peer_uid: int,
        missing_seconds: float = _MISSING_SECONDS,
    ) -> None:
        """`peer_uid` is the gateway's user id; `missing_seconds` is how long a gateway that connects has to deliver
        the ends it had kept before sessions it does not hold are taken as lost."""
        self._service = service
        self._reports = reports
        self._clock = clock
        self._watching = watching
        self._peer_uid = peer_uid
        self._missing_seconds = missing_seconds
        self._links: dict[str, _Link] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        service.orders.on_order(self.order)

    @property
    def workers(self) -> frozenset[str]:
        """The gateway workers that are connected now."""
        return frozenset(self._links)

    async def serve(self, listener: socket.socket) -> None:
        """Accept gateways on this listening Unix socket until cancelled."""
        self._loop = asyncio.get_running_loop()
        connections: set[asyncio.Task[Any]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - asyncio runs this callback as a task
            connections.add(task)
            try:
                await self._serve_one(reader, writer)
            finally:
                connections.discard(task)
                writer.transport.abort()

        server = await asyncio.start_unix_server(connected, sock=listener, limit=_READ_BYTES)
        try:
            await server.serve_forever()
        finally:
            self._loop = None
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    def order(self, order: SessionOrder) -> None:
        """Send an order to the worker that has the session; from any thread. Lost when the worker is not connected:
        it is told again when it connects."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._send_order, order)

    def order_probe(self, order: ProbeOrder) -> None:
        """Have a worker test a connection; from any thread. Lost when the worker is not connected."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._send_to, order.worker, messages.probe_order(order))

    def order_removal(self, worker: str, tombstone: bytes) -> None:
        """Have a worker remove a destroyed recording's file; from any thread. Lost when the worker is not connected:
        what is not answered is ordered again."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._send_to, worker, messages.removal_order(tombstone))

    def order_release(self, worker: str, receipt: bytes) -> None:
        """Have a worker let a copied recording's file go; from any thread. Lost as `order_removal`."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._send_to, worker, messages.release_order(receipt))

    def _send_order(self, order: SessionOrder) -> None:
        self._send_to(order.worker, messages.order(order))

    def _send_to(self, worker: str, message: Message) -> None:
        link = self._links.get(worker)
        if link is not None:
            link.send(message)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid != self._peer_uid:
            _log.warning("authority_peer_refused", uid=uid)
            return
        decoder = Decoder()
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                waiting = await _some(reader, decoder)
            first = waiting.pop(0)
            if first.get("type") in _WATCHES:
                await self._watching.take(first, waiting, decoder, reader, writer)
                return
            hello = messages.hello(first)
        except (TimeoutError, FramingError, BadMessage, IndexError, OSError) as error:
            _log.warning("authority_hello_refused", error=str(error))
            return
        link = _Link(hello.identity, writer)
        before = self._links.get(hello.identity.worker)
        if before is not None:
            before.writer.transport.abort()
        self._links[hello.identity.worker] = link
        link.send(messages.welcome())
        _log.info("gateway_connected", worker=hello.identity.worker, sessions=len(hello.sessions))
        try:
            async with asyncio.TaskGroup() as tasks:
                after = tasks.create_task(self._after_hello(link, hello.sessions, self._clock.now()))
                await self._read(reader, decoder, waiting, link, tasks)
                after.cancel()
        except* (FramingError, OSError) as errors:
            _log.warning("authority_link_broken", worker=hello.identity.worker, error=str(errors.exceptions[0]))
        finally:
            if self._links.get(hello.identity.worker) is link:
                del self._links[hello.identity.worker]
            _log.info("gateway_gone", worker=hello.identity.worker)

    async def _after_hello(self, link: _Link, held: tuple[str, ...], connected_at: datetime) -> None:
        worker = link.identity.worker
        try:
            for order in await asyncio.to_thread(self._reports.outstanding_orders, worker, held):
                link.send(messages.order(order))
            await asyncio.sleep(self._missing_seconds)
            lost = await asyncio.to_thread(self._reports.close_missing, worker, held, connected_at)
        except Exception as error:  # noqa: BLE001 - the next hello does this work again
            _log.error("hello_not_followed_up", worker=worker, error=type(error).__name__, exc_info=error)
            link.writer.transport.abort()
            return
        if lost:
            _log.warning("sessions_lost", worker=worker, count=lost)

    async def _read(
        self,
        reader: asyncio.StreamReader,
        decoder: Decoder,
        waiting: list[Message],
        link: _Link,
        tasks: asyncio.TaskGroup,
    ) -> None:
        while True:
            for message in waiting:
                if message.get("type") == "ping":
                    told = messages.newest(message)
                    if told is not None:
                        self._reports.newest(link.identity, told)
                    link.send({**messages.taken(), "id": message.get("id")})
                    continue
                await link.slots.acquire()
                tasks.create_task(self._answer(link, message))
            data = await reader.read(_READ_BYTES)
            if not data:
                return
            waiting = decoder.feed(data)
            async with asyncio.timeout(_WRITE_SECONDS):
                await link.writer.drain()

    async def _answer(self, link: _Link, message: Message) -> None:
        try:
            answer = await asyncio.to_thread(self._handle, link.identity, message)
        except BadMessage as error:
            answer = messages.failed("invalid", str(error))
        except SallyportError as error:
            answer = messages.failed(error.code, error.message)
        except Exception as error:  # noqa: BLE001 - the link's edge: the gateway is answered, control stays up
            _log.error("authority_request_failed", kind=message.get("type"), error=type(error).__name__, exc_info=error)
            answer = messages.failed("internal", "The control plane could not answer this.")
        finally:
            link.slots.release()
        number = message.get("id")
        if isinstance(number, int):
            link.send({**answer, "id": number})

    def _handle(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        handlers: Mapping[str, Callable[[GatewayIdentity, Message], dict[str, object]]] = {
            "admit": self._admit,
            "lease": self._lease,
            "renew": self._renew,
            "hold": _hold,
            "ended": self._ended,
            "report": self._report,
            "spooled": self._spooled,
        }
        handler = handlers.get(str(message.get("type")))
        if handler is None:
            raise BadMessage("this type of message is not known")
        return handler(gateway, message)

    def _admit(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        return messages.verdict(self._service.admit(messages.admit_request(gateway, message)))

    def _lease(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        wish = messages.lease_request(message)
        return messages.lease(self._service.lease(gateway, wish.session_id, wish.permit_id, wish.recording, wish.path))

    def _renew(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        return messages.renewed(self._service.renew(gateway, messages.session_id(message)))

    def _ended(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        boot_id, seq, ended = messages.ended(message)
        self._reports.ended(gateway, boot_id, seq, ended)
        return messages.taken()

    def _report(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        self._reports.report(gateway, messages.report(message))
        return messages.taken()

    def _spooled(self, gateway: GatewayIdentity, message: Message) -> dict[str, object]:
        self._reports.spooled(gateway, spooled.signed(message))
        return messages.taken()


def _hold(_gateway: GatewayIdentity, _message: Message) -> dict[str, object]:
    """Nobody decides held commands yet, so none is let through."""
    return messages.hold_refused()


async def _some(reader: asyncio.StreamReader, decoder: Decoder) -> list[Message]:
    """At least one message, unless the peer goes away first."""
    while True:
        data = await reader.read(_READ_BYTES)
        if not data:
            return []
        found = decoder.feed(data)
        if found:
            return found
