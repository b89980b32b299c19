"""Which recordings the trail says were lawfully destroyed, judged event by event. Pure.

A recording may be missing only when the trail holds its signed tombstone, and before it: an ask by one person, the
confirmation by another, no hold that stood, and 180 days since the recording began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.audit.model import AuditRecord, FieldValue
from broker.recordings.audited import AuditedRecording
from broker.recordings.events import (
    PurgeAsked,
    PurgeConfirmed,
    RecordingHoldLifted,
    RecordingHoldPlaced,
    RecordingPurged,
)
from recorder.errors import DamagedRecordingError
from recorder.tombstone import LEAST_KEPT_DAYS, Tombstone, of_fields

CODES: Final = frozenset(
    one.code for one in (PurgeAsked, PurgeConfirmed, RecordingHoldLifted, RecordingHoldPlaced, RecordingPurged)
)
_LEAST: Final = timedelta(days=LEAST_KEPT_DAYS)
_ABOUT: Final = timedelta(minutes=5)
Kind = Literal["forged_tombstone", "purge_not_confirmed", "purged_on_hold", "purged_too_early", "altered_facts"]


@dataclass(frozen=True)
class Judged:
    """What the trail's tombstone of a recording is worth. `kind` and `message` are None when the purge was lawful."""

    tombstone: Tombstone | None
    kind: Kind | None = None
    message: str | None = None


class Purges:
    """Follows holds and purges through the trail. `checkpoint_public` is the key that signs tombstones."""

    def __init__(self, checkpoint_public: bytes | None) -> None:
        self._public = checkpoint_public
        self._began: dict[str, datetime] = {}
        self._holds: dict[str, set[FieldValue]] = {}
        self._asked: dict[str, str] = {}
        self._confirmed: dict[str, tuple[str, FieldValue]] = {}
        self.judged: dict[str, Judged] = {}

    def began(self, recording_id: str, at: datetime) -> None:
        """The trail tells of a recording for the first time."""
        self._began.setdefault(recording_id, at)

    def take(self, record: AuditRecord, recording: AuditedRecording | None) -> None:
        """The next event whose code is one of `CODES`, and what the trail said of its recording so far."""
        match record.code:
            case RecordingHoldPlaced.code:
                self._holds.setdefault(record.subject, set()).add(record.params.get("hold_id"))
            case RecordingHoldLifted.code:
                self._holds.get(record.subject, set()).discard(record.params.get("hold_id"))
            case PurgeAsked.code:
                self._asked.setdefault(record.subject, record.actor)
            case PurgeConfirmed.code:
                self._confirmed.setdefault(record.subject, (record.actor, record.params.get("asked_by")))
            case _:
                self.judged.setdefault(record.subject, self._judge(record, recording))

    def _judge(self, record: AuditRecord, recording: AuditedRecording | None) -> Judged:
        try:
            tombstone, signature = _tombstone_of(record)
            if self._public is None:
                raise ValueError("there is no checkpoint key to check it with")
            tombstone.check(signature, self._public)
        except (ValueError, DamagedRecordingError) as error:
            return Judged(None, "forged_tombstone", f"its tombstone on the trail is not one of this site ({error})")
        kind, message = self._why_not(record, tombstone, recording) or (None, None)
        return Judged(tombstone, kind, message)

    def _why_not(
        self, record: AuditRecord, tombstone: Tombstone, recording: AuditedRecording | None
    ) -> tuple[Kind, str] | None:
        asker = self._asked.get(tombstone.purge_id)
        if asker != tombstone.asked_by or self._confirmed.get(tombstone.purge_id) != (record.actor, asker):
            return "purge_not_confirmed", "the trail does not say that two people agreed to destroy it"
        if self._holds.get(record.subject):
            return "purged_on_hold", "it was destroyed while a hold stood"
        began = self._began.get(record.subject)
        said = record.at.timestamp() - tombstone.purged_at_ms / 1000
        if began is None or record.at - began < _LEAST or abs(said) > _ABOUT.total_seconds():
            return "purged_too_early", f"it was destroyed before {LEAST_KEPT_DAYS} days had passed"
        if recording is None or not _is_same(tombstone, recording):
            return "altered_facts", "its tombstone tells of another recording than the trail does"
        return None


def _tombstone_of(record: AuditRecord) -> tuple[Tombstone, bytes]:
    told: dict[str, FieldValue] = dict(record.params)
    signature = told.pop("signature", None)
    if not isinstance(signature, str):
        raise ValueError("it has no signature")
    return of_fields({**told, "recording_id": record.subject, "confirmed_by": record.actor}), bytes.fromhex(signature)


def _is_same(tombstone: Tombstone, recording: AuditedRecording) -> bool:
    facts: Mapping[str, bytes | None] = {
        tombstone.signing_key: recording.signing_public,
        tombstone.header_sha256: recording.header_sha256,
    }
    head = recording.head_sha256.hex() if recording.head_sha256 is not None else None
    return (
        recording.is_readable
        and tombstone.state == recording.end
        and tombstone.head_sha256 == head
        and all(known is not None and known.hex() == said for said, known in facts.items())
    )
