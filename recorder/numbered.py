"""Frames by their numbers: as messages between processes, and as one line without gap or repeat. Pure.

The first frame of a recording has the number 1. History from the file and live frames meet by these numbers alone.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recorder.errors import RecordingFaultError
from recorder.frames import MAX_BATCH_BYTES, Frame, FrameKind

MESSAGE_TYPE: Final = "frames"
_PIECE_BYTES: Final = 32_768
_MOST_FRAMES: Final = 256
_FIELDS: Final = 6


@dataclass(frozen=True, slots=True)
class Numbered:
    """A frame with its number in the recording."""

    number: int
    frame: Frame


class FrameLineError(RecordingFaultError):
    """What arrived is not the next part of the line. `code`: `malformed` or `gap`."""


def to_messages(first: int, frames: Sequence[Frame]) -> Iterator[dict[str, object]]:
    """These frames, the first with this number, as messages of at most about 50 kB of JSON each.

    `{"type": "frames", "frames": [[number, kind, channel, at_us, more, data_b64], …]}`; a frame that is too long for
    one message comes in pieces under the same number, `more` being true for all but its last.
    """
    rows: list[list[object]] = []
    size = 0
    for number, frame in enumerate(frames, first):
        for at in range(0, max(len(frame.data), 1), _PIECE_BYTES):
            piece = frame.data[at : at + _PIECE_BYTES]
            if rows and (size + len(piece) > _PIECE_BYTES or len(rows) >= _MOST_FRAMES):
                yield {"type": MESSAGE_TYPE, "frames": rows}
                rows, size = [], 0
            more = at + _PIECE_BYTES < len(frame.data)
            data = base64.b64encode(piece).decode("ascii")
            rows.append([number, int(frame.kind), frame.channel, frame.at_us, more, data])
            size += len(piece)
    if rows:
        yield {"type": MESSAGE_TYPE, "frames": rows}


class Assembler:
    """Turns messages back into frames; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._number: int | None = None

    def feed(self, message: Mapping[str, object]) -> list[Numbered]:
        """The frames that this message completes. Raises `FrameLineError("malformed")`."""
        rows = message.get("frames")
        if not isinstance(rows, list):
            raise FrameLineError("malformed", "a message of frames has a list of them")
        found: list[Numbered] = []
        for row in rows:
            numbered = self._row(row)
            if numbered is not None:
                found.append(numbered)
        return found

    def _row(self, row: object) -> Numbered | None:
        if not isinstance(row, list) or len(row) != _FIELDS:
            raise FrameLineError("malformed", "a frame has six fields")
        number, kind, channel, at_us, more, data = row
        if not all(type(value) is int for value in (number, kind, channel, at_us)) or number < 1:
            raise FrameLineError("malformed", "a frame's number, kind, channel and time are whole numbers")
        if type(more) is not bool or not isinstance(data, str) or self._number not in (None, number):
            raise FrameLineError("malformed", "a frame's data do not belong together")
        try:
            self._data += base64.b64decode(data, validate=True)
            if len(self._data) > MAX_BATCH_BYTES:
                raise FrameLineError("malformed", "a frame is longer than a recording takes")
            if more:
                self._number = number
                return None
            frame = Frame(FrameKind(kind), channel, at_us, bytes(self._data))
        except (binascii.Error, ValueError) as error:
            raise FrameLineError("malformed", f"a frame is not valid: {error}") from error
        self._data.clear()
        self._number = None
        return Numbered(number, frame)


class InOrder:
    """Lets every frame behind a number pass once, in order. `last` is the number of the last one that passed."""

    def __init__(self, last: int) -> None:
        self.last = last

    def take(self, found: Iterable[Numbered]) -> list[Numbered]:
        """What of these is new. Raises `FrameLineError("gap")` when one before them is missing."""
        new: list[Numbered] = []
        for numbered in found:
            if numbered.number <= self.last:
                continue
            if numbered.number != self.last + 1:
                raise FrameLineError("gap", f"frame {numbered.number} came after frame {self.last}")
            self.last = numbered.number
            new.append(numbered)
        return new
