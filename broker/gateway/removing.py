"""Removes recordings that were lawfully destroyed: the gateway alone may write in their folder, and it asks for proof.

Control says which; the gateway believes a tombstone only when the site's checkpoint key signed it, and a recording's
age only from the recording itself: its header is signed by its own key, its trailer by that or by the gateway's. So
who holds control and its database still destroys nothing that is younger than 180 days.
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broker.gateway.evidence import SUFFIX
from recorder.errors import DamagedRecordingError
from recorder.manifest import TAG_BROKEN, decode_sealed
from recorder.purged import leave_tombstone, remove_file
from recorder.tombstone import LEAST_KEPT_MS, LINE_BYTES, Tombstone, read_line
from recorder.walk import file_size, read_broken_mark, read_ending, read_front

REPORTED: Final = "recordings.recording.removal"
_MOST_WAITING: Final = 200

_log = structlog.get_logger("gateway.removing")
Report = Callable[[str, Mapping[str, str | int]], None]


class Outcome(StrEnum):
    """What became of an order. All but `REMOVED` and `ABSENT` leave the file as it is."""

    REMOVED = "removed"
    ABSENT = "absent"
    NOT_SIGNED = "not_signed"
    OTHER_RECORDING = "other_recording"
    UNFINISHED = "unfinished"
    NOT_READABLE = "not_readable"
    TOO_YOUNG = "too_young"
    DISK = "disk"


class Removing:
    """Carries out orders one by one, in a thread. `run` must be running for any to be carried out."""

    def __init__(self, folder: Path, key_file: Path | None, report: Report, now_ms: Callable[[], int]) -> None:
        """`key_file` is the site's public checkpoint key in PEM, read with each order; None removes nothing."""
        self._folder = folder
        self._key_file = key_file
        self._report = report
        self._now_ms = now_ms
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    def begin(self, line: bytes) -> None:
        """Take an order; one too many is dropped, because control orders again what is not answered."""
        try:
            self._waiting.put_nowait(line)
        except asyncio.QueueFull:
            _log.warning("removal_order_dropped", waiting=_MOST_WAITING)

    async def run(self) -> None:
        """Serves until cancelled."""
        while True:
            line = await self._waiting.get()
            tombstone, outcome = await asyncio.to_thread(self.remove, line)
            (_log.info if outcome in {Outcome.REMOVED, Outcome.ABSENT} else _log.error)(
                "recording_removal", outcome=str(outcome), recording=tombstone.recording_id if tombstone else None
            )
            if tombstone is not None:
                self._report(REPORTED, {"recording_id": tombstone.recording_id, "outcome": str(outcome)})

    def remove(self, line: bytes) -> tuple[Tombstone | None, Outcome]:
        """Remove the recording of this tombstone, the tombstone being on disk before; None for what is none."""
        try:
            tombstone = read_line(line, None) if len(line) <= LINE_BYTES else None
        except DamagedRecordingError:
            tombstone = None
        if tombstone is None or "/" in tombstone.recording_id or not tombstone.recording_id.startswith("rec_"):
            return None, Outcome.NOT_SIGNED
        try:
            read_line(line, self._key())
        except (DamagedRecordingError, OSError, ValueError) as error:
            _log.error("tombstone_not_signed", recording=tombstone.recording_id, error=str(error))
            return tombstone, Outcome.NOT_SIGNED
        path = self._folder / (tombstone.recording_id + SUFFIX)
        try:
            refusal = _why_not(path, tombstone, self._now_ms())
            if refusal is not None:
                return tombstone, refusal
            leave_tombstone(path, line)
            return tombstone, Outcome.REMOVED if remove_file(path) else Outcome.ABSENT
        except OSError as error:
            _log.error("recording_not_removed", recording=tombstone.recording_id, error=str(error))
            return tombstone, Outcome.DISK

    def _key(self) -> bytes:
        if self._key_file is None:
            raise ValueError("this gateway was given no checkpoint key")
        key = load_pem_public_key(self._key_file.read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("the checkpoint key is no Ed25519 key")
        return key.public_bytes_raw()


def _why_not(path: Path, tombstone: Tombstone, now_ms: int) -> Outcome | None:
    """What in the file itself forbids its removal; None when nothing does, or there is no file. Raises OSError."""
    try:
        with path.open("rb") as stream:
            front = read_front(stream)
            ending = read_ending(stream, file_size(stream))
            header = front.opening.header
            told = (header.recording_id, header.session_id, front.header_sha256.hex())
            if told != (tombstone.recording_id, tombstone.session_id, tombstone.header_sha256):
                return Outcome.OTHER_RECORDING
            if ending.tag is None:
                return Outcome.UNFINISHED
            if ending.tag == TAG_BROKEN:
                ended_ms = read_broken_mark(stream, ending.start, front.header_sha256).marked_at_ms
            else:
                stream.seek(ending.start)
                public = front.opening.signing_public
                ended_ms = decode_sealed(stream.read(), front.header_sha256, public).sealed_at_ms or 0
    except FileNotFoundError:
        return None
    except DamagedRecordingError:
        return Outcome.NOT_READABLE
    if now_ms - max(header.created_at_ms, ended_ms) < LEAST_KEPT_MS:
        return Outcome.TOO_YOUNG
    return None
