import asyncio
import base64
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.devices.testing import BuiltDevice
from broker.identities.model import Role
from broker.kernel.clock import milliseconds
from broker.knock_link.facts import DeviceRosterSource, Knocks
from broker.knock_link.model import KnockFact, RosterFacts
from broker.knock_link.service import KnockLinkService
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.identities.world import World
from tests.unit.broker.knock_link.knocking import a_knock

PATIENCE_SECONDS = 5.0


class Guard:
    """The guard's end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._waiting: list[dict[str, object]] = []

    async def next(self) -> dict[str, object]:
        """The next message; EOFError when control closed the link."""
        while not self._waiting:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE_SECONDS)
            if not data:
                raise EOFError
            self._waiting += self._decoder.feed(data)
        return self._waiting.pop(0)

    async def send(self, message: dict[str, object]) -> None:
        self._writer.write(encode(message))
        await self._writer.drain()

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class Served:
    """The service at work on a socket."""

    def __init__(self, world: World, path: Path, guard_uid: int | None, every: float) -> None:
        self.path = path
        self.knocks = Knocks(world.database, world.devices)
        self.service = KnockLinkService(
            world.clock,
            DeviceRosterSource(world.devices, list),
            self.knocks,
            guard_uid=guard_uid,
            push_every_seconds=every,
        )

    async def guard(self) -> Guard:
        return Guard(*await asyncio.open_unix_connection(self.path))


@contextlib.asynccontextmanager
async def served(
    world: World, folder: Path, *, guard_uid: int | None = os.getuid(), every: float = 60.0
) -> AsyncIterator[Served]:
    path = folder / "knock_link.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    made = Served(world, path, guard_uid, every)
    task = asyncio.create_task(made.service.serve(listener))
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        listener.close()


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def told(fact: KnockFact) -> dict[str, object]:
    return {
        "type": "knock",
        "knock_id": fact.knock_id,
        "device_id": fact.device_id,
        "door": fact.door,
        "grant_id": fact.grant_id,
        "address": fact.address,
        "window_seconds": fact.window_seconds,
        "at_ms": milliseconds(fact.at),
        "signed_knock_b64": base64.b64encode(fact.signed_knock).decode(),
    }


def device_ids(message: dict[str, object]) -> list[str]:
    devices = message["devices"]
    assert isinstance(devices, list)
    return [device["device_id"] for device in devices]


@pytest.fixture
def built(world: World) -> BuiltDevice:
    return world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))


async def test_the_guard_gets_a_roster_when_it_connects(world: World, built: BuiltDevice, tmp_path: Path) -> None:
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        roster = await guard.next()
        assert device_ids(roster) == [built.device.id]
        assert roster["expires_at_ms"] == milliseconds(world.clock.now()) + 60_000
        assert link.service.health().is_connected
        assert link.service.health().sent_version == roster["version"]
        guard.close()
        await until(lambda: not link.service.health().is_connected)


async def test_a_roster_comes_again_by_itself_and_its_version_rises(world: World, tmp_path: Path) -> None:
    async with served(world, tmp_path, every=0.02) as link:
        guard = await link.guard()
        versions = [(await guard.next())["version"] for _ in range(3)]
        assert versions == sorted(set(versions))  # type: ignore[type-var]
        guard.close()


async def test_a_revocation_from_any_thread_goes_out_before_the_roster_without_the_device(
    world: World, built: BuiltDevice, tmp_path: Path
) -> None:
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        await guard.next()

        def suspend() -> None:
            world.devices.suspend(built.device.invited_by, built.device.id)
            link.service.revoke(built.device.id)

        thread = threading.Thread(target=suspend)
        thread.start()
        assert await guard.next() == {"v": 1, "type": "revoke", "device_id": built.device.id}
        assert device_ids(await guard.next()) == []
        thread.join()
        guard.close()


async def test_a_push_sends_what_changed(world: World, tmp_path: Path) -> None:
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        assert device_ids(await guard.next()) == []
        made = world.device_of(world.somebody(), world.somebody(Role.PLANT_ADMIN))
        link.service.push()
        assert device_ids(await guard.next()) == [made.device.id]
        guard.close()


async def test_a_knock_is_recorded_and_a_status_is_kept(world: World, built: BuiltDevice, tmp_path: Path) -> None:
    fact = a_knock(world, built)
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        await guard.send(told(fact))
        await guard.send(
            {"type": "status", "state": "armed", "roster_version": 1, "counters": {"accepted": 1}, "ports": [62201]}
        )
        await until(lambda: link.service.health().status is not None)
        status = link.service.health().status
        assert status is not None
        assert (status.state, status.counters) == ("armed", {"accepted": 1})
        assert link.knocks.find(fact.knock_id) == fact
        guard.close()


@pytest.mark.parametrize("steps", range(6))
async def test_a_link_that_is_just_sending_ends_when_control_stops(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The stop comes some steps of the loop before, as, or after the roster is on its way."""
    sending = asyncio.Event()
    drain = asyncio.StreamWriter.drain

    async def slow_drain(writer: asyncio.StreamWriter) -> None:
        sending.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        await drain(writer)

    monkeypatch.setattr(asyncio.StreamWriter, "drain", slow_drain)
    async with asyncio.timeout(PATIENCE_SECONDS) as patience, served(world, tmp_path) as link:
        guard = await link.guard()
        await sending.wait()
    assert not patience.expired()
    guard.close()


