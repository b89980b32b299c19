"""A viewer's whole way: the recording's file, the gateway's sender, the link's server, and the events that come out.

Only the session is a stand-in: a recording writer with its live feed.
"""

import asyncio
import base64
import json
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.gateway.watching import Watching as GatewayWatching
from broker.kernel.errors import TooMany
from broker.sessions.authority import AuthorityServer
from broker.sessions.live import Watch
from broker.sessions.model import Admitted, OrderKind, SessionOrder
from broker.sessions.watching import FrameLine, LineEnded, Watching
from recorder.frames import Frame, FrameKind
from recorder.live import LiveFeed, Watcher
from recorder.manifest import RecordingHeader
from recorder.writer import RecordingWriter
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.sessions.plant import Plant


class LiveSession:
    """What a gateway's driver is to a watch: records, publishes, counts its watchers."""

    def __init__(self, plant: Plant, admitted: Admitted) -> None:
        self.session_id = admitted.session_id
        header = RecordingHeader(
            recording_id=admitted.recording_id,
            session_id=admitted.session_id,
            created_at_ms=1,
            protocol="ssh",
            width=80,
            height=24,
            labels={},
        )
        self.writer = RecordingWriter.create(
            plant.recordings_dir / f"{admitted.recording_id}.sallyrec",
            header=header,
            recipient_public=plant.unseal_public,
            now_ms=1,
            random=secrets.token_bytes,
        )
        plant.lease(admitted, self.writer.signing_public)
        self.feed = LiveFeed(most_waiting_bytes=400_000)
        self.watchers = 0
        self.said = 0

    def watch(self) -> Watcher:
        return self.feed.watch()

    def watchers_changed(self, *, by: int) -> None:
        self.watchers += by

    def say(self, count: int = 1, size: int = 0) -> None:
        """Records and publishes this many frames of output; each holds its number."""
        for _ in range(count):
            self.said += 1
            data = b"%d;" % self.said
            frame = Frame(FrameKind.OUTPUT, 1, self.said * 1000, data.ljust(size, b"."))
            self.writer.append([frame])
            self.feed.publish([frame])


