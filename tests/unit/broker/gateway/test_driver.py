"""The driver: commands in their order, the record on file before the send, and an end that control learns."""

import asyncio
import base64
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from broker.gateway import contract as c
from broker.gateway.authority import Authority
from broker.gateway.channels import ChannelKind, Side
from broker.gateway.driver import SessionDriver, Surroundings
from broker.gateway.evidence import Evidence
from broker.gateway.legs import TargetRefused
from broker.gateway.permits import Admission, Lease, SessionPermit
from broker.gateway.recording_care import RecordingCare
from broker.gateway.spool import Spool
from broker.gateway.testing import FakeAuthority, a_boot_key, lease_json, permit_json
from recorder.errors import RecordingError
from recorder.frames import FrameKind
from recorder.replay import open_recording
from recorder.report import State
from recorder.verify import verify
from tests.unit.broker.gateway.folders import short_folder


class FakeLegs:
    """Remembers what it was told, in order; `dial_error` and `channel_error` make the target refuse."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.leases: list[Lease] = []
        self.dial_error: TargetRefused | None = None
        self.channel_error: TargetRefused | None = None
        self.look = lambda: None

    async def dial(self, lease: Lease) -> None:
        self.leases.append(lease)
        if self.dial_error is not None:
            raise self.dial_error

    async def open_channel(self, command: c.OpenChannel) -> None:
        self.told.append(command)
        if self.channel_error is not None:
            raise self.channel_error

    def send(self, command: c.Send) -> None:
        self.look()
        self.told.append(command)

    def _tell(self, command: object) -> None:
        self.told.append(command)

    send_end = refuse = message = end_channel = close_target_channel = resize = signal = send_break = flow = _tell

    def drop_target(self) -> None:
        self.told.append("drop_target")

    def drop_client(self, message: str) -> None:
        self.told.append(("drop_client", message))


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = FakeAuthority(folder / "a")
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.control.lease = lease_json("10.0.0.1", 22, host_key, "root", "password", "s3cret")
        self.spool = Spool(folder / "spool", a_boot_key("w", "boot"))
        self.authority = Authority(
            folder / "a",
            self.spool,
            worker="w",
            boot_id="boot",
            sessions=list,
            on_order=lambda order: True,
            on_change=lambda up: None,
        )
        self.legs = FakeLegs()
        self.permit = permit_json()

    def driver(self) -> SessionDriver:
        admission = Admission("ses_1", "rec_1", SessionPermit.from_json(self.permit), self.control.unseal_public)
        evidence = Evidence(Ed25519PrivateKey.generate())
        return SessionDriver(admission, self.legs, Surroundings(self.authority, self.folder, evidence))

    @property
    def file(self) -> Path:
        return self.folder / "rec_1.sallyrec"


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        await one.control.start()
        task = asyncio.create_task(one.authority.run())
        try:
            await until(lambda: one.authority.is_up)
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await one.control.stop()
            one.spool.close()


async def until(ready: object) -> None:
    assert callable(ready)
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.01)


async def test_a_session_runs_from_its_lease_to_its_end() -> None:
    async with rig() as one:
        driver = one.driver()
        running = asyncio.create_task(driver.run())
        await until(lambda: one.legs.leases)
        driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
        await until(lambda: any(isinstance(x, c.OpenChannel) for x in one.legs.told))
        await asyncio.sleep(0.02)
        sizes: list[int] = []
        one.legs.look = lambda: sizes.append(one.file.stat().st_size)
        before = one.file.stat().st_size
        driver.feed(c.ClientBytes(1, b"in"))
        assert sizes[0] > before  # the record was on file when the byte was sent
        assert one.legs.told[-1] == c.Send(1, Side.TARGET, b"in")
        driver.feed(c.SideGone(Side.CLIENT))
        await asyncio.wait_for(running, 5)
        assert one.legs.told[-2:] == ["drop_target", ("drop_client", "")]
        await one.control.until(lambda: bool(one.control.ended))
        lease = next(m for m in one.control.asked if m["type"] == "lease")
        recording = lease["recording"]
        assert isinstance(recording, dict)
        public = base64.b64decode(recording["signing_public_b64"])
        assert verify(one.file, signing_public=public).state is State.SEALED
        assert recording["path"] == "rec_1.sallyrec"
        assert one.control.ended[0]["reason"] == "client_left"


async def test_a_target_that_refuses_ends_the_session_with_its_words() -> None:
    async with rig() as one:
        one.legs.dial_error = TargetRefused("target_offline", "The target cannot be reached.")
        await asyncio.wait_for(one.driver().run(), 5)
        assert one.legs.told[-1] == ("drop_client", "The target cannot be reached.")
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == "target_offline"


async def test_a_channel_that_the_target_refuses_leaves_the_session() -> None:
    async with rig() as one:
        one.legs.channel_error = TargetRefused("channel_refused", "open failed")
        driver = one.driver()
        running = asyncio.create_task(driver.run())
        driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
        await until(lambda: any(isinstance(x, c.Refuse) for x in one.legs.told))
        assert not driver.is_over
        driver.feed(c.SideGone(Side.CLIENT))
        await running


async def test_without_a_lease_nothing_is_dialled() -> None:
    async with rig() as one:
        one.control.lease = {"lease_id": "x"}
        with capture_logs():
            await asyncio.wait_for(one.driver().run(), 5)
        assert not one.legs.leases


async def test_a_recording_that_cannot_begin_ends_the_session_before_the_lease() -> None:
    async with rig() as one:
        one.file.write_bytes(b"taken")
        with capture_logs():
            await asyncio.wait_for(one.driver().run(), 5)
        assert not any(m["type"] == "lease" for m in one.control.asked)
        await one.control.until(lambda: bool(one.control.ended))
        assert (one.control.ended[0]["reason"], one.control.ended[0]["recording"]) == ("recorder_failed", None)


async def test_a_byte_whose_record_fails_is_not_sent() -> None:
    async with rig() as one:
        driver = one.driver()
        running = asyncio.create_task(driver.run())
        await until(lambda: one.legs.leases)
        driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
        await asyncio.sleep(0.05)
        assert driver._recording is not None
        writer = driver._recording._writer

        def fails(frames: object) -> None:
            raise RecordingError("write_failed", "disk")

        writer.append = fails  # type: ignore[method-assign,assignment]
        with capture_logs():
            driver.feed(c.ClientBytes(1, b"secret"))
        await asyncio.wait_for(running, 5)
        assert not any(isinstance(x, c.Send) for x in one.legs.told)
        await one.control.until(lambda: bool(one.control.ended))
        recording = one.control.ended[0]["recording"]
        assert isinstance(recording, dict)
        assert recording["state"] == "broken"
        assert verify(one.file, signing_public=None).state is State.BROKEN


async def test_a_fault_in_a_leg_ends_the_session_and_is_raised() -> None:
    async with rig() as one:
        driver = one.driver()
        running = asyncio.create_task(driver.run())
        await until(lambda: one.legs.leases)
        driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
        await asyncio.sleep(0.05)

        def fault() -> None:
            raise RuntimeError("a fault")

        one.legs.look = fault
        with pytest.raises(RuntimeError):
            driver.feed(c.ClientBytes(1, b"x"))
        await asyncio.wait_for(running, 5)
        assert "drop_target" in one.legs.told
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == "fault"


async def test_a_cancelled_session_is_sealed_and_told() -> None:
    async with rig() as one:
        running = asyncio.create_task(one.driver().run())
        await until(lambda: one.legs.leases)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert verify(one.file, signing_public=None).state is State.SEALED
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == "gateway_stopped"


async def test_a_session_that_begins_while_control_is_gone_counts_from_then() -> None:
    async with rig() as one:
        await one.control.stop()
        await asyncio.sleep(0.05)
        with capture_logs():
            await asyncio.wait_for(one.driver().run(), 5)
        assert one.legs.told[-1] == ("drop_client", "The broker's control does not answer. Try again in a minute.")


async def test_the_end_moves_when_control_says_so() -> None:
    async with rig() as one:
        now = one.driver()._around.clocks()
        one.permit["not_after_ms"] = now.wall_ms + 20_000
        driver = one.driver()
        one.control.permit = {**one.permit, "not_after_ms": now.wall_ms + 90_000}
        running = asyncio.create_task(driver.run())
        await until(lambda: one.legs.leases)
        driver.tick()
        shared = driver._machine._shared
        assert shared is not None
        await until(lambda: shared.ends_wall_ms == now.wall_ms + 90_000)
        driver.feed(c.SideGone(Side.CLIENT))
        await running


class Disk:
    """Stands before `hold_room`: says no while it is full."""

    def __init__(self) -> None:
        self.full = False

    def __call__(self, descriptor: int, start: int, end: int) -> None:
        if self.full:
            raise RecordingError("no_space", "the disk is full", can_retry=True)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    one = Disk()
    monkeypatch.setattr("recorder.writer.hold_room", one)
    return one


async def live(one: Rig, *duties: str) -> tuple[SessionDriver, asyncio.Task[None]]:
    """A session with one channel whose recording must ask for room with every batch."""
    one.permit["duties"] = ["record", *duties]
    driver = one.driver()
    driver._around = replace(driver._around, care=RecordingCare(reserve_bytes=1))
    running = asyncio.create_task(driver.run())
    await until(lambda: one.legs.leases)
    driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
    await until(lambda: any(isinstance(x, c.OpenChannel) for x in one.legs.told))
    await asyncio.sleep(0.02)
    return driver, running


def sent(one: Rig) -> list[bytes]:
    return [x.data for x in one.legs.told if isinstance(x, c.Send)]


async def test_without_room_a_session_ends_sealed_and_the_byte_is_not_sent(disk: Disk) -> None:
    async with rig() as one:
        driver, running = await live(one)
        driver.feed(c.ClientBytes(1, b"recorded"))
        disk.full = True
        with capture_logs():
            driver.feed(c.TargetBytes(1, b"not recorded"))
            await asyncio.wait_for(running, 5)
        assert sent(one) == [b"recorded"]
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == "recording_full"
        assert verify(one.file, signing_public=None).state is State.SEALED


async def test_a_session_that_must_wait_sends_nothing_until_there_is_room_and_then_all_in_order(disk: Disk) -> None:
    async with rig() as one:
        driver, running = await live(one, "hold_when_full")
        disk.full = True
        with capture_logs():
            driver.feed(c.TargetBytes(1, b"a"))
            driver.feed(c.ClientBytes(1, b"b"))
            driver.tick()
        assert sent(one) == []
        assert c.Flow(1, Side.CLIENT, open=False) in one.legs.told
        assert c.Flow(1, Side.TARGET, open=False) in one.legs.told
        assert not driver.is_over
        disk.full = False
        driver.tick()
        assert sent(one) == [b"a", b"b"]
        assert c.Flow(1, Side.TARGET, open=True) in one.legs.told
        driver.feed(c.SideGone(Side.CLIENT))
        await running
        await one.control.until(lambda: "recordings.recording.resumed" in one.control.codes())
        recording = open_recording(one.file, one.control.unseal_private)
        data = [frame.data for frame in recording.frames() if frame.kind in (FrameKind.OUTPUT, FrameKind.INPUT)]
        assert data == [b"a", b"b"]
        notes = b"".join(frame.data for frame in recording.frames() if frame.kind is FrameKind.NOTE)
        assert b"recording_held" in notes


@pytest.mark.parametrize(
    ("event", "reason"), [(c.CutOrdered("smoke"), "cut"), (c.SideGone(Side.CLIENT), "client_left")]
)
async def test_a_session_that_waits_for_room_ends_at_once_and_sends_nothing_of_what_waited(
    disk: Disk, event: c.Event, reason: str
) -> None:
    async with rig() as one:
        driver, running = await live(one, "hold_when_full")
        disk.full = True
        with capture_logs():
            driver.feed(c.TargetBytes(1, b"waits"))
            driver.feed(event)
            await asyncio.wait_for(running, 5)
        assert sent(one) == []
        assert "drop_target" in one.legs.told
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == reason
        assert verify(one.file, signing_public=None).state is State.SEALED


async def test_too_much_that_waits_for_room_ends_the_session(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.gateway.driver.MOST_STALLED_BYTES", 1000)
    async with rig() as one:
        driver, running = await live(one, "hold_when_full")
        disk.full = True
        with capture_logs():
            for _ in range(11):
                driver.feed(c.TargetBytes(1, bytes(100)))
            await asyncio.wait_for(running, 5)
        assert sent(one) == []
        await one.control.until(lambda: bool(one.control.ended))
        assert one.control.ended[0]["reason"] == "recording_full"


async def test_heads_are_told_while_the_session_runs_and_the_disk_is_synced_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(threading.get_ident()), real(descriptor)))
    async with rig() as one:
        driver = one.driver()
        moment = driver._around.clocks()
        now = [moment]
        care = RecordingCare(anchor_seconds=30, sync_seconds=5)
        driver._around = replace(driver._around, care=care, clocks=lambda: now[0])
        running = asyncio.create_task(driver.run())
        await until(lambda: one.legs.leases)
        driver.feed(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
        await until(lambda: any(isinstance(x, c.OpenChannel) for x in one.legs.told))
        before = len(synced)
        for second in (6, 36):
            now[0] = c.Moment(moment.wall_ms + second * 1000, moment.boot_us + second * 1_000_000)
            driver.feed(c.ClientBytes(1, b"x"))
            driver.tick()
            await until(lambda: len(synced) > before)
        assert threading.get_ident() not in synced[before:]
        await one.control.until(lambda: "recordings.recording.anchored" in one.control.codes())
        (event,) = [e for e in one.control.events if e["code"] == "recordings.recording.anchored"]
        driver.feed(c.SideGone(Side.CLIENT))
        await running
        params = event["params"]
        assert isinstance(params, dict)
        anchors = {int(params["batches"]): bytes.fromhex(params["chain_sha256"])}
        assert verify(one.file, signing_public=None, anchors=anchors).state is State.SEALED
        wrong = {batches: bytes(32) for batches in anchors}
        assert verify(one.file, signing_public=None, anchors=wrong).kind == "forged_head"
