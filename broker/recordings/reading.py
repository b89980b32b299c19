"""What a recording's file says, checked against the index. Reads only; the recorder does the work."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, assert_never

from broker.recordings.model import Details, Finding, Marker, Recording, RecordingState, Verification
from recorder.cast import command_events, to_asciicast_v2
from recorder.errors import DamagedRecordingError
from recorder.frames import Frame
from recorder.replay import Recording as RecordingFile
from recorder.report import Report, State
from recorder.verify import verify
from recorder.walk import read_front

MOST_MARKERS: Final = 10_000


def check_file(path: Path, recording: Recording, now: datetime) -> Details:
    """Verify a recording's file with the signing key, header and head that the index (and the trail) hold."""
    try:
        report = verify(path, signing_public=recording.signing_public, audited_chain=audited_chain(recording))
        is_same_file = report.state is State.DAMAGED or _header_sha256(path) == recording.header_sha256
    except OSError:
        return Details(recording, Verification(Finding.MISSING, now), None, None, None)
    kind = str(report.kind) if report.kind is not None else None
    finding = _finding(report, recording) if is_same_file else Finding.ALTERED
    if finding is Finding.ALTERED:
        verification = Verification(finding, now, report.first_bad_batch or 0, kind or "other_file")
    else:
        verification = Verification(finding, now, None, kind)
    header = report.header
    return Details(
        recording=recording,
        verification=verification,
        duration_ms=report.duration_us // 1000,
        width=header.width if header is not None else None,
        height=header.height if header is not None else None,
    )


def audited_chain(recording: Recording) -> bytes | None:
    """The chain that the trail holds for the end of a sealed recording; None while nobody vouches for an end."""
    return recording.head_sha256 if recording.state is RecordingState.SEALED else None


def cast_lines(file: RecordingFile) -> Iterator[str]:
    """The lines of asciicast v2; a file that is damaged further on ends before its damage."""
    try:
        yield from to_asciicast_v2(file.header, file.frames())
    except DamagedRecordingError:
        return


def markers(frames: Iterable[Frame]) -> list[Marker]:
    """The moments worth finding, at most 10,000; a file that is damaged further on ends before its damage."""
    found: list[Marker] = []
    with contextlib.suppress(DamagedRecordingError):
        for event in islice(command_events(frames), MOST_MARKERS):
            found.append(Marker(event.at_ms, event.kind, event.text, event.rule_id))
    return found


def _header_sha256(path: Path) -> bytes:
    with path.open("rb") as stream:
        return read_front(stream).header_sha256


def _finding(report: Report, recording: Recording) -> Finding:
    if report.header is not None and report.header.recording_id != recording.id:
        return Finding.ALTERED
    match report.state:
        case State.SEALED:
            return Finding.VERIFIED
        case State.DAMAGED:
            return Finding.ALTERED
        case State.OPEN | State.BROKEN:
            match recording.state:
                case RecordingState.SEALED:
                    return Finding.ALTERED
                case RecordingState.BROKEN:
                    return Finding.INCOMPLETE
                case RecordingState.OPEN:
                    return Finding.UNFINISHED
                case never:
                    assert_never(never)
        case other:
            assert_never(other)
