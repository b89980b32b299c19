"""Watches of live sessions: history from the recording's file, then live frames from the session's gateway, by number.

A gateway sends the frames of each watch on a connection of its own. Nothing is queued here: a viewer who reads slowly
stops this side's reading, then the gateway's queue for this one watch fills, and the gateway drops it. As long as the
viewer takes what is sent, the gateway is told so (`here`): only then he counts as somebody who watches.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog

from broker.kernel.errors import SallyportError
from broker.recordings.service import RecordingService
from broker.sessions import errors, watch_events
from broker.sessions.event_stream import Write
from broker.sessions.live import LiveSessions, Watch
from broker.sessions.messages import Message
from recorder.errors import RecordingFaultError
from recorder.numbered import MESSAGE_TYPE, Assembler, FrameLineError, InOrder, Numbered
from spa_knock.link.framing import Decoder, FramingError, encode

MOST_WATCHES: Final = 64
ARRIVAL_SECONDS: Final = 5.0
BEAT_SECONDS: Final = 4.0
_READERS: Final = 2
_CHUNK_FRAMES: Final = 512
_CHUNK_BYTES: Final = 131_072
_READ_BYTES: Final = 65_536

_log = structlog.get_logger("control.watching")


class LineEnded(Exception):
    """No more frames come on this line; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FrameLine:
    """One gateway connection that carries the frames of one watch."""

    def __init__(
        self, position: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: Decoder
    ) -> None:
        """`position` is how many frames were on file when the gateway began."""
        self.position = position
        self.closed = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._decoder = decoder
        self._assembler = Assembler()
        self._waiting: list[Message] = []

    def put(self, messages: list[Message]) -> None:
        """Messages that were read together with the first one."""
        self._waiting += messages

    async def next(self) -> list[Numbered]:
        """The next frames. Raises LineEnded, FrameLineError or FramingError. May be cancelled and repeated."""
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if message.get("type") != MESSAGE_TYPE:
                    raise LineEnded(_end_of(message))
                if found := self._assembler.feed(message):
                    return found
            try:
                data = await self._reader.read(_READ_BYTES)
            except ConnectionError:  # the gateway gave up with something of ours unread: it is not the viewer who left
                raise LineEnded("lost") from None
            if not data:
                raise LineEnded("lost")
            self._waiting += self._decoder.feed(data)

    def here(self) -> None:
        """Tell the gateway that somebody reads."""
        if not self._writer.is_closing():
            self._writer.write(encode({"type": "here"}))

    def close(self) -> None:
        self._writer.transport.abort()
        self.closed.set()


