"""What the audit trail says of one recording, and whether that part of the trail is what the witness vouches for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Session

from broker.audit import inspection
from broker.audit.chain import GENESIS, Break, verify
from broker.audit.checkpoint import Checkpoint
from broker.audit.model import AuditRecord, FieldValue
from broker.recordings.audited import AuditedRecording, told
from broker.recordings.events import RecordingAnchored, RecordingOpened, RecordingPurged
from recorder.manifest import TAG_HEAD, Counts


class Standing(StrEnum):
    """`WITNESSED`: a checkpoint vouches for every record about it. `NOT_WITNESSED`: none does yet, the links hold.

    `ALTERED`: a record between the first about it and that checkpoint is not the one that was written.
    """

    WITNESSED = "witnessed"
    NOT_WITNESSED = "not_witnessed"
    ALTERED = "altered"


@dataclass(frozen=True)
class TrailFacts:
    """The trail's word on a recording. `audited` None: it has none. `is_purged`: it tells of its tombstone."""

    audited: AuditedRecording | None
    standing: Standing
    is_purged: bool = False


def last_anchor(session: Session, recording_id: str) -> tuple[bytes, bytes] | None:
    """The signed part and the signature of the newest head that the trail holds of a recording; None when it has none.

    A record that is not as it was written is passed over.
    """
    found: tuple[bytes, bytes] | None = None
    for stored in inspection.about(session, recording_id):
        if stored.is_intact and stored.record.code == RecordingAnchored.code:
            found = _head_of(stored.record.params) or found
    return found


def _head_of(params: Mapping[str, FieldValue]) -> tuple[bytes, bytes] | None:
    numbers = [params.get(name) for name in ("batches", "frames", "bytes", "at_us")]
    chain, signature = params.get("chain_sha256"), params.get("signature")
    if not isinstance(chain, str) or not isinstance(signature, str):
        return None
    counts = [number for number in numbers if isinstance(number, int)]
    if len(counts) != len(numbers):
        return None
    batches, frames, offset, at_us = counts
    return Counts(batches, frames, offset, at_us, bytes.fromhex(chain)).pack(TAG_HEAD), bytes.fromhex(signature)


def read_trail(session: Session, recording_id: str, covering: Callable[[int], Checkpoint | None]) -> TrailFacts:
    """Read every record about a recording, and follow the chain from the first of them to the witness's checkpoint."""
    audited: AuditedRecording | None = None
    numbers: list[int] = []
    begins = ""
    is_purged = False
    for stored in inspection.about(session, recording_id):
        numbers.append(stored.record.seq)
        begins = begins or stored.record.code
        audited = told(audited, stored.record)
        is_purged = is_purged or stored.record.code == RecordingPurged.code
    if not numbers:
        return TrailFacts(None, Standing.NOT_WITNESSED)
    if begins != RecordingOpened.code:  # its first record is gone, and with it where the chain is to be followed from
        return TrailFacts(audited, Standing.ALTERED, is_purged)
    return TrailFacts(audited, _standing(session, numbers[0], numbers[-1], covering(numbers[-1])), is_purged)


def _standing(session: Session, first: int, last: int, checkpoint: Checkpoint | None) -> Standing:
    before = inspection.one(session, first - 1)
    if before is None and first > 1:
        return Standing.ALTERED
    until = checkpoint.seq if checkpoint is not None else last
    previous = before.record.hash if before is not None else GENESIS
    result = verify(_intact(session, first - 1, until), after=first - 1, previous=previous)
    if isinstance(result, Break) or result.last_seq != until:
        return Standing.ALTERED
    if checkpoint is None:
        return Standing.NOT_WITNESSED
    return Standing.WITNESSED if result.head == checkpoint.head else Standing.ALTERED


def _intact(session: Session, after: int, until: int) -> Iterator[AuditRecord]:
    """The records up to the first that is not as the appender writes them."""
    for stored in inspection.walk(session, after=after):
        if stored.record.seq > until or not stored.is_intact:
            return
        yield stored.record
