"""A session under way at the stand-in: frames that a test says, and watches that a test breaks."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Final

from broker.sessions import watch_events
from recorder.frames import Frame, FrameKind
from recorder.numbered import Numbered

SESSION: Final = "ses_1"
_BEAT_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.02
_CHUNK: Final = 3


class LiveStage:
    """The frames of one live session, and who watches them. Used by the server's threads and by the test's."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.asked: list[int] = []
        self.watching = 0
        self.overlap = 0
        self.refuses = False
        self._broken = 0
        self._end = ""
        self._at_us = 0

    def put(self, kind: FrameKind, data: bytes, *, channel: int = 1, after_ms: int = 100) -> None:
        self._at_us += after_ms * 1000
        self.frames.append(Frame(kind, channel, self._at_us, data))

    def say(self, text: str, *, channel: int = 1, after_ms: int = 100) -> None:
        """The target writes."""
        self.put(FrameKind.OUTPUT, text.encode(), channel=channel, after_ms=after_ms)

    def note(self, **note: str) -> None:
        self.put(FrameKind.NOTE, json.dumps(note).encode(), channel=0)

    def break_watches(self, reason: str = "") -> None:
        """Every watch ends now: with these words, or without any like a lost line."""
        self._end = reason
        self._broken += 1

    def events(self, after: int) -> Iterator[bytes]:
        """What one watch gets. `overlap` frames come twice, as after a line that broke before its last id was read."""
        self.asked.append(after)
        self.watching += 1
        broken = self._broken
        last = max(after - self.overlap, 0)
        try:
            yield watch_events.start(SESSION, "rec_1", after)
            is_live = False
            beats = itertools.count(time.monotonic(), _BEAT_SECONDS)
            next_beat = next(beats)
            while self._broken == broken:
                new = [Numbered(number, frame) for number, frame in enumerate(self.frames, 1) if number > last]
                for at in range(0, len(new), _CHUNK):
                    yield watch_events.frames(new[at : at + _CHUNK])
                last = max(last, len(self.frames)) if not new else new[-1].number
                if not is_live:
                    is_live = True
                    yield watch_events.live(last)
                if time.monotonic() >= next_beat:
                    next_beat = next(beats)
                    yield watch_events.beat(last)
                time.sleep(_LOOK_SECONDS)
            if self._end:
                yield watch_events.end(self._end)
        finally:
            self.watching -= 1


def a_stage() -> LiveStage:
    """A shell in which something has happened already; the password was typed and is not shown."""
    stage = LiveStage()
    stage.put(FrameKind.RESIZE, b"100x30", after_ms=0)
    stage.put(FrameKind.SHELL, b"", after_ms=10)
    stage.say("svc@line3-plc-gw01:~$ ")
    stage.put(FrameKind.INPUT, b"uptime\r")
    stage.say("uptime\r\n")
    stage.say(" 09:01:12 up 41 days, load average: 0.20\r\nsvc@line3-plc-gw01:~$ ")
    stage.note(kind="entered", text="uptime")
    stage.say("第三条线 ready\r\n", after_ms=240_000)
    return stage
