"""One hidden TCP door: nothing is sent and no protocol parser runs until the first 48 bytes prove a knock."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from broker.gateway.knocks import Expectation, Expectations, NotExpected, plain_address
from broker.gateway.opener_link import NotMarked, OpenerLink
from spa_knock.wire.proof import PROOF_BYTES

PROOF_SECONDS: Final = 5.0
MAX_UNPROVEN: Final = 256
_REPORTS_PER_MINUTE: Final = 60
_RESET: Final = struct.pack("ii", 1, 0)

_log = structlog.get_logger("gateway.doorway")


@dataclass(frozen=True, slots=True)
class ProvenConnection:
    """An accepted TCP connection behind its proof; whoever takes it owns the socket."""

    sock: socket.socket
    source: str
    source_port: int
    expectation: Expectation


class Doorway:
    """Accepts, checks the proof, has the flow marked and the window shut, and hands the connection on."""

    def __init__(
        self,
        sockets: tuple[socket.socket, ...],
        door: int,
        expectations: Expectations,
        opener: OpenerLink | None,
        serve: Callable[[ProvenConnection], Awaitable[None]],
        report: Callable[[str, dict[str, str | int]], None],
    ) -> None:
        """`report(code, params)` tells of connections without a valid proof. No `opener` is for tests only."""
        self._sockets = sockets
        self._door = door
        self._expectations = expectations
        self._opener = opener
        self._serve = serve
        self._report = report
        self._unproven = 0
        self._reports_left = _REPORTS_PER_MINUTE
        self._unreported = 0

    async def run(self) -> None:
        """Serves until cancelled; connections end with it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._refill())
            for sock in self._sockets:
                sock.setblocking(False)
                tasks.create_task(self._accept(sock, tasks))

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptors left, or the peer is gone already
                _log.warning("accept_failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            if self._unproven >= MAX_UNPROVEN:
                reset(sock)
                continue
            tasks.create_task(self._connection(sock))

    async def _connection(self, sock: socket.socket) -> None:
        connection = await self._prove(sock)
        if connection is None:
            return
        try:
            await self._serve(connection)
        except Exception:  # noqa: BLE001 - the edge: one connection's fault must not end the others
            _log.exception("connection_failed", door=self._door, source=connection.source)
        finally:
            sock.close()

    async def _prove(self, sock: socket.socket) -> ProvenConnection | None:
        source, port = "", 0
        proven: ProvenConnection | None = None
        self._unproven += 1
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source, port = plain_address(sock.getpeername()[0]), sock.getpeername()[1]
            async with asyncio.timeout(PROOF_SECONDS):
                proof = await _read_exactly(sock, PROOF_BYTES)
            expectation = self._expectations.claim(proof, self._door, source)
            if self._opener is not None:
                await self._opener.mark(expectation, port)
                await self._opener.shut(expectation)
            proven = ProvenConnection(sock, source, port, expectation)
        except NotExpected as error:
            self._piggyback(source, port, error.reason)
        except TimeoutError:
            self._piggyback(source, port, "silent")
        except NotMarked as error:
            _log.error("flow_not_marked", source=source, error=str(error))
            self._report("gateway.flow_not_marked", {"door": self._door, "source": source, "source_port": port})
        except (OSError, EOFError, ValueError):
            self._piggyback(source, port, "closed")
        finally:
            self._unproven -= 1
            if proven is None:
                reset(sock)
        return proven

    def _piggyback(self, source: str, port: int, reason: str) -> None:
        if self._reports_left <= 0:
            self._unreported += 1
            return
        self._reports_left -= 1
        params: dict[str, str | int] = {"door": self._door, "source": source, "source_port": port, "reason": reason}
        if self._unreported:
            params["unreported_before"] = self._unreported
            self._unreported = 0
        self._report("gateway.piggyback", params)

    async def _refill(self) -> None:
        while True:
            await asyncio.sleep(60)
            self._reports_left = _REPORTS_PER_MINUTE


async def _read_exactly(sock: socket.socket, count: int) -> bytes:
    """Reads no byte beyond: what follows belongs to TLS or SSH. Raises EOFError."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        more = await loop.sock_recv(sock, count - len(data))
        if not more:
            raise EOFError("closed before the proof")
        data += more
    return data


def reset(sock: socket.socket) -> None:
    """Closes with a TCP reset, so that the peer gets no byte and no orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        _log.debug("already_closed")
    sock.close()
