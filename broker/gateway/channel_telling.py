"""Pure: what recording, trail and engineer are told of one channel, and what all channels of a session see of it."""

import json
from dataclasses import dataclass
from typing import Final

from broker.gateway import contract as c
from broker.gateway.permits import SessionPermit
from recorder.frames import Frame, FrameKind

_REPORTED_CHARS: Final = 2_000  # an event is bounded; the recording holds the whole text


@dataclass(slots=True)
class Shared:
    """What all channels of a session see of it."""

    permit: SessionPermit
    started_us: int
    ends_wall_ms: int = 0
    frozen: bool = False
    held_because: str = ""
    recording: bool = True

    def elapsed_us(self, now: c.Moment) -> int:
        """The recording's clock."""
        return max(now.boot_us - self.started_us, 0)


@dataclass(frozen=True, slots=True)
class Telling:
    """Frames, notes, reports and our own lines of the channel with this number."""

    number: int
    shared: Shared

    def say(self, words: str, now: c.Moment) -> list[c.Command]:
        """A line of our own for the engineer; the recording tells that it was shown."""
        shown = f"Sallyport: {words}"
        return [*self.note("message", now, text=shown), c.Message(self.number, shown)]

    def frame(self, kind: FrameKind, data: bytes, now: c.Moment) -> Frame:
        return Frame(kind, self.number, self.shared.elapsed_us(now), data)

    def note(self, what: str, now: c.Moment, **params: str | int) -> list[c.Command]:
        """A fact for who reads the recording; nothing when the session is not recorded."""
        return self.noted(json.dumps({"kind": what, **params}, ensure_ascii=False).encode(), now)

    def noted(self, data: bytes, now: c.Moment) -> list[c.Command]:
        """As `note`, of a fact in its bytes."""
        return [c.Record((self.frame(FrameKind.NOTE, data, now),))] if self.shared.recording else []

    def report(self, code: str, **params: str) -> c.Command:
        """A fact for the audit trail, each text cut to what an event holds."""
        bounded = {name: value[:_REPORTED_CHARS] for name, value in params.items()}
        return c.Report(code, {"channel": self.number, **bounded})
