"""The door: silent until a proof, a reset for everybody else, and no byte read beyond the proof."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from broker.gateway import doorway as module
from broker.gateway.doorway import Doorway, ProvenConnection
from broker.gateway.knocks import Expectation, Expectations
from broker.gateway.opener_link import NotMarked, OpenerLink
from broker.gateway.testing import knock


class Rig:
    def __init__(self) -> None:
        self.table = Expectations()
        self.served: list[ProvenConnection] = []
        self.reports: list[tuple[str, dict[str, str | int]]] = []
        self.fails = False
        self.port = 0

    async def serve(self, connection: ProvenConnection) -> None:
        self.served.append(connection)
        if self.fails:
            raise RuntimeError("a fault in a parser")
        data = await asyncio.get_running_loop().sock_recv(connection.sock, 100)
        await asyncio.get_running_loop().sock_sendall(connection.sock, b"got " + data)

    async def connect(self, data: bytes) -> bytes:
        """What a peer gets that sends this; b"RST" for a reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(100), 5)
        except ConnectionResetError:
            return b"RST"
        finally:
            writer.transport.abort()


class Opener(OpenerLink):
    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.asked: list[str] = []

    async def mark(self, expectation: Expectation, port: int) -> None:
        self.asked.append("mark")
        if not self.works:
            raise NotMarked("no")

    async def shut(self, expectation: Expectation) -> bool:
        self.asked.append("shut")
        return True


@asynccontextmanager
async def rig(opener: OpenerLink | None = None) -> AsyncIterator[Rig]:
    one = Rig()
    listener = socket.create_server(("127.0.0.1", 0))
    one.port = listener.getsockname()[1]
    door = Doorway(
        (listener,), 2, one.table, opener, one.serve, lambda code, params: one.reports.append((code, params))
    )
    task = asyncio.create_task(door.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


async def test_a_proven_connection_is_handed_on_with_the_bytes_behind_the_proof() -> None:
    opener = Opener(works=True)
    async with rig(opener) as one:
        expected, proof = knock()
        one.table.expect(expected)
        assert await one.connect(proof + b"SSH") == b"got SSH"
        assert one.served[0].expectation is expected
        assert one.served[0].source == "127.0.0.1"
        assert opener.asked == ["mark", "shut"]


@pytest.mark.parametrize("data", [bytes(48), b"GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"])
async def test_a_stranger_gets_a_reset_and_is_reported(data: bytes) -> None:
    async with rig() as one:
        assert await one.connect(data) == b"RST"
        ((code, params),) = one.reports
        assert code == "gateway.piggyback"
        assert (params["door"], params["source"]) == (2, "127.0.0.1")
        assert not one.served


async def test_a_silent_peer_gets_nothing_and_then_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROOF_SECONDS", 0.2)
    async with rig() as one:
        assert await one.connect(bytes(47)) == b"RST"
        assert one.reports[0][1]["reason"] == "silent"


async def test_a_flow_that_cannot_be_marked_does_not_go_on() -> None:
    async with rig(Opener(works=False)) as one:
        expected, proof = knock()
        one.table.expect(expected)
        assert await one.connect(proof) == b"RST"
        assert one.reports[0][0] == "gateway.flow_not_marked"
        assert not one.served


async def test_a_fault_in_one_connection_leaves_the_door_open() -> None:
    async with rig() as one:
        one.fails = True
        expected, proof = knock()
        one.table.expect(expected)
        with capture_logs() as logs:
            assert await one.connect(proof) == b""
        assert logs[0]["event"] == "connection_failed"
        one.fails = False
        expected, proof = knock()
        one.table.expect(expected)
        assert await one.connect(proof + b"x") == b"got x"


async def test_unproven_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNPROVEN", 2)
    async with rig() as one:
        waiting = [await asyncio.open_connection("127.0.0.1", one.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await one.connect(b"") == b"RST"
        for _, writer in waiting:
            writer.transport.abort()


async def test_reports_are_bounded_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REPORTS_PER_MINUTE", 2)
    async with rig() as one:
        for _ in range(4):
            await one.connect(bytes(48))
        assert len(one.reports) == 2
