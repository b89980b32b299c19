"""The gateway's end of a watch: what is sent, when it counts, and what ends it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from broker.gateway import watching
from broker.gateway.watching import Watching
from recorder.frames import Frame, FrameKind
from recorder.live import LiveFeed, Watcher
from recorder.numbered import Assembler
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.gateway.folders import short_folder


class Session:
    session_id = "ses_1"

    def __init__(self) -> None:
        self.feed = LiveFeed(most_waiting_bytes=200_000)
        self.changes: list[int] = []
        self.fault: Exception | None = None

    def watch(self) -> Watcher:
        if self.fault is not None:
            raise self.fault
        return self.feed.watch()

    def watchers_changed(self, *, by: int) -> None:
        self.changes.append(by)

    def say(self, data: bytes) -> None:
        self.feed.publish([Frame(FrameKind.OUTPUT, 1, 0, data)])


class Control:
    """Accepts the connections of watches."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def accept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(5):
            sock, _ = await asyncio.get_running_loop().sock_accept(self._sock)
        return await asyncio.open_unix_connection(sock=sock)


async def read(reader: asyncio.StreamReader, count: int) -> list[dict[str, object]]:
    """So many messages, fewer when the line ends."""
    decoder, found = Decoder(), list[dict[str, object]]()
    async with asyncio.timeout(5):
        while len(found) < count and (data := await reader.read(65_536)):
            found += decoder.feed(data)
    return found


@asynccontextmanager
async def served(here_seconds: float = 5) -> AsyncIterator[tuple[Watching, Session, Control]]:
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "a"))
        sock.listen()
        sock.setblocking(False)
        one = Watching(folder / "a", here_seconds=here_seconds)
        task = asyncio.create_task(one.run())
        await asyncio.sleep(0)
        try:
            yield one, Session(), Control(sock)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(ready: object) -> None:
    assert callable(ready)
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.01)


async def test_a_watch_says_where_it_begins_and_then_sends_what_follows() -> None:
    async with served() as (one, session, control):
        session.say(b"before")
        one.begin("wch_1", session)  # type: ignore[arg-type]
        reader, writer = await control.accept()
        (hello,) = await read(reader, 1)
        assert hello == {"v": 1, "type": "watching", "watch_id": "wch_1", "session_id": "ses_1", "position": 1}
        session.say(b"after")
        (message,) = await read(reader, 1)
        assert [(one.number, one.frame.data) for one in Assembler().feed(message)] == [(2, b"after")]
        session.feed.end("session_ended")
        (end,) = await read(reader, 1)
        assert (end["type"], end["reason"]) == ("watch_ended", "session_ended")
        assert await reader.read() == b""
        writer.close()


async def test_somebody_counts_from_his_first_sign_until_he_is_gone() -> None:
    async with served() as (one, session, control):
        one.begin("wch_1", session)  # type: ignore[arg-type]
        reader, writer = await control.accept()
        await read(reader, 1)
        assert session.changes == []
        for _ in range(2):
            writer.write(encode({"type": "here"}))
        await until(lambda: session.changes == [1])
        writer.transport.abort()
        await until(lambda: session.changes == [1, -1])


async def test_who_gives_no_sign_any_more_counts_no_longer() -> None:
    async with served(here_seconds=0.1) as (one, session, control):
        with capture_logs():
            one.begin("wch_1", session)  # type: ignore[arg-type]
            _, writer = await control.accept()
            writer.write(encode({"type": "here"}))
            await until(lambda: session.changes == [1, -1])
            writer.close()


async def test_a_line_that_stays_full_is_given_up_and_the_session_is_not_slowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "_WRITE_SECONDS", 0.2)
    async with served() as (one, session, control):
        with capture_logs():
            one.begin("wch_1", session)  # type: ignore[arg-type]
            _, writer = await control.accept()
            writer.write(encode({"type": "here"}))
            await until(lambda: session.changes == [1])
            for _ in range(100):
                session.say(bytes(50_000))  # never waits
            await until(lambda: session.changes == [1, -1])
            writer.close()


async def test_a_session_that_is_over_is_told_and_a_fault_ends_only_its_own_watch() -> None:
    async with served() as (one, session, control):
        other = Session()
        other.fault = RuntimeError("a fault")
        with capture_logs() as logs:
            one.begin("wch_0", other)  # type: ignore[arg-type]
            await until(lambda: any(entry["event"] == "watch_failed" for entry in logs))
        (await control.accept())[1].close()
        session.feed.end("session_ended")
        one.begin("wch_1", session)  # type: ignore[arg-type]
        reader, writer = await control.accept()
        (end,) = await read(reader, 1)
        assert (end["watch_id"], end["reason"]) == ("wch_1", "session_ended")
        writer.close()


async def test_without_control_and_before_the_start_nothing_begins() -> None:
    with capture_logs() as logs, short_folder() as folder:
        one = Watching(folder / "a")
        one.begin("wch_1", Session())  # type: ignore[arg-type]
        task = asyncio.create_task(one.run())
        await asyncio.sleep(0)
        one.begin("wch_1", Session())  # type: ignore[arg-type]
        await until(lambda: len(logs) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [entry["event"] for entry in logs] == ["watch_not_begun", "watch_broken"]