class Watching:
    """Every watch of the site. `run` and `take` belong to one event loop; `watchers` may be asked from any thread."""

    def __init__(
        self, live: LiveSessions, recordings: RecordingService, *, most: int = MOST_WATCHES, beat: float = BEAT_SECONDS
    ) -> None:
        self._live = live
        self._recordings = recordings
        self._most = most
        self._beat = beat
        self._expected: dict[str, asyncio.Future[FrameLine]] = {}
        self._present: dict[str, Watch] = {}
        self._running: set[asyncio.Task[Any]] = set()
        # Few and of their own: checking a long recording's seals must not keep a gateway's question waiting.
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="watch-history")

    def watchers(self, session_id: str) -> list[tuple[str, str]]:
        """Who watches a session now: ids and names, each person once."""
        present = [one for one in list(self._present.values()) if one.session.id == session_id]
        return list({one.person_id: (one.person_id, one.person_name) for one in present}.values())

    def check_room(self) -> None:
        """Raises TooMany `sessions.too_many_watches`."""
        if len(self._present) >= self._most:
            raise errors.too_many_watches()

    def stop(self) -> None:
        """End every watch: the process is about to stop."""
        for task in self._running:
            task.cancel()

    async def run(self, watch: Watch, allowed: Callable[[], bool], write: Write) -> None:
        """Show a session until it ends, its viewer leaves or may not see it any more; then enter the end of the watch.

        `allowed` is asked every few seconds, in a thread. What goes wrong is told to the viewer as the reason of the
        end; cancelling means that the viewer has left.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._running.add(task)
        self._present[watch.watch_id] = watch
        order, reason = InOrder(watch.after_frame), "left"
        try:
            reason = await self._shown(watch, order, allowed, write)
        finally:
            self._running.discard(task)
            self._present.pop(watch.watch_id, None)
            await _to_its_end(asyncio.to_thread(self._live.end_watch, watch, reason, order.last))
        await write(watch_events.end(reason))

    async def take(
        self,
        hello: Message,
        others: list[Message],
        decoder: Decoder,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve a connection on which a gateway sends the frames of a watch, until that watch is over."""
        position = hello.get("position", 0)
        expected = self._expected.get(str(hello.get("watch_id")))
        if expected is None or expected.done() or type(position) is not int or position < 0:
            _log.warning("watch_not_expected", watch_id=str(hello.get("watch_id"))[:40])
            return
        line = FrameLine(position, reader, writer, decoder)
        line.put([hello, *others] if hello.get("type") == "watch_ended" else others)
        expected.set_result(line)
        await line.closed.wait()

    async def _shown(self, watch: Watch, order: InOrder, allowed: Callable[[], bool], write: Write) -> str:
        """Why it ended."""
        line: FrameLine | None = None
        try:
            await write(watch_events.start(watch.session.id, watch.session.recording_id, watch.after_frame))
            line = await self._line(watch)
            line.here()
            await self._show_history(watch, order, line, write)
            await write(watch_events.live(order.last))
            return await self._show_live(order, line, allowed, write)
        except LineEnded as ended:
            return ended.code
        except (SallyportError, RecordingFaultError) as error:
            _log.warning("watch_failed", session_id=watch.session.id, code=error.code)
            return error.code
        except FramingError:
            return "malformed"
        except (OSError, TimeoutError):
            return "viewer_silent"
        finally:
            if line is not None:
                line.close()

    async def _line(self, watch: Watch) -> FrameLine:
        expected: asyncio.Future[FrameLine] = asyncio.get_running_loop().create_future()
        self._expected[watch.watch_id] = expected
        try:
            self._live.ask_for_frames(watch)
            async with asyncio.timeout(ARRIVAL_SECONDS):
                return await expected
        except TimeoutError:
            raise errors.gateway_silent() from None
        finally:
            self._expected.pop(watch.watch_id, None)

    async def _show_history(self, watch: Watch, order: InOrder, line: FrameLine, write: Write) -> None:
        order.last = min(order.last, line.position)
        if order.last == line.position:
            return
        loop = asyncio.get_running_loop()
        frames = await loop.run_in_executor(self._readers, self._recordings.frames_so_far, watch.session.recording_id)
        numbered = (Numbered(number, frame) for number, frame in enumerate(frames, 1) if number > order.last)
        said_at = time.monotonic()
        while order.last < line.position:
            chunk = await loop.run_in_executor(self._readers, _chunk, numbered, line.position)
            if not chunk:
                raise FrameLineError("gap", "the file holds fewer frames than the gateway has written")
            if data := watch_events.frames(order.take(chunk)):
                await write(data)
            if time.monotonic() - said_at >= self._beat / 2:
                said_at = time.monotonic()
                line.here()

    async def _show_live(self, order: InOrder, line: FrameLine, allowed: Callable[[], bool], write: Write) -> str:
        next_beat = time.monotonic()
        while True:
            left = next_beat - time.monotonic()
            if left <= 0:
                if not await asyncio.to_thread(allowed):
                    return "signed_out"
                await write(watch_events.beat(order.last))
                line.here()
                next_beat = time.monotonic() + self._beat
                continue
            try:
                async with asyncio.timeout(left):
                    found = await line.next()
            except TimeoutError:
                continue
            if data := watch_events.frames(order.take(found)):
                await write(data)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Carry this through, also when the caller is cancelled meanwhile: a viewer may leave while the process stops."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _chunk(numbered: Iterator[Numbered], last: int) -> list[Numbered]:
    """The next frames of the file, not beyond number `last`."""
    chunk: list[Numbered] = []
    size = 0
    for one in numbered:
        chunk.append(one)
        size += len(one.frame.data)
        if one.number >= last or size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_FRAMES:
            break
    return chunk


def _end_of(message: Message) -> str:
    return str(message.get("reason", "lost"))[:40] if message.get("type") == "watch_ended" else "malformed"
