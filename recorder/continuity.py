"""Is this record the next one of its recording? The rule that verifying, replaying and marking share. Pure."""

from recorder.batches import Batch
from recorder.errors import DamagedRecordingError
from recorder.manifest import TAG_HEAD, Counts, Head, Opening, decode_head, decode_sealed
from recorder.seal import next_chain


class Continuity:
    """How far a recording has been followed without a fault.

    `chain` is the hash chain over every batch so far; `anchored_batches` and `anchored_us` are how far the recording's
    own signature vouches. A call that raises leaves the state as it was.
    """

    def __init__(self, opening: Opening, header_sha256: bytes, records_start: int) -> None:
        self._signing_public = opening.signing_public
        self._header_sha256 = header_sha256
        self.batches = 0
        self.frames = 0
        self.at_us = 0
        self.offset = records_start
        self.chain = header_sha256
        self.anchored_batches = 0
        self.anchored_us = 0

    @property
    def counts(self) -> Counts:
        return Counts(self.batches, self.frames, self.offset, self.at_us, self.chain)

    def check_order(self, batch: Batch) -> None:
        """Raises `DamagedRecordingError` (`dropped`, `reordered`, `flipped`) unless `batch` is the next one."""
        front = batch.prelude
        expected = self.batches + 1
        if front.number > expected:
            raise self._bad("dropped", f"batch {expected} is missing: batch {front.number} stands in its place")
        if front.number < expected:
            raise self._bad("reordered", f"batch {front.number} stands where batch {expected} belongs")
        if front.first_frame != self.frames + 1 or front.start_us < self.at_us:
            raise self._bad("flipped", f"batch {expected} does not continue the frames or the time before it")

    def take_batch(self, batch: Batch) -> None:
        """Go on behind `batch`, which `check_order` found to be the next one."""
        front = batch.prelude
        self.chain = next_chain(self.chain, batch.digest)
        self.batches = front.number
        self.frames += front.frame_count
        self.at_us = front.end_us
        self.offset += front.record_bytes

    def take_signed(self, tag: int, record: bytes) -> Head:
        """Check a running head or sealed trailer against what was followed, and go on behind it.

        Raises `DamagedRecordingError`: `forged_head` for a signature that does not match; `dropped`, `reordered` or
        `flipped` when a genuine head tells of another history. Then the fault lies between the last anchor and here.
        """
        decode = decode_head if tag == TAG_HEAD else decode_sealed
        try:
            head = decode(record, self._header_sha256, self._signing_public)
        except DamagedRecordingError as error:
            raise self._bad(error.code, str(error), self._first_unanchored()) from error
        if head.batches > self.batches:
            raise self._bad("dropped", f"batches {self.batches + 1} to {head.batches} are missing before a signed head")
        if head.batches < self.batches:
            raise self._bad("reordered", f"a head signed after batch {head.batches} stands behind batch {self.batches}")
        first = self._first_unanchored()
        if head.counts != self.counts and head.chain_sha256 == self.chain:
            raise self._bad("dropped", f"a signed head before the one of batch {head.batches} is missing", first)
        if head.counts != self.counts:
            raise self._bad("flipped", f"batches {first} to {head.batches} are not those that were signed", first)
        self.anchored_batches = head.batches
        self.anchored_us = head.at_us
        self.offset += len(record)
        return head

    def _first_unanchored(self) -> int:
        return min(self.anchored_batches + 1, max(self.batches, 1))

    def _bad(self, code: str, message: str, batch: int | None = None) -> DamagedRecordingError:
        if batch is None:
            return DamagedRecordingError(code, message, batch=self.batches + 1, at_us=self.at_us)
        return DamagedRecordingError(code, message, batch=batch, at_us=self.anchored_us)
