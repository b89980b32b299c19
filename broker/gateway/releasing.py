"""Lets a recording's file go when a verified copy lies under lock: the gateway alone may write in the folder.

Control says which; the gateway believes only a receipt that the archive's own key signed, and reads its file whole: it
goes only when these very bytes came back from the store and are locked there for 180 days from the file's own end. So
who holds control and its database still lets no file go that has no copy; who holds the archive's key can lie.
"""

import asyncio
import hashlib
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
from recorder.purged import remove_file
from recorder.receipt import LINE_BYTES, Receipt, read_line
from recorder.tombstone import LEAST_KEPT_MS
from recorder.walk import file_size, read_broken_mark, read_ending, read_front

REPORTED: Final = "recordings.copy.release"
_MOST_WAITING: Final = 50
_BLOCK: Final = 1 << 20

_log = structlog.get_logger("gateway.releasing")
Report = Callable[[str, Mapping[str, str | int]], None]


class Outcome(StrEnum):
    """What became of an order. All but `RELEASED` and `ABSENT` leave the file as it is."""

    RELEASED = "released"
    ABSENT = "absent"
    NOT_SIGNED = "not_signed"
    OTHER_BYTES = "other_bytes"
    UNFINISHED = "unfinished"
    NOT_READABLE = "not_readable"
    LOCK_TOO_SHORT = "lock_too_short"
    DISK = "disk"


class Releasing:
    """Carries out orders one by one, in a thread. `run` must be running for any to be carried out."""

    def __init__(self, folder: Path, key_file: Path | None, report: Report) -> None:
        """`key_file` is the archive's public key in PEM, read with each order; None lets nothing go."""
        self._folder = folder
        self._key_file = key_file
        self._report = report
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    def begin(self, line: bytes) -> None:
        """Take an order; one too many is dropped, because control orders again what is not answered."""
        try:
            self._waiting.put_nowait(line)
        except asyncio.QueueFull:
            _log.warning("release_order_dropped", waiting=_MOST_WAITING)

    async def run(self) -> None:
        """Serves until cancelled."""
        while True:
            line = await self._waiting.get()
            receipt, outcome = await asyncio.to_thread(self.release, line)
            (_log.info if outcome in {Outcome.RELEASED, Outcome.ABSENT} else _log.error)(
                "recording_release", outcome=str(outcome), recording=receipt.recording_id if receipt else None
            )
            if receipt is not None:
                self._report(REPORTED, {"recording_id": receipt.recording_id, "outcome": str(outcome)})

    def release(self, line: bytes) -> tuple[Receipt | None, Outcome]:
        """Let the file go that this receipt is about; None for what is no receipt of this site's archive."""
        try:
            receipt = read_line(line[: LINE_BYTES + 1], self._key())
        except (DamagedRecordingError, OSError, ValueError) as error:
            _log.error("receipt_not_signed", error=str(error))
            return None, Outcome.NOT_SIGNED
        if "/" in receipt.recording_id or not receipt.recording_id.startswith("rec_"):
            return None, Outcome.NOT_SIGNED
        path = self._folder / (receipt.recording_id + SUFFIX)
        try:
            refusal = _why_not(path, receipt)
            if refusal is not None:
                return receipt, refusal
            return receipt, Outcome.RELEASED if remove_file(path) else Outcome.ABSENT
        except OSError as error:
            _log.error("recording_not_released", recording=receipt.recording_id, error=str(error))
            return receipt, Outcome.DISK

    def _key(self) -> bytes:
        if self._key_file is None:
            raise ValueError("this gateway was given no key of an archive")
        key = load_pem_public_key(self._key_file.read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("the archive's key is no Ed25519 key")
        return key.public_bytes_raw()


def _why_not(path: Path, receipt: Receipt) -> Outcome | None:
    """What in the file itself forbids to let it go; None when nothing does, or there is no file. Raises OSError."""
    try:
        with path.open("rb") as stream:
            front = read_front(stream)
            size = file_size(stream)
            ending = read_ending(stream, size)
            header = front.opening.header
            if ending.tag is None:
                return Outcome.UNFINISHED
            if ending.tag == TAG_BROKEN:
                ended_ms = read_broken_mark(stream, ending.start, front.header_sha256).marked_at_ms
            else:
                stream.seek(ending.start)
                public = front.opening.signing_public
                ended_ms = decode_sealed(stream.read(), front.header_sha256, public).sealed_at_ms or 0
            if header.recording_id != receipt.recording_id or size != receipt.bytes:
                return Outcome.OTHER_BYTES
            stream.seek(0)
            digest = hashlib.sha256()
            while block := stream.read(_BLOCK):
                digest.update(block)
            if digest.hexdigest() != receipt.sha256:
                return Outcome.OTHER_BYTES
    except FileNotFoundError:
        return None
    except DamagedRecordingError:
        return Outcome.NOT_READABLE
    if receipt.locked_until_ms - max(header.created_at_ms, ended_ms) < LEAST_KEPT_MS:
        return Outcome.LOCK_TOO_SHORT
    return None
