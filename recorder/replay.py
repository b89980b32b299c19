"""Opens a recording for replay: seals first, then the frames. I/O."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from recorder.batches import Batch
from recorder.continuity import Continuity
from recorder.errors import DamagedRecordingError
from recorder.frames import Frame
from recorder.keyframes import Place
from recorder.manifest import RecordingHeader
from recorder.report import Report, State
from recorder.seal import BatchCipher, next_chain, open_data_key
from recorder.verify import verify
from recorder.walk import SignedRecord, read_front, read_records


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording whose seals were checked when it was opened; `report` says what was found.

    `opened` gives its bytes anew; what it and the streams raise, reading raises.
    """

    opened: Callable[[], BinaryIO]
    report: Report
    header: RecordingHeader
    _cipher: BatchCipher = field(repr=False)

    def placed_frames(self) -> Iterator[tuple[Frame, Place]]:
        """As `frames`, each with the place of its batch, for `frames_from`."""
        yield from self._read()

    def frames_from(self, place: Place) -> Iterator[Frame]:
        """The frames from this batch on, without reading what stands before. `place` is from `placed_frames`.

        Raises `DamagedRecordingError` where a batch does not decrypt behind this place's chain.
        """
        with self.opened() as stream:
            number, chain = place.batch, place.chain
            for _, record in read_records(stream, place.offset, self.report.bytes):
                if isinstance(record, SignedRecord):
                    continue
                if not isinstance(record, Batch) or record.prelude.number != number:
                    raise DamagedRecordingError(
                        "flipped", "the recording changed since its index was made", batch=number
                    )
                yield from record.open(self._cipher, chain)
                number, chain = number + 1, next_chain(chain, record.digest)

    def frames(self) -> Iterator[Frame]:
        """Every frame of every good batch, in order; one batch in memory at a time.

        For a damaged file the good part comes first and then `DamagedRecordingError` is raised with the first bad
        batch. An open, torn or broken file ends after its last whole batch; `report.state` tells. Frames written after
        the file was opened are not included.
        """
        for frame, _ in self._read():
            yield frame

    def _read(self) -> Iterator[tuple[Frame, Place]]:
        with self.opened() as stream:
            front = read_front(stream)
            followed = Continuity(front.opening, front.header_sha256, front.end)
            for offset, record in read_records(stream, front.end, self.report.bytes):
                if isinstance(record, Batch):
                    followed.check_order(record)
                    place = Place(offset, followed.batches + 1, followed.frames + 1, followed.chain)
                    for frame in record.open(self._cipher, followed.chain):
                        yield frame, place
                    followed.take_batch(record)
                elif isinstance(record, SignedRecord):
                    followed.take_signed(record.tag, record.data)
                else:
                    message = "the recording changed while it was being replayed"
                    raise DamagedRecordingError("flipped", message, batch=followed.batches + 1, at_us=followed.at_us)
        if self.report.state is State.DAMAGED:
            batch, at_us = self.report.first_bad_batch or 0, self.report.at_us or 0
            raise DamagedRecordingError(str(self.report.kind), self.report.message, batch=batch, at_us=at_us)


def open_recording(
    source: Path | Callable[[], BinaryIO],
    unseal_private: bytes,
    *,
    signing_public: bytes | None = None,
    evidence_public: bytes | None = None,
    audited_chain: bytes | None = None,
) -> Recording:
    """Verify a file, or what `source` opens, open its data key and hand back the recording.

    `unseal_private` is the raw X25519 private key (32 bytes); the other keys as for `verify.verify`. Raises
    `DamagedRecordingError` when the header or a key is wrong, so that nothing at all can be replayed; other damage is
    raised by `Recording.frames` where it begins.
    """
    opened = partial(_file, source) if isinstance(source, Path) else source
    with opened() as stream:
        report = verify(
            stream, signing_public=signing_public, evidence_public=evidence_public, audited_chain=audited_chain
        )
    if report.first_bad_batch == 0 or report.header is None:
        raise DamagedRecordingError(str(report.kind), report.message)
    with opened() as stream:
        front = read_front(stream)
    data_key = open_data_key(front.opening.key, unseal_private, front.opening.header.recording_id)
    return Recording(opened, report, front.opening.header, BatchCipher(data_key, front.header_sha256))


def _file(path: Path) -> BinaryIO:
    return path.open("rb", buffering=1 << 18)
