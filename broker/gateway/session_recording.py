"""One session's recording, from its opening to its facts for control. I/O; called from the event loop.

Anchors (a signed head, told to the audit trail while the session runs) and the forcing to disk are due with the clock,
not with bytes: `tick` says what is due.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from broker.gateway.authority import Authority, RecordingFacts, b64
from broker.gateway.evidence import SUFFIX, Evidence
from broker.gateway.permits import Admission
from broker.gateway.recording_care import RecordingCare
from recorder.errors import RecordingError
from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader
from recorder.masking import Mask
from recorder.writer import RecordingWriter, WriterState

ANCHORED: Final = "recordings.recording.anchored"
_TYPED: Final = (FrameKind.MASKED_INPUT, FrameKind.ECHOED_INPUT)
NEARLY_SPENT: Final = "recordings.recording.nearly_spent"

_log = structlog.get_logger("gateway.recording")


class SessionRecording:
    """Opened before the session's lease is asked for. Every method but `tick` and `close` raises `RecordingError`."""

    def __init__(
        self,
        admission: Admission,
        folder: Path,
        care: RecordingCare,
        authority: Authority,
        *,
        now_ms: int,
        random: Callable[[int], bytes],
    ) -> None:
        """Makes the file. Raises RecordingError, OSError or ValueError; then there is none."""
        permit = admission.permit
        self.file_name: Final = admission.recording_id + SUFFIX
        self._path = folder / self.file_name
        self._session_id = admission.session_id
        self._care = care
        self._authority = authority
        self._told_batches = 0
        self._told_us = 0
        self._synced_us = 0
        self._is_syncing = False
        self._is_nearly_spent = False
        self._refused: Sequence[Frame] = ()
        header = RecordingHeader(
            recording_id=admission.recording_id,
            session_id=admission.session_id,
            created_at_ms=now_ms,
            protocol=permit.protocol,
            width=0,
            height=0,
            labels={"person": permit.person_name, "target": permit.target_name, "account": permit.account},
        )
        self._mask = (
            Mask.generate(admission.unmask_publics, admission.recording_id, random)
            if admission.unmask_publics
            else None
        )
        self._writer = RecordingWriter.create(
            self._path,
            header=header,
            recipient_public=admission.unseal_public,
            now_ms=now_ms,
            random=random,
            settings=care.writer_settings(),
            mask=self._mask,
        )

    @property
    def signing_public(self) -> bytes:
        return self._writer.signing_public

    @property
    def header_sha256(self) -> bytes:
        return self._writer.header_sha256

    def append(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """As `RecordingWriter.append`; returns the frames as they stand in the file, typed input masked."""
        masked = self._masked(frames)
        self._refused = masked
        self._writer.append(masked)
        return masked

    def append_again(self) -> Sequence[Frame]:
        """Tries once more what `append` or this refused with `can_retry`."""
        if self._writer.state is WriterState.BLOCKED:
            self._writer.retry()
        else:
            self._writer.append(self._refused)
        return self._refused

    def _masked(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        if not any(frame.kind in _TYPED for frame in frames):
            return frames
        if self._mask is not None:
            return [self._mask.seal(one) if one.kind is FrameKind.MASKED_INPUT else one for one in frames]
        # Without auditors' keys nothing can be masked: typed input is under the recording's own key, and not twice.
        plain = [one for one in frames if one.kind is not FrameKind.ECHOED_INPUT]
        return [replace(one, kind=FrameKind.INPUT) if one.kind is FrameKind.MASKED_INPUT else one for one in plain]

    @property
    def is_whole(self) -> bool:
        """Whether nothing of an unrecorded batch stands in the file, so that it can be sealed."""
        return self._writer.state is WriterState.OPEN

    def tick(self, now_us: int) -> None:
        """Signs a head when one is due and tells control the newest. Raises RecordingError when the writer is done."""
        try:
            self._writer.tick(now_us)
        except RecordingError as error:
            if not error.can_retry and error.code != "over_budget":
                raise  # without room a head waits; what is recorded stays recorded
        head = self._writer.anchor
        waited = now_us - self._told_us >= self._care.anchor_seconds * 1e6
        if head is not None and head.batches > self._told_batches and waited:
            self._told_batches, self._told_us = head.batches, now_us
            self._authority.report(
                self._session_id,
                ANCHORED,
                {
                    "batches": head.batches,
                    "frames": head.frames,
                    "bytes": head.bytes,
                    "at_us": head.at_us,
                    "chain_sha256": head.chain_sha256.hex(),
                    "signature_b64": b64(head.signature),
                },
            )
        if not self._is_nearly_spent and self._care.is_nearly_spent(self._writer.counts.offset):
            self._is_nearly_spent = True
            spent = {"bytes": self._writer.counts.offset, "most_bytes": self._care.most_bytes}
            self._authority.report(self._session_id, NEARLY_SPENT, spent)

    def is_sync_due(self, now_us: int) -> bool:
        """Whether `sync` is to be run now; one runs at a time."""
        interval = self._care.sync_seconds
        return bool(interval) and not self._is_syncing and now_us - self._synced_us >= interval * 1e6

    async def sync(self, now_us: int) -> None:
        """Forces what is on file to disk, in a thread. Raises RecordingError or OSError: the recording is done."""
        self._is_syncing, self._synced_us = True, now_us
        try:
            await asyncio.to_thread(self._writer.syncing())
        finally:
            self._is_syncing = False

    def close(self, evidence: Evidence, reason: str, now_ms: int, *, broken: bool) -> RecordingFacts:
        """Seals the recording, or marks it broken where it ends. Never raises."""
        writer = self._writer
        if not broken:
            try:
                head = writer.seal(reason, now_ms)
            except (RecordingError, OSError, ValueError) as error:
                _log.error("recording_not_sealed", session_id=self._session_id, error=str(error))
            else:
                return RecordingFacts(
                    "sealed", head.frames, head.batches, head.bytes, head.chain_sha256, head.signature, now_ms
                )
        counts = writer.counts
        writer.close_broken()
        try:
            return evidence.mark(self._path, reason, now_ms)
        except (RecordingError, OSError) as error:
            # The next start of the gateway marks it; control learns at once what was whole.
            _log.error("recording_not_marked", session_id=self._session_id, error=str(error))
        return RecordingFacts("broken", counts.frames, counts.batches, counts.offset, counts.chain_sha256, b"", now_ms)
