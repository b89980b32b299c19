"""What a recording's file says, checked against trail and index. Reads only; the recorder does the work."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import BinaryIO, Final, assert_never

from broker.recordings.audited import AuditedRecording, Outcome, examine, not_good
from broker.recordings.model import Details, Finding, Marker, Recording, RecordingState, Verification
from broker.recordings.retention_model import Destroyed
from broker.recordings.trail import Standing, TrailFacts
from recorder.cast import command_events, to_asciicast_v2
from recorder.errors import DamagedRecordingError, StoreError
from recorder.frames import Frame
from recorder.manifest import FOOTER_BYTES, TAG_SEALED, decode_sealed
from recorder.replay import Recording as RecordingFile
from recorder.report import Report
from recorder.tombstone import read_line
from recorder.walk import file_size, read_ending, read_front

MOST_MARKERS: Final = 10_000


def check_file(
    opened: Callable[[], BinaryIO],
    recording: Recording,
    trail: TrailFacts,
    evidence_public: bytes | None,
    now: datetime,
) -> Details:
    """Verify a recording's file as `sallyport verify` does: with key, heads and end from the trail.

    The index must say what the trail says, and that part of the trail must be the one that was written. `opened` gives
    the file, here or in the store of objects; a store that fails is no finding about the recording.
    """
    report: Report | None = None
    try:
        with opened() as stream:
            audited = trail.audited or AuditedRecording(recording.id, b"", None, is_readable=False)
            outcome, report = examine(audited, stream, evidence_public)
    except StoreError as error:
        finding = Finding.MISSING if error.code == "not_found" else Finding.UNREACHABLE
        return Details(recording, Verification(finding, now, None, error.code, trail.standing), None, None, None)
    except OSError:
        return Details(recording, Verification(Finding.MISSING, now, trail=trail.standing), None, None, None)
    if trail.standing is Standing.ALTERED or trail.audited is None or _differs(recording, trail.audited):
        outcome = not_good(recording.id, "altered_facts", "the trail or the index is not what was written")
    finding = _finding(outcome)
    first_bad = (outcome.first_bad or 0) if finding is Finding.ALTERED else None
    kind = outcome.kind if outcome.kind is not None else _kind_of(report)
    header = report.header if report is not None else None
    return Details(
        recording=recording,
        verification=Verification(finding, now, first_bad, kind, trail.standing, _heads(outcome, trail.audited)),
        duration_ms=report.duration_us // 1000 if report is not None else None,
        width=header.width if header is not None else None,
        height=header.height if header is not None else None,
    )


def check_destroyed(
    recording: Recording, destroyed: Destroyed, trail: TrailFacts, checkpoint_public: bytes | None, now: datetime
) -> Details:
    """What is left of a recording: lawful when the site signed its tombstone and the trail tells of it."""
    finding, kind = Finding.PURGED, None
    try:
        tombstone = read_line(destroyed.line, checkpoint_public)
        if checkpoint_public is None or tombstone.recording_id != recording.id:
            finding, kind = Finding.ALTERED, "forged_tombstone"
    except DamagedRecordingError:
        finding, kind = Finding.ALTERED, "forged_tombstone"
    if trail.standing is Standing.ALTERED or not trail.is_purged:
        finding, kind = Finding.ALTERED, "altered_facts"
    return Details(recording, Verification(finding, now, None, kind, trail.standing), None, None, None)


def _differs(recording: Recording, audited: AuditedRecording) -> bool:
    index = (recording.id, recording.state.value, recording.signing_public, recording.header_sha256)
    return index != (audited.id, audited.end, audited.signing_public, audited.header_sha256) or (
        recording.head_sha256 != audited.head_sha256
    )


def _finding(outcome: Outcome) -> Finding:
    match outcome.state:
        case "sealed":
            return Finding.VERIFIED
        case "open":
            return Finding.UNFINISHED
        case "broken":
            return Finding.INCOMPLETE
        case "purged":
            return Finding.PURGED
        case "bad":
            return Finding.ALTERED
        case never:
            assert_never(never)


def _kind_of(report: Report | None) -> str | None:
    return str(report.kind) if report is not None and report.kind is not None else None


def _heads(outcome: Outcome, audited: AuditedRecording | None) -> int:
    """How many heads that the trail holds the file was found to agree with."""
    if audited is None or outcome.state == "bad":
        return 0
    return len(audited.anchors) + (audited.end == "sealed")


def is_as_recorded(opened: Callable[[], BinaryIO], recording: Recording) -> bool:
    """Whether the file is there, is this recording's and has its audited end. What lies between is not read."""
    try:
        with opened() as stream:
            header_sha256 = read_front(stream).header_sha256
            ending = read_ending(stream, file_size(stream))
            if header_sha256 != recording.header_sha256 or ending.tag is None:
                return False
            if recording.state is not RecordingState.SEALED:
                return True
            stream.seek(ending.start)
            head = decode_sealed(stream.read(), header_sha256, recording.signing_public)
            return head.chain_sha256 == recording.head_sha256
    except (DamagedRecordingError, StoreError, OSError):
        return False


def sealed_head(opened: Callable[[], BinaryIO], recording: Recording) -> tuple[bytes, bytes] | None:
    """The signed part of a sealed recording's trailer and its signature; None unless it is the audited end."""
    try:
        with opened() as stream:
            front, ending = read_front(stream), read_ending(stream, file_size(stream))
            if ending.tag != TAG_SEALED:
                return None
            stream.seek(ending.start)
            record = stream.read()
            head = decode_sealed(record, front.header_sha256, recording.signing_public)
    except (DamagedRecordingError, StoreError, OSError):
        return None
    if (front.header_sha256, head.chain_sha256) != (recording.header_sha256, recording.head_sha256):
        return None
    return record[: -(len(head.signature) + FOOTER_BYTES)], head.signature


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
