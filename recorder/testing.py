"""Builders of recordings for tests of this package and of those that read recordings. No I/O but `write_sample`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recorder.frames import Frame, FrameKind
from recorder.manifest import Head, RecordingHeader
from recorder.seal import generate_recipient
from recorder.writer import RecordingWriter, WriterSettings

NOW_MS = 1_795_165_200_000


class FixedRandom:
    """Bytes that look random and are the same every time. Never outside tests."""

    def __init__(self, seed: str = "sallyport") -> None:
        self._seed = seed
        self._calls = 0

    def __call__(self, count: int) -> bytes:
        self._calls += 1
        return hashlib.shake_256(f"{self._seed} {self._calls}".encode()).digest(count)


def sample_header(recording_id: str = "rec_06ew000000000000000000000g") -> RecordingHeader:
    return RecordingHeader(
        recording_id,
        session_id="ses_06ew000000000000000000000g",
        created_at_ms=NOW_MS,
        protocol="ssh",
        width=80,
        height=24,
        labels={"target": "plc-gateway-1", "account": "maint"},
    )


def sample_turns() -> list[list[Frame]]:
    """A short session, turn by turn: Chinese output split inside a character, a resize, a blocked command."""
    greeting = "你好 plc-1\r\n".encode()
    return [
        [Frame(FrameKind.SHELL, 0, 1_000, b""), Frame(FrameKind.RESIZE, 0, 1_000, b"100x30")],
        [Frame(FrameKind.OUTPUT, 0, 250_000, greeting[:4])],
        [Frame(FrameKind.OUTPUT, 0, 250_400, greeting[4:])],
        [Frame(FrameKind.INPUT, 0, 1_500_000, b"l"), Frame(FrameKind.OUTPUT, 0, 1_500_250, b"l")],
        [
            Frame(
                FrameKind.NOTE,
                0,
                2_000_000,
                b'{"kind":"session.command.blocked","text":"shutdown -h now","rule_id":"R7"}',
            )
        ],
        [Frame(FrameKind.ERROR_OUTPUT, 1, 3_000_001, b"warning\r\n"), Frame(FrameKind.EXIT, 1, 3_000_001, b"0")],
        [Frame(FrameKind.EOF, 0, 3_600_000_000, b"")],
    ]


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished recording and everything its readers need."""

    path: Path
    unseal_private: bytes
    signing_public: bytes
    header_sha256: bytes
    frames: list[Frame]
    head: Head


def write_sample(
    path: Path,
    turns: Sequence[Sequence[Frame]] | None = None,
    *,
    settings: WriterSettings | None = None,
    header: RecordingHeader | None = None,
) -> Sample:
    """Write and seal a recording; the bytes are the same every time."""
    random = FixedRandom()
    private, public = generate_recipient(random)
    writer = RecordingWriter.create(
        path,
        header=header or sample_header(),
        recipient_public=public,
        now_ms=NOW_MS,
        random=random,
        settings=settings or WriterSettings(head_every_batches=3),
    )
    chosen = sample_turns() if turns is None else turns
    for turn in chosen:
        writer.append(turn)
    head = writer.seal("session_ended", NOW_MS + 3_600_000)
    frames = [frame for turn in chosen for frame in turn]
    return Sample(path, private, writer.signing_public, writer.header_sha256, frames, head)
