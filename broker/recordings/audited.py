"""One recording's file against what the audit trail says of it: its key, the heads told while it ran, its end.

The console and `sallyport verify` share this check. Reads only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from broker.audit.model import AuditRecord, FieldValue
from broker.recordings.events import (
    RecordingAnchored,
    RecordingBroken,
    RecordingCopied,
    RecordingOpened,
    RecordingSealed,
)
from broker.recordings.files import file_name_of
from recorder.errors import DamagedRecordingError, StoreError
from recorder.purged import tombstone_path
from recorder.report import Report, State
from recorder.stores.port import Readable, Stored, opened
from recorder.verify import verify
from recorder.walk import read_front

End = Literal["open", "sealed", "broken"]


@dataclass(frozen=True)
class AuditedRecording:
    """A recording as the trail tells it. `is_readable` is false when the trail's own words make no sense.

    `copy` is the object that was verified as this recording, None when there is none.
    """

    id: str
    signing_public: bytes
    header_sha256: bytes | None
    end: End = "open"
    head_sha256: bytes | None = None
    batches: int = 0
    is_readable: bool = True
    anchors: Mapping[int, bytes] = field(default_factory=dict)
    copy: Stored | None = None

    @classmethod
    def opened(cls, recording_id: str, params: Mapping[str, FieldValue]) -> "AuditedRecording":
        """From the event of its beginning."""
        signing, header = _hash_of(params.get("signing_key")), _hash_of(params.get("header_sha256"))
        return cls(recording_id, signing or b"", header, is_readable=signing is not None)

    def anchored(self, params: Mapping[str, FieldValue]) -> "AuditedRecording":
        """With a head that was audited while the session ran."""
        chain, batches = _hash_of(params.get("chain_sha256")), params.get("batches")
        if chain is None or not isinstance(batches, int):
            return replace(self, is_readable=False)
        return replace(self, anchors={**self.anchors, batches: chain})

    def closed(self, end: End, params: Mapping[str, FieldValue]) -> "AuditedRecording":
        """With the event of its end; the key stays that of its beginning."""
        head, batches = _hash_of(params.get("head_sha256")), params.get("batches")
        is_readable = (
            self.is_readable
            and (head is not None or end != "sealed")
            and _hash_of(params.get("signing_key")) == self.signing_public
        )
        count = batches if isinstance(batches, int) else 0
        return replace(self, end=end, head_sha256=head, batches=count, is_readable=is_readable)

    def copied(self, params: Mapping[str, FieldValue]) -> "AuditedRecording":
        """With the event of its verified copy; the first stands."""
        version, size = params.get("version"), params.get("bytes")
        if self.copy is not None or not isinstance(version, str) or not isinstance(size, int):
            return self
        return replace(self, copy=Stored(self.id, size, version))


def told(known: AuditedRecording | None, record: AuditRecord) -> AuditedRecording | None:
    """What the trail says of a recording, with one more of its records; other records change nothing."""
    match record.code:
        case RecordingOpened.code if known is None:
            return AuditedRecording.opened(record.subject, record.params)
        case RecordingAnchored.code if known is not None:
            return known.anchored(record.params)
        case RecordingCopied.code if known is not None:
            return known.copied(record.params)
        case RecordingSealed.code | RecordingBroken.code:
            end: End = "sealed" if record.code == RecordingSealed.code else "broken"
            return (known or AuditedRecording.opened(record.subject, record.params)).closed(end, record.params)
    return known


@dataclass(frozen=True)
class Outcome:
    """What checking one recording found. `kind` and `place` say what is bad and where; None when nothing is.

    `first_bad` is the number of the first batch that does not hold (0: the header), None when none can be named.
    """

    recording_id: str
    state: Literal["sealed", "open", "broken", "purged", "bad"]
    message: str
    kind: str | None = None
    place: str | None = None
    batches: int = 0
    duration_ms: int = 0
    first_bad: int | None = None


def check(
    audited: AuditedRecording, folder: Path, evidence_public: bytes | None, store: Readable | None = None
) -> Outcome:
    """Verify the file of a recording in its folder, or its copy in `store` when the file is not there any more."""
    try:
        with (folder / file_name_of(audited.id)).open("rb", buffering=1 << 18) as stream:
            return check_stream(audited, stream, evidence_public)
    except ValueError:
        return not_good(audited.id, "not_a_recording", "the trail names a recording by what is no recording's id")
    except FileNotFoundError:
        if tombstone_path(folder / file_name_of(audited.id)).exists():
            return not_good(
                audited.id, "missing", "its file is not there, and the tombstone in its place is not audited"
            )
        if store is not None and audited.copy is not None:
            return _check_copy(audited, opened(store, audited.copy), evidence_public)
        return not_good(audited.id, "missing", "the recording's file is not there")
    except OSError as error:
        return not_good(audited.id, "unreadable", f"the recording's file cannot be read ({error.strerror})")


def _check_copy(audited: AuditedRecording, stream: BinaryIO, evidence_public: bytes | None) -> Outcome:
    try:
        return check_stream(audited, stream, evidence_public)
    except StoreError as error:
        kind = "missing" if error.code == "not_found" else "unreadable"
        return not_good(audited.id, kind, f"its copy in the object store cannot be read ({error.code})")


def destroyed(audited: AuditedRecording, folder: Path, bytes_purged: int) -> Outcome:
    """The outcome of a recording that was lawfully destroyed; its file may wait for the gateway."""
    waits = (folder / file_name_of(audited.id)).exists()
    state = "its file waits for its removal" if waits else f"its file of {bytes_purged} bytes is gone"
    return Outcome(audited.id, "purged", f"lawfully destroyed, its tombstone is on the trail; {state}")


def check_stream(audited: AuditedRecording, stream: BinaryIO, evidence_public: bytes | None) -> Outcome:
    """Verify an open file as the file of this recording. Raises OSError when it cannot be read."""
    return examine(audited, stream, evidence_public)[0]


def examine(
    audited: AuditedRecording, stream: BinaryIO, evidence_public: bytes | None
) -> tuple[Outcome, Report | None]:
    """As `check_stream`, with what the file itself says (None when it was not read). Raises OSError."""
    if not audited.is_readable:
        message = "the trail's own events about the recording contradict themselves"
        return not_good(audited.id, "altered_facts", message), None
    report = verify(
        stream,
        signing_public=audited.signing_public,
        evidence_public=evidence_public,
        audited_chain=audited.head_sha256 if audited.end == "sealed" else None,
        anchors=audited.anchors,
    )
    return _outcome(audited, report, stream), report


def _outcome(audited: AuditedRecording, report: Report, stream: BinaryIO) -> Outcome:
    if report.state is State.DAMAGED:
        return _damaged(audited.id, report)
    header = report.header
    if header is None or header.recording_id != audited.id:
        return not_good(audited.id, "other_file", "the file is the recording of another session")
    if audited.header_sha256 is not None and _header_sha256(stream) != audited.header_sha256:
        return not_good(audited.id, "other_file", "the file's header is not the one that the trail holds")
    if report.batches < audited.batches:
        message = f"the trail says {audited.batches} batches, the file holds {report.batches}"
        return replace(_damaged(audited.id, report), kind="truncated", message=message)
    duration_ms = report.duration_us // 1000
    if report.state is State.SEALED and audited.end != "open":
        return Outcome(audited.id, "sealed", report.message, batches=report.batches, duration_ms=duration_ms)
    if audited.end == "sealed":
        # Every batch is there and right, but the signed trailer is gone.
        return replace(_damaged(audited.id, report), kind=str(report.kind or "missing_trailer"))
    message = "sealed, but its end is not on the trail yet" if report.state is State.SEALED else report.message
    return Outcome(audited.id, audited.end, message, batches=report.batches, duration_ms=duration_ms)


def not_good(recording_id: str, kind: str, message: str) -> Outcome:
    """An outcome that names no place within the file."""
    return Outcome(recording_id, "bad", message, kind, recording_id)


def _damaged(recording_id: str, report: Report) -> Outcome:
    batch = report.first_bad_batch if report.first_bad_batch is not None else report.batches + 1
    at_ms = (report.at_us if report.at_us is not None else report.duration_us) // 1000
    where = f"batch {batch}" if batch else "its header"
    place = f"{recording_id}, {where}, {at_ms // 1000}.{at_ms % 1000:03} s"
    kind = str(report.kind) if report.kind is not None else None
    return Outcome(recording_id, "bad", report.message, kind, place, report.batches, report.duration_us // 1000, batch)


def _header_sha256(stream: BinaryIO) -> bytes | None:
    stream.seek(0)
    try:
        return read_front(stream).header_sha256
    except DamagedRecordingError:
        return None


def _hash_of(value: FieldValue) -> bytes | None:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return found if len(found) == 32 else None