async def test_the_trail_says_once_that_the_guard_accepts_nothing_and_why(world: World, tmp_path: Path) -> None:
    status = {"type": "status", "roster_version": 1, "counters": {}, "ports": [62201]}
    degraded = {**status, "state": "degraded", "faults": ["firewall", "clock"], "gate": "keyed"}
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        for message in ({**status, "state": "starting"}, degraded, degraded, {**status, "state": "armed"}):
            await guard.send(message)
        await until(lambda: world.codes() == ["knock.guard.degraded", "knock.guard.armed"])
        for number in range(40):
            await guard.send({**degraded, "faults": [f"fault_{'x' * (number % 2)}"]})
        await guard.send({**status, "state": "armed", "roster_version": 2})
        await until(lambda: (seen := link.service.health().status) is not None and seen.roster_version == 2)
        assert len(world.codes()) <= 20
        guard.close()


async def test_an_unproved_knock_is_not_recorded_and_the_link_stays(
    world: World, built: BuiltDevice, tmp_path: Path
) -> None:
    fact = a_knock(world, built)
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        await guard.send(told(fact) | {"signed_knock_b64": base64.b64encode(bytes(176)).decode()})
        await until(lambda: world.codes() == ["knock.unproved"])
        await guard.send(told(fact))
        await until(lambda: world.codes()[-1] == "knock.accepted")
        guard.close()


@pytest.mark.parametrize(
    "junk",
    [b"\xff\xff\xff\xff", encode({"type": "open"}), encode({"type": "knock"}), encode({"type": "status"})],
)
async def test_junk_closes_the_link_and_the_guard_may_connect_again(world: World, tmp_path: Path, junk: bytes) -> None:
    async with served(world, tmp_path) as link:
        guard = await link.guard()
        await guard.send_bytes(junk)
        with pytest.raises(EOFError):
            while True:
                await guard.next()
        again = await link.guard()
        assert (await again.next())["type"] == "roster"
        guard.close()
        again.close()


async def test_another_user_is_turned_away(world: World, tmp_path: Path) -> None:
    async with served(world, tmp_path, guard_uid=os.getuid() + 1) as link:
        guard = await link.guard()
        with pytest.raises(EOFError):
            await guard.next()
        assert not link.service.health().is_connected
        guard.close()


async def test_the_newest_connection_is_the_guards(world: World, tmp_path: Path) -> None:
    async with served(world, tmp_path) as link:
        old = await link.guard()
        await old.next()
        new = await link.guard()
        await new.next()
        with pytest.raises(EOFError):
            await old.next()
        link.service.push()
        assert (await new.next())["type"] == "roster"
        assert link.service.health().is_connected
        old.close()
        new.close()


async def test_without_a_roster_the_link_is_closed(world: World, tmp_path: Path) -> None:
    class Broken:
        def roster_facts(self) -> RosterFacts:
            raise RuntimeError("the database is gone")

    path = tmp_path / "broken.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    service = KnockLinkService(
        world.clock, Broken(), Knocks(world.database, world.devices), guard_uid=None, push_every_seconds=60
    )
    task = asyncio.create_task(service.serve(listener))
    guard = Guard(*await asyncio.open_unix_connection(path))
    with pytest.raises(EOFError):
        await guard.next()
    guard.close()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    listener.close()


def test_push_and_revoke_before_serving_do_nothing(world: World) -> None:
    service = KnockLinkService(
        world.clock, DeviceRosterSource(world.devices, list), Knocks(world.database, world.devices), guard_uid=None
    )
    service.push()
    service.revoke("dev_1")
    assert not service.health().is_connected


async def test_whoever_must_tell_the_guard_waits_until_it_says_that_it_has_the_roster(
    world: World, tmp_path: Path
) -> None:
    async with served(world, tmp_path) as link:
        assert not link.service.tell(0.05)
        guard = await link.guard()
        first = await guard.next()
        telling = asyncio.create_task(asyncio.to_thread(link.service.tell, PATIENCE_SECONDS))
        second = await guard.next()
        status = {"type": "status", "state": "armed", "counters": {}, "ports": [62201]}
        await guard.send({**status, "roster_version": first["version"]})
        await asyncio.sleep(0.1)
        assert not telling.done()
        await guard.send({**status, "roster_version": second["version"]})
        assert await telling
        guard.close()
