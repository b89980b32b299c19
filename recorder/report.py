"""What verifying a recording found, as a value. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from recorder.manifest import BrokenMark, Head, Raw, RecordingHeader


class State(StrEnum):
    """`OPEN`: no trailer; being written, or left by a crash and not yet marked. `DAMAGED` says nothing good."""

    SEALED = "sealed"
    BROKEN = "broken"
    OPEN = "open"
    DAMAGED = "damaged"


class Kind(StrEnum):
    """What is wrong. `TORN_TAIL` and `MISSING_TRAILER` are what a crash leaves; all others need an explanation."""

    FLIPPED = "flipped"
    DROPPED = "dropped"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    WRONG_KEY = "wrong_key"
    FORGED_HEAD = "forged_head"
    TORN_TAIL = "torn_tail"
    MISSING_TRAILER = "missing_trailer"
    TRAILING_DATA = "trailing_data"
    BAD_FRAMES = "bad_frames"
    UNSUPPORTED = "unsupported"
    NOT_A_RECORDING = "not_a_recording"


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying one file found.

    `first_bad_batch` counts from 1 (0: the header) and `at_us` is its time offset, or that of the last good moment
    before it; both None when nothing is bad. `batches`, `frames`, `bytes` and `duration_us` reach to the last good
    record; `anchored_batches` is how many of the batches the recording's own signature vouches for.
    `is_signing_key_pinned` is false when the signing key was taken from the file itself: then the file is consistent,
    but anybody could have written it.
    """

    state: State
    kind: Kind | None
    first_bad_batch: int | None
    at_us: int | None
    message: str
    batches: int
    frames: int
    bytes: int
    duration_us: int
    anchored_batches: int
    anchored_us: int
    is_signing_key_pinned: bool
    is_evidence_key_pinned: bool
    is_decrypted: bool
    header: RecordingHeader | None
    head: Head | None
    broken: BrokenMark | None
    chain_sha256: Raw

    def as_json(self) -> dict[str, object]:
        """The report as plain values for JSON."""
        return {
            "state": str(self.state),
            "kind": None if self.kind is None else str(self.kind),
            "first_bad_batch": self.first_bad_batch,
            "at_us": self.at_us,
            "message": self.message,
            "recording_id": None if self.header is None else self.header.recording_id,
            "batches": self.batches,
            "frames": self.frames,
            "bytes": self.bytes,
            "duration_us": self.duration_us,
            "anchored_batches": self.anchored_batches,
            "anchored_us": self.anchored_us,
            "signing_key_pinned": self.is_signing_key_pinned,
            "evidence_key_pinned": self.is_evidence_key_pinned,
            "decrypted": self.is_decrypted,
            "reason": self.head.reason if self.head else self.broken.reason if self.broken else None,
            "sealed_at_ms": None if self.head is None else self.head.sealed_at_ms,
            "marked_at_ms": None if self.broken is None else self.broken.marked_at_ms,
            "tail_bytes": None if self.broken is None else self.broken.tail_bytes,
            "chain_sha256": self.chain_sha256.hex(),
        }
