"""Exports: asciicast v2 for players, and the list of commands and notes for a side panel. Pure.

Format: https://docs.asciinema.org/manual/asciicast/v2/. The sealed frames are the evidence; a cast is a copy for eyes.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, assert_never

import orjson

from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader

MOST_MARKERS: Final = 200
"""A player builds one element for each marker and stops responding at tens of thousands."""

_MOST_LABEL_CHARACTERS: Final = 200
_DEFAULT_COLUMNS: Final = 80
_DEFAULT_ROWS: Final = 24

_Stream = tuple[int, FrameKind]


def to_asciicast_v2(
    header: RecordingHeader,
    frames: Iterable[Frame],
    *,
    idle_limit_seconds: float | None = None,
    channel: int | None = None,
    title: str | None = None,
    encoding: str = "utf-8",
    most_markers: int = MOST_MARKERS,
) -> Iterator[str]:
    """The lines of an asciicast v2 file, each with its line feed.

    Only OUTPUT and ERROR_OUTPUT become `o` events, RESIZE becomes `r`, NOTE `m`; what was typed is left out, and so is
    the output of a channel that carries a subsystem (file content is nothing for a terminal).
    `idle_limit_seconds` is handed to the player as `idle_time_limit`, None for no limit; event times always stay raw,
    so that they fit `command_events`. `channel` picks one channel, None all; notes of every channel are always in.
    `encoding` is how the target speaks (for example `gb18030`). A character split across frames appears with the frame
    that completes it; bytes that are none become U+FFFD. Notes after `most_markers` are left out here.
    """
    yield _header_line(header, idle_limit_seconds, title)
    decoders: dict[_Stream, codecs.IncrementalDecoder] = {}
    subsystems: set[int] = set()
    markers = 0
    last_us = 0
    for frame in frames:
        last_us = frame.at_us
        if channel is not None and frame.channel != channel and frame.kind is not FrameKind.NOTE:
            continue
        match frame.kind:
            case FrameKind.OUTPUT if frame.channel in subsystems:
                pass
            case FrameKind.SUBSYSTEM:
                subsystems.add(frame.channel)
            case FrameKind.OUTPUT | FrameKind.ERROR_OUTPUT:
                stream = (frame.channel, frame.kind)
                if stream not in decoders:
                    decoders[stream] = codecs.getincrementaldecoder(encoding)("replace")
                yield from _event(frame.at_us, "o", decoders[stream].decode(frame.data))
            case FrameKind.RESIZE:
                yield from _event(frame.at_us, "r", frame.data.decode("ascii", "replace"))
            case FrameKind.NOTE:
                markers += 1
                if markers <= most_markers:
                    yield from _event(frame.at_us, "m", _label(frame.data))
            case FrameKind.EXEC | FrameKind.SHELL | FrameKind.EXIT | FrameKind.EOF:
                pass
            case FrameKind.INPUT | FrameKind.MASKED_INPUT | FrameKind.ECHOED_INPUT:
                pass
            case _:
                assert_never(frame.kind)
    for decoder in decoders.values():
        yield from _event(last_us, "o", decoder.decode(b"", final=True))


def _header_line(header: RecordingHeader, idle_limit_seconds: float | None, title: str | None) -> str:
    value: dict[str, object] = {
        "version": 2,
        "width": header.width or _DEFAULT_COLUMNS,
        "height": header.height or _DEFAULT_ROWS,
        "timestamp": header.created_at_ms // 1000,
        "title": header.recording_id if title is None else title,
    }
    if idle_limit_seconds is not None:
        value["idle_time_limit"] = idle_limit_seconds
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode()


def _event(at_us: int, code: str, text: str) -> Iterator[str]:
    if text:
        yield orjson.dumps([at_us / 1_000_000, code, text], option=orjson.OPT_APPEND_NEWLINE).decode()


@dataclass(frozen=True, slots=True)
class CommandEvent:
    """One entry of the list beside a player. `at_us` is raw recording time.

    `kind` is `exec`, `shell`, `subsystem` or the note's own kind, for example `blocked` or `file`.
    """

    at_us: int
    channel: int
    kind: str
    text: str
    rule_id: str | None

    @property
    def at_ms(self) -> int:
        return self.at_us // 1000


def command_events(frames: Iterable[Frame]) -> Iterator[CommandEvent]:
    """Every EXEC, SHELL, SUBSYSTEM and NOTE frame with its time, none left out.

    A note is a JSON object with `kind` (or `code`), `text` (or `command`, `message`) and perhaps `rule_id`; anything
    else is shown as it is, as kind `note`.
    """
    for frame in frames:
        if frame.kind in (FrameKind.EXEC, FrameKind.SHELL, FrameKind.SUBSYSTEM):
            text = frame.data.decode("utf-8", "replace")
            yield CommandEvent(frame.at_us, frame.channel, frame.kind.name.lower(), text, rule_id=None)
        elif frame.kind is FrameKind.NOTE:
            kind, text, rule_id = _read_note(frame.data)
            yield CommandEvent(frame.at_us, frame.channel, kind, text, rule_id)


def _read_note(data: bytes) -> tuple[str, str, str | None]:
    raw = data.decode("utf-8", "replace")
    try:
        value: object = orjson.loads(data)
    except ValueError:
        return "note", raw, None
    if not isinstance(value, dict):
        return "note", raw, None
    kind = _first_text(value, "kind", "code")
    text = _first_text(value, "text", "command", "message")
    return kind or "note", (raw if kind is None else "") if text is None else text, _first_text(value, "rule_id")


def _first_text(value: dict[str, object], *names: str) -> str | None:
    return next((found for name in names if isinstance(found := value.get(name), str)), None)


def _label(data: bytes) -> str:
    kind, text, _ = _read_note(data)
    return (f"{kind}: {text}" if text else kind)[:_MOST_LABEL_CHARACTERS]
