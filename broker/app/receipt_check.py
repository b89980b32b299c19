"""The receipts that a site keeps, against what the trail says of them and of their recordings. Reads only."""

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from broker.audit.model import AuditRecord
from broker.receipts.events import ReceiptReceived, ReceiptRefused
from broker.recordings.audited import AuditedRecording
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import HeadFacts, Receipt, read

CODES: Final = frozenset((ReceiptReceived.code, ReceiptRefused.code))
_KEPT: Final = text(
    "SELECT session_receipts.session_id, session_receipts.line, devices.public_key FROM session_receipts "
    "JOIN devices ON devices.id = session_receipts.device_id WHERE session_receipts.line IS NOT NULL "
    "ORDER BY session_receipts.session_id"
)
Finding = tuple[str, str, str]
"""Kind, place (the session) and words."""


class Receipts:
    """What the trail says: which line was kept for each session."""

    def __init__(self) -> None:
        self._sha256: dict[str, str] = {}

    def take(self, record: AuditRecord) -> None:
        """The next event whose code is one of `CODES`."""
        self._sha256.setdefault(record.subject, str(record.params.get("receipt_sha256")))

    def against(self, session: Session, recordings: Mapping[str, AuditedRecording]) -> Iterator[Finding]:
        """What is wrong with the receipts in the database, session by session."""
        try:
            rows = [tuple(row) for row in session.connection().execute(_KEPT)]
        except (DBAPIError, UnicodeDecodeError):
            yield "unreadable", "receipts", "the receipts in the database cannot be read"
            return
        left = dict(self._sha256)
        for session_id, line, device_key in rows:
            expected = left.pop(str(session_id), None)
            found = _wrong(bytes(line), bytes(device_key), expected, recordings)
            if found is not None:
                yield found[0], str(session_id), found[1]
        for session_id in sorted(left):
            yield "missing", session_id, "the trail tells of a receipt that is not there any more"


def _wrong(
    line: bytes, device_key: bytes, expected: str | None, recordings: Mapping[str, AuditedRecording]
) -> tuple[str, str] | None:
    try:
        signed = read(line)
    except ReceiptError as error:
        return "altered", str(error)
    if signed.device_key != device_key:
        return "wrong_key", "it is signed by another key than its device's"
    if expected is None:
        return "not_audited", "the trail does not tell of this receipt"
    if expected != signed.sha256:
        return "altered", "it is not the receipt that the trail tells of"
    if signed.receipt.refusal:
        return None
    recording = recordings.get(signed.receipt.recording_id)
    if recording is None or not _agrees(signed.receipt, recording):
        return "contradicted", "its device vouched for another recording than the trail tells of"
    return None


def _agrees(receipt: Receipt, recording: AuditedRecording) -> bool:
    header = recording.header_sha256.hex() if recording.header_sha256 is not None else ""
    if (receipt.signing_key, receipt.header_sha256) != (recording.signing_public.hex(), header):
        return False
    try:
        head = receipt.head_facts()
    except ReceiptError:
        return False
    return head is None or _holds(head, recording)


def _holds(head: HeadFacts, recording: AuditedRecording) -> bool:
    if head.is_sealed:
        return (recording.end, recording.batches, recording.head_sha256) == ("sealed", head.batches, head.chain_sha256)
    return recording.anchors.get(head.batches) == head.chain_sha256
