"""Hands the frames of a running session to those who watch it, outside the byte path. In one process, one loop.

A watcher joins at a frame number: frames up to `position` are read from the file, later ones come from here, so that
none is missing and none comes twice. Publishing never waits: a watcher that falls behind is dropped and told.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recorder.errors import RecordingFaultError
from recorder.frames import FRAME_HEAD_BYTES, Frame

MOST_WATCHERS: Final = 16
MOST_WAITING_BYTES: Final = 4 << 20


class FeedEndedError(RecordingFaultError):
    """No more frames come. `code`: `fell_behind` (join again from the file), `left`, or why the feed ended."""


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """Frames as they were appended; the first one has the number `first_frame`, counted from 1."""

    first_frame: int
    frames: tuple[Frame, ...]


class Watcher:
    """One subscriber. `position` is the number of frames that were on file when it joined."""

    def __init__(self, feed: "LiveFeed", position: int) -> None:
        self.position = position
        self._feed = feed
        self._waiting: deque[LiveBatch] = deque()
        self._waiting_bytes = 0
        self._end: str | None = None
        self._changed = asyncio.Event()

    async def next(self) -> LiveBatch:
        """The next batch, waiting without limit. Raises `FeedEndedError` when all is read and no more comes."""
        while not self._waiting:
            if self._end is not None:
                raise FeedEndedError(self._end, f"the live feed has ended: {self._end}")
            self._changed.clear()
            await self._changed.wait()
        batch = self._waiting.popleft()
        self._waiting_bytes -= _weight(batch)
        return batch

    def leave(self) -> None:
        """Stop watching. May be called twice."""
        self._feed.forget(self)
        self.end("left")

    def offer(self, batch: LiveBatch, most_waiting_bytes: int) -> bool:
        """Queue a batch; False when the watcher is too far behind, which ends it."""
        if self._waiting_bytes + _weight(batch) > most_waiting_bytes:
            self._waiting.clear()
            self.end("fell_behind")
            return False
        self._waiting.append(batch)
        self._waiting_bytes += _weight(batch)
        self._changed.set()
        return True

    def end(self, code: str) -> None:
        if self._end is None:
            self._end = code
        self._changed.set()


class LiveFeed:
    """The fan-out of one session. Call `publish` right after `RecordingWriter.append` returned."""

    def __init__(self, *, most_watchers: int = MOST_WATCHERS, most_waiting_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most_watchers = most_watchers
        self._most_waiting_bytes = most_waiting_bytes
        self._watchers: list[Watcher] = []
        self._position = 0
        self._ended: str | None = None

    @property
    def position(self) -> int:
        """How many frames were published, which is how many are on file."""
        return self._position

    def publish(self, frames: Sequence[Frame]) -> None:
        """Give recorded frames to every watcher. Never waits and never fails."""
        if not frames:
            return
        batch = LiveBatch(self._position + 1, tuple(frames))
        self._position += len(frames)
        self._watchers = [one for one in self._watchers if one.offer(batch, self._most_waiting_bytes)]

    def watch(self) -> Watcher:
        """Join now. Raises `FeedEndedError`: `too_many_watchers`, or the code with which the feed ended."""
        if self._ended is not None:
            raise FeedEndedError(self._ended, "the session is no longer live")
        if len(self._watchers) >= self._most_watchers:
            raise FeedEndedError("too_many_watchers", f"{self._most_watchers} people already watch this session")
        watcher = Watcher(self, self._position)
        self._watchers.append(watcher)
        return watcher

    def end(self, code: str) -> None:
        """The session is over: each watcher reads what is left and is then told `code`."""
        self._ended = code
        for watcher in self._watchers:
            watcher.end(code)
        self._watchers = []

    def forget(self, watcher: Watcher) -> None:
        self._watchers = [one for one in self._watchers if one is not watcher]


def _weight(batch: LiveBatch) -> int:
    return sum(FRAME_HEAD_BYTES + len(frame.data) for frame in batch.frames)
