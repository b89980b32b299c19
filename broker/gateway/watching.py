"""Sends the frames of watched sessions to control: each watch on a connection of its own, so that a viewer who is slow
slows neither the session nor control's orders.

The first message says how many frames are on file (`position`); every later frame follows by its number. Control says
`here` every few seconds for as long as its viewer takes what is sent: a watch without it is over, and so is one whose
line stays full. Nothing is kept for a viewer who comes back: he reads the file up to his next position.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from broker.gateway.driver import SessionDriver
from recorder.live import FeedEndedError, Watcher
from recorder.numbered import to_messages
from spa_knock.link.framing import Decoder, FramingError, encode

HERE_SECONDS: Final = 12.0
_CONNECT_SECONDS: Final = 3.0
_WRITE_SECONDS: Final = 10.0
_READ_BYTES: Final = 4_096
_MOST: Final = 256

_log = structlog.get_logger("gateway.watching")


class Watching:
    """All watches of this gateway. `run` must be running for any to begin."""

    def __init__(self, path: Path, *, here_seconds: float = HERE_SECONDS) -> None:
        """`path` is control's `authority` socket."""
        self._path = path
        self._here_seconds = here_seconds
        self._tasks: asyncio.TaskGroup | None = None
        self._count = 0

    async def run(self) -> None:
        """Serves until cancelled; every watch ends with it."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def begin(self, watch_id: str, session: SessionDriver) -> None:
        """Sends this session's frames to control from now on. Nothing happens when there are too many watches."""
        if self._tasks is None or self._count >= _MOST:
            _log.warning("watch_not_begun", session_id=session.session_id)
            return
        self._count += 1
        self._tasks.create_task(self._serve(watch_id, session))

    async def _serve(self, watch_id: str, session: SessionDriver) -> None:
        writer: asyncio.StreamWriter | None = None
        watcher: Watcher | None = None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path)
            watcher = session.watch()
            hello = {"type": "watching", "watch_id": watch_id, "session_id": session.session_id}
            writer.write(encode({**hello, "position": watcher.position}))
            await self._until_one_ends(reader, writer, watcher, session)
        except FeedEndedError as ended:
            if writer is not None:
                _tell_end(writer, watch_id, ended.code)
        except (OSError, TimeoutError, FramingError) as error:
            _log.info("watch_broken", session_id=session.session_id, error=str(error))
            if writer is not None:
                writer.transport.abort()
        except Exception:  # noqa: BLE001 - the edge: a fault in one watch must not end the others
            _log.exception("watch_failed", session_id=session.session_id)
        finally:
            self._count -= 1
            if watcher is not None:
                watcher.leave()
            if writer is not None:
                writer.close()  # what is buffered may still leave; nothing waits for it

    async def _until_one_ends(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watcher: Watcher, session: SessionDriver
    ) -> None:
        """Raises what ended it: FeedEndedError when the frames did, OSError or TimeoutError when the line did."""
        sending = asyncio.ensure_future(_send(writer, watcher))
        listening = asyncio.ensure_future(self._listen(reader, session))
        try:
            done, _ = await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, listening):
                task.cancel()
            await asyncio.gather(sending, listening, return_exceptions=True)
        for task in done:
            task.result()

    async def _listen(self, reader: asyncio.StreamReader, session: SessionDriver) -> None:
        decoder = Decoder()
        is_here = False
        try:
            while True:
                async with asyncio.timeout(self._here_seconds):
                    data = await reader.read(_READ_BYTES)
                if not data:
                    return
                decoder.feed(data)
                if not is_here:
                    is_here = True
                    session.watchers_changed(by=1)
        finally:
            if is_here:
                session.watchers_changed(by=-1)


async def _send(writer: asyncio.StreamWriter, watcher: Watcher) -> None:
    while True:
        batch = await watcher.next()
        for message in to_messages(batch.first_frame, batch.frames):
            writer.write(encode(message))
            async with asyncio.timeout(_WRITE_SECONDS):
                await writer.drain()


def _tell_end(writer: asyncio.StreamWriter, watch_id: str, code: str) -> None:
    if not writer.is_closing():
        writer.write(encode({"type": "watch_ended", "watch_id": watch_id, "reason": code}))