class Viewer:
    """What a browser does with the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.seen: list[int] = []
        """The numbers that the session said, as they were shown."""
        self.last_id = 0
        self.blocked: asyncio.Event | None = None
        self.new = asyncio.Event()

    async def write(self, data: bytes) -> None:
        if self.blocked is not None:
            await self.blocked.wait()
        for text in data.decode().strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in text.split("\n"))
            self.last_id = int(fields.get("id", self.last_id))
            self._show(fields["event"], json.loads(fields["data"]))
        self.new.set()

    def _show(self, name: str, data: dict[str, object]) -> None:
        self.events.append((name, data))
        if name == "frames":
            items = data["frames"]
            assert isinstance(items, list)
            self.seen += [int(base64.b64decode(item["data_b64"]).partition(b";")[0]) for item in items]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not ready():
                self.new.clear()
                await self.new.wait()


class Room:
    def __init__(self, plant: Plant, session: LiveSession) -> None:
        self.plant, self.session = plant, session
        self.orders: list[SessionOrder] = []
        self.answers = True
        self.allowed = True
        self.tasks: list[asyncio.Task[None]] = []

    def watch(self, viewer: Viewer, after: int = 0) -> Watch:
        watch = self.plant.live.begin_watch(self.plant.approver.id, "Anna", self.session.session_id, after)
        running = self.plant.watching.run(watch, lambda: self.allowed, viewer.write)
        self.tasks.append(asyncio.create_task(running))
        return watch

    async def leave(self, number: int = -1) -> None:
        self.tasks[number].cancel()
        await asyncio.gather(self.tasks[number], return_exceptions=True)


@asynccontextmanager
async def room(plant: Plant, here_seconds: float = 5) -> AsyncIterator[Room]:
    session = LiveSession(plant, plant.admitted())
    one = Room(plant, session)
    folder = Path(tempfile.mkdtemp(prefix="sp-", dir="/tmp"))
    path = folder / "a"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    server = AuthorityServer(
        plant.sessions, plant.reports, plant.world.clock, watching=plant.watching, peer_uid=os.getuid()
    )
    gateway = GatewayWatching(path, here_seconds=here_seconds)

    def ordered(order: SessionOrder) -> None:
        one.orders.append(order)
        if order.order is OrderKind.WATCH and one.answers:
            gateway.begin(order.watch_id, session)  # type: ignore[arg-type]

    plant.sessions.orders.on_order(ordered)
    serving = [asyncio.create_task(server.serve(listener)), asyncio.create_task(gateway.run())]
    await asyncio.sleep(0)
    try:
        yield one
    finally:
        for task in [*one.tasks, *serving]:
            task.cancel()
        await asyncio.gather(*one.tasks, *serving, return_exceptions=True)
        session.writer.close_broken()
        path.unlink()
        folder.rmdir()


async def test_history_and_what_happens_now_are_one_line(plant: Plant) -> None:
    async with room(plant) as one:
        one.session.say(700)
        viewer = Viewer()
        watch = one.watch(viewer)
        await viewer.until(lambda: "live" in viewer.names)
        assert viewer.seen == list(range(1, 701))
        one.session.say(300)
        await viewer.until(lambda: len(viewer.seen) == 1000)
        assert viewer.seen == list(range(1, 1001))
        assert viewer.names[0] == "start"
        assert viewer.events[0][1]["recording_id"] == watch.session.recording_id
        await viewer.until(lambda: viewer.names.count("beat") >= 2)
        assert plant.watching.watchers(one.session.session_id) == [(plant.approver.id, "Anna")]
        assert one.session.watchers == 1
        await one.leave()
        assert plant.watching.watchers(one.session.session_id) == []
        last = plant.world.trail()[-1]
        assert (last.code, last.params["reason"], last.params["last_frame"]) == (
            "sessions.session.watch_ended",
            "left",
            1000,
        )


async def test_what_is_said_while_the_history_is_read_is_not_lost(plant: Plant) -> None:
    async with room(plant) as one:
        one.session.say(100, size=3_000)
        viewer = Viewer()
        one.watch(viewer)
        for _ in range(60):
            one.session.say(3)
            await asyncio.sleep(0)
        await viewer.until(lambda: viewer.seen[-1:] == [280])
        assert viewer.seen == list(range(1, 281))


async def test_a_viewer_who_comes_back_goes_on_where_he_was(plant: Plant) -> None:
    async with room(plant) as one:
        viewer = Viewer()
        one.session.say(5)
        one.watch(viewer)
        await viewer.until(lambda: len(viewer.seen) == 5)
        await one.leave()
        one.session.say(5)
        one.watch(viewer, after=viewer.last_id)
        one.session.say(5)
        await viewer.until(lambda: len(viewer.seen) == 15)
        assert viewer.seen == list(range(1, 16))


async def test_a_number_from_another_life_shows_nothing_old_and_all_that_is_new(plant: Plant) -> None:
    async with room(plant) as one:
        one.session.say(5)
        viewer = Viewer()
        one.watch(viewer, after=9_999)
        await viewer.until(lambda: "live" in viewer.names)
        one.session.say(2)
        await viewer.until(lambda: viewer.seen == [6, 7])


async def test_a_slow_viewer_is_dropped_and_told_while_a_fast_one_sees_all(plant: Plant) -> None:
    async with room(plant, here_seconds=60) as one:
        slow, fast = Viewer(), Viewer()
        one.watch(slow)
        one.watch(fast)
        await slow.until(lambda: "live" in slow.names)
        await fast.until(lambda: "live" in fast.names)
        slow.blocked = asyncio.Event()
        for _ in range(400):
            one.session.say(1, size=8_000)
            await fast.until(lambda: len(fast.seen) == one.session.said)
        slow.blocked.set()
        await slow.until(lambda: "end" in slow.names)
        assert slow.events[-1][1]["reason"] in ("fell_behind", "lost")
        assert slow.seen == list(range(1, len(slow.seen) + 1))
        before = len(slow.seen)
        assert before < 400
        assert fast.seen == list(range(1, 401))
        one.watch(slow, after=slow.last_id)
        await slow.until(lambda: len(slow.seen) == 400)
        assert slow.seen == list(range(1, 401))


async def test_a_viewer_who_takes_nothing_counts_no_longer_as_one_who_watches(plant: Plant) -> None:
    async with room(plant, here_seconds=0.5) as one:
        viewer = Viewer()
        one.watch(viewer)
        await viewer.until(lambda: viewer.names.count("beat") >= 2)
        assert one.session.watchers == 1
        viewer.blocked = asyncio.Event()
        async with asyncio.timeout(5):
            while one.session.watchers:
                await asyncio.sleep(0.02)


async def test_the_sessions_end_is_told_after_its_last_frame(plant: Plant) -> None:
    async with room(plant) as one:
        viewer = Viewer()
        one.watch(viewer)
        await viewer.until(lambda: "live" in viewer.names)
        one.session.say(3)
        one.session.feed.end("session_ended")
        await viewer.until(lambda: "end" in viewer.names)
        assert viewer.seen == [1, 2, 3]
        assert viewer.events[-1] == ("end", {"reason": "session_ended"})
        again = Viewer()
        one.watch(again)
        await again.until(lambda: "end" in again.names)
        assert again.events[-1] == ("end", {"reason": "session_ended"})


async def test_whoever_may_not_watch_any_more_sees_nothing_more(plant: Plant) -> None:
    async with room(plant) as one:
        viewer = Viewer()
        one.watch(viewer)
        await viewer.until(lambda: "beat" in viewer.names)
        one.allowed = False
        await viewer.until(lambda: "end" in viewer.names)
        assert viewer.events[-1] == ("end", {"reason": "signed_out"})
        assert plant.world.trail()[-1].params["reason"] == "signed_out"


async def test_a_gateway_that_does_not_answer_is_told(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.sessions.watching.ARRIVAL_SECONDS", 0.1)
    async with room(plant) as one:
        one.answers = False
        viewer = Viewer()
        with capture_logs():
            one.watch(viewer)
            await viewer.until(lambda: "end" in viewer.names)
        assert viewer.events[-1] == ("end", {"reason": "sessions.gateway_silent"})


async def test_every_watch_ends_when_the_process_stops(plant: Plant) -> None:
    async with room(plant) as one:
        viewer = Viewer()
        one.watch(viewer)
        await viewer.until(lambda: "live" in viewer.names)
        plant.watching.stop()
        async with asyncio.timeout(5):
            await asyncio.gather(*one.tasks, return_exceptions=True)
        assert plant.codes()[-1] == "sessions.session.watch_ended"


async def test_watches_are_bounded(plant: Plant) -> None:
    async with room(plant) as one:
        full = Watching(plant.live, plant.recordings, most=1)
        full.check_room()
        watch = plant.live.begin_watch(plant.approver.id, "Anna", one.session.session_id, 0)
        one.tasks.append(asyncio.create_task(full.run(watch, lambda: True, Viewer().write)))
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            full.check_room()


async def test_frames_that_nobody_asked_for_are_not_taken(plant: Plant) -> None:
    reader, writer = asyncio.StreamReader(), object()
    for hello in ({"watch_id": "wch_1", "position": 0}, {"watch_id": 5, "position": "x"}):
        with capture_logs() as logs:
            await plant.watching.take(hello, [], Decoder(), reader, writer)  # type: ignore[arg-type]
        assert logs[0]["event"] == "watch_not_expected"


async def test_a_line_that_brings_something_else_ends() -> None:
    reader = asyncio.StreamReader()
    line = FrameLine(0, reader, None, Decoder())  # type: ignore[arg-type]
    reader.feed_data(encode({"type": "order"}))
    with pytest.raises(LineEnded, match="malformed"):
        await line.next()
    reader.feed_eof()
    with pytest.raises(LineEnded, match="lost"):
        await line.next()
