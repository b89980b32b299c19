"""Connection tests at the gateway: how far each came, bounded in number and time, and always answered."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broker.gateway import probing
from broker.gateway.probing import Outcome, ProbeOrder, Probes, read_order
from broker.gateway.spec import ProtocolSpec

ORDER = ProbeOrder("prb_1", "test", "127.0.0.1", 1, "ssh-ed25519", 5)
MESSAGE: dict[str, object] = {
    "type": "order",
    "order": "probe",
    "probe_id": "prb_1",
    "protocol": "ssh",
    "address": "10.20.0.4",
    "port": 22,
    "key_type": "",
    "seconds": 10,
}


async def greets(sock: socket.socket, key_type: str) -> tuple[Outcome, str]:
    """A protocol whose server says its key first."""
    data = await asyncio.get_running_loop().sock_recv(sock, 100)
    if data == b"boom":
        raise RuntimeError("a fault of ours")
    return Outcome.KEY_SHOWN, f"{key_type} {data.decode()}"


SPEC = ProtocolSpec("test", "Test", 9, 1, (), "no:listener", key_reader=f"{__name__}:greets")


class Room:
    def __init__(self) -> None:
        self.told: list[dict[str, str | int]] = []
        self.probes = Probes([SPEC], self._report)

    def _report(self, code: str, params: dict[str, str | int]) -> None:
        assert code == "gateway.target.probed"
        self.told.append(params)

    async def outcome(self, order: ProbeOrder) -> str:
        before = len(self.told)
        self.probes.begin(order)
        await self.until(lambda: len(self.told) > before)
        return str(self.told[-1]["outcome"])

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not ready():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def room() -> AsyncIterator[Room]:
    one = Room()
    task = asyncio.create_task(one.probes.run())
    await asyncio.sleep(0)
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def server(says: bytes) -> AsyncIterator[int]:
    writers: list[asyncio.StreamWriter] = []

    async def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(says)

    serving = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
        for writer in writers:
            writer.transport.abort()


async def test_a_key_that_was_read_is_reported_with_its_test() -> None:
    async with room() as one, server(b"AAAA") as port:
        assert await one.outcome(replace(ORDER, port=port)) == "key_shown"
    (told,) = one.told
    assert (told["probe_id"], told["host_key"]) == ("prb_1", "ssh-ed25519 AAAA")


async def test_a_closed_port_a_silent_one_and_a_fault_are_told_apart() -> None:
    async with room() as one:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert await one.outcome(replace(ORDER, port=port)) == "refused"
        async with server(b"") as port:
            assert await one.outcome(replace(ORDER, port=port, seconds=1)) == "silent"
        async with server(b"boom") as port:
            assert await one.outcome(replace(ORDER, port=port)) == "failed"
        assert await one.outcome(replace(ORDER, protocol="telnet")) == "failed"
        assert all(told["host_key"] == "" for told in one.told)


async def test_a_machine_that_does_not_answer_costs_no_more_than_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_address: str, _port: int) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(probing, "_connected", never)
    monkeypatch.setattr(probing, "LONGEST_SECONDS", 0.05)
    async with room() as one:
        assert await one.outcome(replace(ORDER, seconds=60_000)) == "no_answer"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(PermissionError(1, ""), "blocked_here"), (OSError(113, ""), "unreachable"), (OSError(110, ""), "no_answer")],
)
async def test_why_there_was_no_connection_is_told(
    monkeypatch: pytest.MonkeyPatch, error: OSError, outcome: str
) -> None:
    async def fails(_address: str, _port: int) -> socket.socket:
        raise error

    monkeypatch.setattr(probing, "_connected", fails)
    async with room() as one:
        assert await one.outcome(ORDER) == outcome


async def test_tests_are_few_at_a_time_and_one_too_many_is_answered_too() -> None:
    async with room() as one, server(b"") as port:
        for number in range(probing.MOST_AT_ONCE + 2):
            one.probes.begin(replace(ORDER, probe_id=f"prb_{number}", port=port))
        assert [told["outcome"] for told in one.told] == ["busy", "busy"]


async def test_without_a_running_gateway_nothing_is_dialled() -> None:
    one = Room()
    one.probes.begin(ORDER)
    assert one.told[0]["outcome"] == "busy"


def test_an_order_is_read_strictly() -> None:
    assert read_order(MESSAGE) == ProbeOrder("prb_1", "ssh", "10.20.0.4", 22, "", 10)
    for name, value in [
        ("probe_id", None),
        ("protocol", 1),
        ("address", "plc.example"),
        ("port", 0),
        ("port", True),
        ("seconds", "10"),
        ("key_type", "x" * 65),
    ]:
        with pytest.raises(ValueError, match=r".*"):
            read_order({**MESSAGE, name: value})
