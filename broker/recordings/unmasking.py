"""Typed input that no screen showed: read only when two auditors, each with their own key, ask for it. Audited.

Each auditor opens one part of the mask key on their own machine and hands it in; parts are kept in memory for minutes.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock
from broker.recordings import errors
from broker.recordings.events import RecordingUnmaskAsked, RecordingUnmasked, RecordingUnmaskRefused
from broker.recordings.service import RecordingService
from recorder.errors import DamagedRecordingError
from recorder.masking import HiddenInput, Unmask, hidden_inputs
from recorder.seal import SealedKey

WAIT: Final = timedelta(minutes=15)
_MOST_ASKED: Final = 64
_MOST_PIECES: Final = 10_000


@dataclass(frozen=True)
class Part:
    """One auditor's opened part of a mask key."""

    person_id: str
    at: datetime
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Unmasked:
    """What two auditors read; None while the other one is waited for."""

    pieces: list[HiddenInput] | None


class Unmasking:
    """Brings two parts together. Parts are forgotten after 15 minutes, and with the process."""

    def __init__(self, database: Database, clock: Clock, recordings: RecordingService) -> None:
        self._database = database
        self._clock = clock
        self._recordings = recordings
        self._lock = threading.Lock()
        self._parts: OrderedDict[tuple[str, int], Part] = OrderedDict()

    def sealed_parts(self, recording_id: str) -> tuple[SealedKey, SealedKey]:
        """The two sealed parts as the header holds them. Raises NotFound, Unavailable, Conflict (nothing masked)."""
        return self._recordings.mask_parts(recording_id)

    def offer(self, person_id: str, recording_id: str, index: int, secret: bytes) -> Unmasked:
        """Hand in the part with this index (0 or 1).

        Raises Conflict: the other part came from the same person, or the two parts are not this recording's. Who asked,
        what was refused and what was read is in the trail before anything is returned.
        """
        self._recordings.mask_parts(recording_id)
        now = self._clock.now()
        with self._lock:
            for key in [key for key, part in self._parts.items() if now - part.at > WAIT]:
                del self._parts[key]
            other = self._parts.get((recording_id, 1 - index))
            if other is not None and other.person_id == person_id:
                raise errors.two_auditors()
            self._parts[recording_id, index] = Part(person_id, now, secret)
            while len(self._parts) > _MOST_ASKED:
                self._parts.popitem(last=False)
        session_id = self._recordings.session_of(recording_id)
        if other is None:
            with self._database.unit_of_work() as unit:
                unit.emit(
                    RecordingUnmaskAsked(actor=person_id, subject=recording_id, session_id=session_id, part=index + 1)
                )
            return Unmasked(None)
        first, second = (other.secret, secret) if index == 1 else (secret, other.secret)
        try:
            unmask = Unmask.of(recording_id, first, second)
            pieces = []
            for piece in hidden_inputs(self._recordings.frames_so_far(recording_id), unmask):
                pieces.append(piece)
                if len(pieces) >= _MOST_PIECES:
                    break
        except (DamagedRecordingError, ValueError):
            with self._lock:
                for place in (0, 1):
                    self._parts.pop((recording_id, place), None)
            with self._database.unit_of_work() as unit:
                unit.emit(RecordingUnmaskRefused(actor=person_id, subject=recording_id, session_id=session_id))
            raise errors.not_the_parts() from None
        with self._database.unit_of_work() as unit:
            unit.emit(
                RecordingUnmasked(
                    actor=person_id,
                    subject=recording_id,
                    session_id=session_id,
                    with_auditor=other.person_id,
                    pieces=len(pieces),
                )
            )
        return Unmasked(pieces)
