"""The gateway's evidence key: vouches for the key of each start, and marks recordings without a proper end."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from broker.gateway.authority import RecordingFacts
from recorder.broken import mark_broken
from recorder.errors import RecordingError
from recorder.sequence import BootKey
from recorder.walk import read_front

SUFFIX: Final = ".sallyrec"

_log = structlog.get_logger("gateway.evidence")


class BadEvidenceKey(Exception):
    """The file holds no Ed25519 private key."""


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session whose gateway died: its recording is marked now."""

    session_id: str
    recording: RecordingFacts


class Evidence:
    """Signs `broken` trailers and the keys of starts."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def load(cls, path: Path) -> "Evidence":
        """Reads a PEM file. Raises OSError or BadEvidenceKey."""
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise BadEvidenceKey(f"{path} is no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BadEvidenceKey(f"{path} is no Ed25519 key")
        return cls(key)

    def boot_key(self, worker: str, boot_id: str) -> BootKey:
        """A new key for the events of this start; it stays in memory."""
        return BootKey.make(worker, boot_id, self._key.sign, os.urandom)

    def mark(self, path: Path, reason: str, now_ms: int) -> RecordingFacts:
        """Appends the trailer to a recording that no writer holds. Raises RecordingError."""
        mark = mark_broken(path, self._key.sign, reason, now_ms, evidence_public=self._public)
        counts = mark.counts
        return RecordingFacts(
            "broken", counts.frames, counts.batches, counts.offset, counts.chain_sha256, b"", mark.marked_at_ms
        )

    def mark_left_over(self, folder: Path) -> Iterator[LostSession]:
        """Marks every recording that a dead gateway left open; those with an end already are passed over."""
        now_ms = time.time_ns() // 1_000_000
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                facts = self.mark(path, "gateway_crashed", now_ms)
                if facts.sealed_at_ms != now_ms:
                    continue  # marked at an earlier start, and told then
                with path.open("rb") as stream:
                    session_id = read_front(stream).opening.header.session_id
            except (RecordingError, OSError) as error:
                if not (isinstance(error, RecordingError) and error.code == "already_sealed"):
                    _log.error("recording_not_marked", file=path.name, error=str(error))
                continue
            yield LostSession(session_id, facts)
