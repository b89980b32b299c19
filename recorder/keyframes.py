"""Where a replay can begin: keyframes, and the silences between outputs. Pure.

A recording is cut into chunks: each begins with a keyframe (the screen as text) and holds the outputs up to the next. A
chunk starts only where no character and no control sequence is cut, so that it can be shown by itself. Playing on from
a keyframe shows what playing from the beginning shows, also when the window changes: the page under a full-screen
program can be told only in the window's present size, so a chunk begins when that changes and when such a page is seen
again.
"""

import codecs
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Final

from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader
from recorder.screen import Screen

CHUNK_EVENTS: Final = 500
CHUNK_BYTES: Final = 128 * 1024
CHUNK_US: Final = 120_000_000
SILENCE_US: Final = 1_000_000
BYTES_FOR_SIZES: Final = 16 << 20
"""How much text the keyframes have that are made for a new size alone; behind them chunks have their usual length."""

_VERSION: Final = 2
_MOST_OVERDUE: Final = 64  # a stream that is cut inside a character for ever does not keep chunks from ending


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch stands: enough to decrypt from there without what is before it."""

    offset: int
    batch: int
    frame: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The screen before the first output of a chunk. `place` is the batch in which that output is.

    `programs`: the channels that carry a protocol and no text by then.
    """

    at_us: int
    first_frame: int
    place: Place
    columns: int
    rows: int
    text: str
    programs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """What a replay needs to jump. `silences`: (start, length) in microseconds, each longer than a second."""

    columns: int
    rows: int
    duration_us: int
    frames: int
    keyframes: tuple[Keyframe, ...]
    silences: tuple[tuple[int, int], ...]

    def chunk_at(self, at_us: int) -> int:
        """The chunk in which the screen of this moment is found."""
        return max(bisect_right(self.keyframes, at_us, key=lambda one: one.at_us) - 1, 0)

    def to_bytes(self) -> bytes:
        """As JSON."""
        frames = [
            [*(k.at_us, k.first_frame), *_place_json(k.place), *(k.columns, k.rows, k.text), k.programs]
            for k in self.keyframes
        ]
        head = [self.columns, self.rows, self.duration_us, self.frames]
        return json.dumps({"v": _VERSION, "head": head, "keyframes": frames, "silences": self.silences}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Index":
        """Raises ValueError, TypeError or KeyError for anything but what `to_bytes` gave."""
        value = json.loads(data)
        if value["v"] != _VERSION:
            raise ValueError("an index of another version")
        keyframes = [
            Keyframe(at, first, Place(offset, batch, frame, bytes.fromhex(chain)), columns, rows, text, tuple(programs))
            for at, first, offset, batch, frame, chain, columns, rows, text, programs in value["keyframes"]
        ]
        columns, rows, duration, frames = value["head"]
        silences = tuple((start, length) for start, length in value["silences"])
        return cls(columns, rows, duration, frames, tuple(keyframes), silences)


def _place_json(place: Place) -> tuple[int, int, int, str]:
    return place.offset, place.batch, place.frame, place.chain.hex()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a player shows: `o` output or `r` a new size (`80x24`)."""

    at_us: int
    code: str
    text: str


class Shown:
    """Turns frames into events as an eye sees them: decoded, without what is typed or moved as files."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[int, FrameKind], codecs.IncrementalDecoder] = {}
        self._programs: set[int] = set()

    @property
    def is_between(self) -> bool:
        """Whether no character waits for its rest."""
        return not any(decoder.getstate()[0] for decoder in self._decoders.values())

    @property
    def programs(self) -> frozenset[int]:
        """Channels that carry a protocol and no text."""
        return frozenset(self._programs)

    def without(self, programs: Iterable[int]) -> "Shown":
        """Knows these channels already."""
        self._programs.update(programs)
        return self

    def take(self, frame: Frame) -> Event | None:
        """The event of a frame, None for what is not seen."""
        match frame.kind:
            case FrameKind.OUTPUT | FrameKind.ERROR_OUTPUT if frame.channel not in self._programs:
                stream = (frame.channel, frame.kind)
                if stream not in self._decoders:
                    self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
                text = self._decoders[stream].decode(frame.data)
                return Event(frame.at_us, "o", text) if text else None
            case FrameKind.RESIZE:
                return Event(frame.at_us, "r", frame.data.decode("ascii", "replace"))
            case FrameKind.SUBSYSTEM:
                self._programs.add(frame.channel)
                return None
            case _:
                return None


def size_of(text: str) -> tuple[int, int] | None:
    """Columns and rows of `80x24`; None for anything else."""
    columns, _, rows = text.partition("x")
    if columns.isdecimal() and rows.isdecimal() and len(text) < 12 and int(columns) and int(rows):
        return int(columns), int(rows)
    return None


@dataclass(slots=True)
class Indexer:
    """Feed it every frame with the place of its batch, in order; `index` is then the whole."""

    header: RecordingHeader
    _screen: Screen = field(init=False)
    _shown: Shown = field(default_factory=Shown)
    _keyframes: list[Keyframe] = field(default_factory=list)
    _silences: list[tuple[int, int]] = field(default_factory=list)
    _frames: int = 0
    _events: int = 0
    _bytes: int = 0
    _last_us: int = 0
    _last_seen_us: int = 0
    _text_with_above: str = ""
    _covers_another_size: bool = False
    _owes_for_size: bool = False
    _bytes_for_sizes: int = 0

    def __post_init__(self) -> None:
        self._screen = Screen(self.header.width or 80, self.header.height or 24)

    def take(self, frame: Frame, place: Place) -> None:
        """The next frame."""
        self._frames += 1
        self._last_us = frame.at_us
        if frame.kind in (FrameKind.OUTPUT, FrameKind.ERROR_OUTPUT, FrameKind.RESIZE) and self._is_due(frame.at_us):
            self._cut(frame.at_us, place)
        event = self._shown.take(frame)
        if event is None:
            return
        if event.at_us - self._last_seen_us > SILENCE_US:
            self._silences.append((self._last_seen_us, event.at_us - self._last_seen_us))
        self._last_seen_us = event.at_us
        self._events += 1
        self._bytes += len(event.text)
        if event.code == "o":
            self._screen.feed(event.text)
            self._owes_for_size |= self._covers_another_size and not self._screen.is_covering
        elif (size := size_of(event.text)) is not None:
            self._keyframes[-1] = replace(self._keyframes[-1], text=self._text_with_above)
            before = self._screen.size
            self._screen.resize(*size)
            self._owes_for_size |= self._screen.is_covering and self._screen.size != before

    def index(self) -> Index:
        """Everything so far."""
        first = self._keyframes[0] if self._keyframes else None
        columns, rows = (first.columns, first.rows) if first else (self._screen.columns, self._screen.rows)
        return Index(columns, rows, self._last_us, self._frames, tuple(self._keyframes), tuple(self._silences))

    def _is_due(self, at_us: int) -> bool:
        if not self._keyframes:
            return True
        over = max(self._events / CHUNK_EVENTS, self._bytes / CHUNK_BYTES)
        if self._owes_for_size and self._bytes_for_sizes < BYTES_FOR_SIZES:
            over = max(over, 1)
        if over < 1 and at_us - self._keyframes[-1].at_us < CHUNK_US:
            return False
        return (self._shown.is_between and self._screen.is_between) or over > _MOST_OVERDUE

    def _cut(self, at_us: int, place: Place) -> None:
        screen = self._screen
        self._text_with_above = screen.keyframe(with_above=True)
        self._covers_another_size = screen.covers_another_size
        if self._owes_for_size:
            self._bytes_for_sizes += len(self._text_with_above)
        self._owes_for_size = False
        self._keyframes.append(
            Keyframe(
                at_us,
                self._frames,
                place,
                screen.columns,
                screen.rows,
                screen.keyframe(),
                tuple(sorted(self._shown.programs)),
            )
        )
        self._events = self._bytes = 0


class Clock:
    """Raw time and the time that a player shows when silences are shortened to `limit_us`, mapped both ways.

    Both ways round-trip for every moment outside a shortened silence; inside one, shown time goes on for the limit and
    stays where the silence ends.
    """

    def __init__(self, silences: Iterable[tuple[int, int]], limit_us: int) -> None:
        long = [(start, length) for start, length in silences if length > limit_us]
        self._limit_us = limit_us
        self._ends = [start + length for start, length in long]
        self._left = list(accumulate((length - limit_us for _, length in long), initial=0))
        self._shown_ends = [end - left for end, left in zip(self._ends, self._left[1:], strict=True)]

    def to_shown(self, raw_us: int) -> int:
        """Where a raw moment is shown."""
        at = bisect_right(self._ends, raw_us)
        shown = raw_us - self._left[at]
        return min(shown, self._shown_ends[at]) if at < len(self._ends) else shown

    def to_raw(self, shown_us: int) -> int:
        """The first raw moment that is shown then."""
        return shown_us + self._left[bisect_right(self._shown_ends, shown_us)]


def events_of(frames: Iterator[Frame], programs: Iterable[int] = ()) -> Iterator[Event]:
    """The events of a chunk's frames."""
    shown = Shown().without(programs)
    for frame in frames:
        event = shown.take(frame)
        if event is not None:
            yield event
