"""Frames: what happened in a session, one fact each, and their bytes inside a batch. Pure.

Wire form in `docs/recording-format.md` §4: kind u8 | channel u32 | at_us u64 | length u32 | data, big-endian.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from recorder.errors import DamagedRecordingError, RecordingError

MAX_BATCH_BYTES: Final = 1 << 20
"""Plain bytes of one batch, frame heads included. Bounds the memory of every writer and reader."""

_HEAD: Final = Struct(">BIQI")
FRAME_HEAD_BYTES: Final = _HEAD.size
_MAX_AT_US: Final = (1 << 63) - 1
_MAX_CHANNEL: Final = (1 << 32) - 1


class FrameKind(IntEnum):
    """What a frame tells. The numbers are part of the file format."""

    OUTPUT = 1
    INPUT = 2
    ERROR_OUTPUT = 3
    RESIZE = 4
    EXEC = 5
    SHELL = 6
    EXIT = 7
    NOTE = 8
    EOF = 9
    SUBSYSTEM = 10
    MASKED_INPUT = 11
    ECHOED_INPUT = 12


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded fact.

    `channel` numbers the session's channels; `at_us` is microseconds since the recording began, by a monotonic clock.
    `data` is the bytes as seen for OUTPUT, ERROR_OUTPUT and INPUT, `b"80x24"` for RESIZE, the command for EXEC, the
    decimal status for EXIT and a JSON object for NOTE. SUBSYSTEM (data: its name, `b"sftp"`) says that the channel
    carries a protocol of programs and not a terminal's text. MASKED_INPUT is what was typed at a terminal, sealed by
    `masking.Mask`; ECHOED_INPUT repeats keys in clear once the screen has shown them.
    """

    kind: FrameKind
    channel: int
    at_us: int
    data: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.channel <= _MAX_CHANNEL:
            raise ValueError(f"channel {self.channel} does not fit 32 bits")
        if not 0 <= self.at_us <= _MAX_AT_US:
            raise ValueError(f"at_us {self.at_us} is negative or too large")


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """The plain bytes of one batch.

    Raises `RecordingError`: `empty_batch`, `batch_too_large`, or `time_runs_back` when a frame is older than the one
    before it.
    """
    if not frames:
        raise RecordingError("empty_batch", "a batch needs at least one frame")
    parts: list[bytes] = []
    total = 0
    before_us = 0
    for frame in frames:
        if frame.at_us < before_us:
            raise RecordingError("time_runs_back", f"frame at {frame.at_us} us follows one at {before_us} us")
        before_us = frame.at_us
        total += FRAME_HEAD_BYTES + len(frame.data)
        parts.append(_HEAD.pack(frame.kind, frame.channel, frame.at_us, len(frame.data)))
        parts.append(frame.data)
    if total > MAX_BATCH_BYTES:
        raise RecordingError("batch_too_large", f"a batch of {total} bytes is over the limit of {MAX_BATCH_BYTES}")
    return b"".join(parts)


def decode_frames(plain: bytes) -> Iterator[Frame]:
    """The frames of one batch. Raises `DamagedRecordingError("bad_frames")` unless `plain` is exactly whole frames."""
    position = 0
    while position < len(plain):
        end_of_head = position + FRAME_HEAD_BYTES
        if end_of_head > len(plain):
            raise DamagedRecordingError("bad_frames", "a frame is cut short inside its batch")
        kind, channel, at_us, length = _HEAD.unpack_from(plain, position)
        end = end_of_head + length
        if end > len(plain):
            raise DamagedRecordingError("bad_frames", "a frame is longer than its batch")
        try:
            frame = Frame(FrameKind(kind), channel, at_us, plain[end_of_head:end])
        except ValueError as error:
            raise DamagedRecordingError("bad_frames", f"a frame is not valid: {error}") from error
        yield frame
        position = end
