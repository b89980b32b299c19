"""Is this recording what its writer wrote? Works without the data key; with it, every batch is decrypted as well. I/O.

    python -m recorder.verify FILE… [--signing-key HEX] [--evidence-key HEX] [--chain HEX] [--anchor N:HEX]…
                              [--receipt FILE [--device-key-sha256 HEX]] [--checkpoint-key PEM]
                              [--unseal-key-file F] [--json]

A FILE may be a tombstone, or a recording in whose place one lies. With a receipt the one recording must hold what that
session's device vouched for, whatever keys it is signed with now. Exit code: 0 every file sealed and whole, or
destroyed with a tombstone that the site's key has signed · 3 some unfinished (open, or marked broken) but sound as far
as they go · 1 some damaged · 2 wrong use or a file that cannot be read.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from recorder.batches import Batch
from recorder.continuity import Continuity
from recorder.errors import DamagedRecordingError, UnpackerMissingError
from recorder.grave import Grave, as_line, as_text, grave_at
from recorder.manifest import TAG_BROKEN, TAG_SEALED, BrokenMark, Counts, Head
from recorder.report import Kind, Report, State
from recorder.seal import BatchCipher, open_data_key
from recorder.session_receipt import ReceiptedRecording
from recorder.verify_options import parser, receipt_of
from recorder.walk import (
    Ending,
    Front,
    Record,
    SignedRecord,
    Unreadable,
    digest_range,
    file_size,
    read_broken_mark,
    read_ending,
    read_front,
    read_records,
)


class ExitCode(IntEnum):
    WHOLE = 0
    DAMAGED = 1
    USAGE = 2
    UNFINISHED = 3


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the caller knows from elsewhere; None: not known, not checked.

    `signing_public` and `audited_chain` come from the audit chain, `evidence_public` from the site's configuration.
    `unseal_private` opens the data key. `audited_chain` is the `chain_sha256` with which the recording is known to end.
    `anchors`: the chain after a number of batches, as it was audited while the session ran. `receipt`: what the
    session's device vouches for.
    """

    signing_public: bytes | None = None
    evidence_public: bytes | None = None
    unseal_private: bytes | None = None
    audited_chain: bytes | None = None
    anchors: Mapping[int, bytes] = field(default_factory=dict)
    receipt: ReceiptedRecording | None = None


def verify(
    source: Path | BinaryIO,
    *,
    signing_public: bytes | None,
    evidence_public: bytes | None = None,
    unseal_private: bytes | None = None,
    audited_chain: bytes | None = None,
    anchors: Mapping[int, bytes] | None = None,
    receipt: ReceiptedRecording | None = None,
) -> Report:
    """Check one recording: structure, hash chain and signatures, and with `unseal_private` every batch's content.

    `source` is a file or a seekable stream. Parameters as in `Trusted`. Damage is a value in the report; only
    `OSError` is raised, and `UnpackerMissingError` when content is to be read without the zstandard library. Without
    `audited_chain` nobody can tell a file cut at a batch from one left by a crash.
    """
    trusted = Trusted(signing_public, evidence_public, unseal_private, audited_chain, anchors or {}, receipt)
    if isinstance(source, Path):
        with source.open("rb", buffering=1 << 18) as stream:
            return _verify(stream, trusted)
    return _verify(source, trusted)


def _verify(stream: BinaryIO, trusted: Trusted) -> Report:
    try:
        front = read_front(stream)
    except DamagedRecordingError as error:
        # A file that still has its end was not cut: the header's own length was altered.
        is_cut = error.code == "truncated" and read_ending(stream, file_size(stream)).tag is None
        return _damaged_front(Kind.TRUNCATED if is_cut else _not_cut(error), str(error))
    return _Check(stream, front, trusted).run()


def _not_cut(error: DamagedRecordingError) -> Kind:
    return Kind.FLIPPED if error.code == "truncated" else Kind(error.code)


def _damaged_front(kind: Kind, message: str) -> Report:
    return Report(
        State.DAMAGED,
        kind,
        first_bad_batch=0,
        at_us=0,
        message=message,
        batches=0,
        frames=0,
        bytes=0,
        duration_us=0,
        anchored_batches=0,
        anchored_us=0,
        is_signing_key_pinned=False,
        is_evidence_key_pinned=False,
        is_decrypted=False,
        header=None,
        head=None,
        broken=None,
        chain_sha256=b"",
    )


class _Check:
    """One pass over one file."""

    def __init__(self, stream: BinaryIO, front: Front, trusted: Trusted) -> None:
        self._stream = stream
        self._front = front
        self._trusted = trusted
        self._followed = Continuity(front.opening, front.header_sha256, front.end)
        self._cipher: BatchCipher | None = None
        self._head: Head | None = None
        self._mark: BrokenMark | None = None
        self._torn: Unreadable | None = None

    def run(self) -> Report:
        try:
            self._check_keys()
            ending = read_ending(self._stream, file_size(self._stream))
            if ending.tag == TAG_BROKEN:
                self._follow_to_mark(ending)
            else:
                self._follow(ending.start if ending.tag is None else file_size(self._stream), ending)
            self._check_audited_chain()
        except DamagedRecordingError as error:
            return self._report(State.DAMAGED, Kind(error.code), error.batch, error.at_us, str(error))
        if self._head is not None:
            return self._report(State.SEALED, None, None, None, "sealed and whole")
        after = "the batches after the last signed head cannot be proved to be the last ones"
        if self._mark is not None:
            kind = Kind.TORN_TAIL if self._mark.tail_bytes else None
            message = f"marked broken ({self._mark.reason}) with {self._mark.tail_bytes} torn bytes; {after}"
            return self._report(State.BROKEN, kind, None, None, message)
        if self._torn is not None:
            bad = self._followed.batches + 1
            message = f"{self._torn.message}: the last write did not finish; {after}"
            return self._report(State.OPEN, Kind.TORN_TAIL, bad, self._time_of(self._torn), message)
        return self._report(State.OPEN, Kind.MISSING_TRAILER, None, None, f"no trailer: still open, or cut; {after}")

    def _check_keys(self) -> None:
        opening = self._front.opening
        pinned = self._trusted.signing_public
        if pinned is not None and pinned != opening.signing_public:
            raise DamagedRecordingError("wrong_key", "the recording is signed by another key than the one expected")
        self._check_receipted_front()
        if self._trusted.unseal_private is not None:
            data_key = open_data_key(opening.key, self._trusted.unseal_private, opening.header.recording_id)
            self._cipher = BatchCipher(data_key, self._front.header_sha256)

    def _check_receipted_front(self) -> None:
        receipt, opening = self._trusted.receipt, self._front.opening
        if receipt is None:
            return
        if (opening.header.recording_id, opening.header.session_id) != (receipt.recording_id, receipt.session_id):
            raise DamagedRecordingError("wrong_key", "the receipt is another recording's or another session's")
        if (opening.signing_public, self._front.header_sha256) != (receipt.signing_public, receipt.header_sha256):
            message = "its key or header is not the one that the session's device vouched for"
            raise DamagedRecordingError("wrong_key", message)

    def _follow(self, limit: int, ending: Ending) -> None:
        records = read_records(self._stream, self._front.end, limit)
        for offset, record in records:
            if isinstance(record, Batch):
                self._take_batch(record, records)
            elif isinstance(record, SignedRecord):
                head = self._followed.take_signed(record.tag, record.data)
                if record.tag == TAG_SEALED:
                    self._head = head
                    if ending.tag != TAG_SEALED or offset != ending.start:
                        raise self._bad("trailing_data", "something stands behind the sealed trailer")
            elif record.is_torn and ending.tag is None:
                self._torn = record
            else:
                raise self._bad("flipped", f"{record.message}: the file was altered here", self._time_of(record))

    def _take_batch(self, batch: Batch, rest: Iterator[tuple[int, Record]]) -> None:
        try:
            self._followed.check_order(batch)
        except DamagedRecordingError as error:
            if error.code == "dropped" and _holds(rest, error.batch):
                message = f"batch {error.batch} stands further back: batch {batch.prelude.number} was put before it"
                raise DamagedRecordingError("reordered", message, batch=error.batch, at_us=error.at_us) from error
            raise
        if self._cipher is not None:
            try:
                batch.open(self._cipher, self._followed.chain)
            except DamagedRecordingError as error:
                raise self._bad(error.code, str(error), batch.prelude.start_us) from error
        self._followed.take_batch(batch)
        anchored = self._trusted.anchors.get(self._followed.batches)
        if anchored is not None and anchored != self._followed.chain:
            message = f"batches up to {self._followed.batches} are not those that were audited while the session ran"
            number, at_us = self._followed.batches, self._followed.at_us
            raise DamagedRecordingError("forged_head", message, batch=number, at_us=at_us)
        vouched, followed = self._vouched(), self._followed
        # A head may stand between the last batch and the head that was vouched for: the offset tells nothing.
        if (
            vouched is not None
            and vouched.batches == followed.batches
            and (vouched.frames, vouched.chain_sha256) != (followed.frames, followed.chain)
        ):
            message = f"batches up to {vouched.batches} are not those that the session's device vouched for"
            raise DamagedRecordingError("forged_head", message, batch=vouched.batches, at_us=self._followed.at_us)

    def _vouched(self) -> Counts | None:
        return self._trusted.receipt.counts if self._trusted.receipt is not None else None

    def _follow_to_mark(self, ending: Ending) -> None:
        fault: DamagedRecordingError | None = None
        limit = ending.start
        try:
            mark = read_broken_mark(self._stream, ending.start, self._front.header_sha256)
            self._mark = mark
            limit = min(mark.counts.offset, ending.start)
        except DamagedRecordingError as error:
            fault = error
        self._follow(limit, ending)
        if fault is not None or self._mark is None:
            raise self._bad("forged_head", "the broken trailer is not valid") from fault
        pinned = self._trusted.evidence_public
        if pinned is not None and pinned != self._mark.evidence_public:
            raise self._bad("wrong_key", "the broken trailer is signed by another key than the one expected")
        counts = self._followed.counts
        if counts.batches < self._mark.counts.batches:
            raise self._bad("dropped", f"the broken trailer vouches for {self._mark.counts.batches} batches")
        if (counts, self._followed.anchored_batches) != (self._mark.counts, self._mark.anchored_batches):
            raise self._bad("flipped", "the batches are not those that were there when the file was marked broken")
        tail = digest_range(self._stream, limit, ending.start)
        if (ending.start - limit, tail) != (self._mark.tail_bytes, self._mark.tail_sha256):
            raise self._bad("flipped", "the torn bytes before the broken trailer were altered")
        for _, record in read_records(self._stream, limit, ending.start):
            if not isinstance(record, Unreadable) or not record.is_torn:
                raise self._bad("flipped", "what stands behind the last good batch is not a write that was cut short")

    def _check_audited_chain(self) -> None:
        last = max(self._trusted.anchors, default=0)
        if last > self._followed.batches:
            raise self._bad("truncated", f"the recording ends before batch {last}, which was audited while it ran")
        vouched = self._vouched()
        if vouched is not None and vouched.batches > self._followed.batches:
            message = f"the recording ends before batch {vouched.batches}, for which the session's device vouched"
            raise self._bad("truncated", message)
        is_end = self._trusted.receipt is not None and self._trusted.receipt.is_sealed
        if vouched is not None and is_end and (self._head is None or vouched.batches != self._followed.batches):
            raise self._bad("forged_head", "it does not end with the head that the session's device vouched for")
        audited = self._trusted.audited_chain
        if audited is None or audited == self._followed.chain:
            return
        if self._head is not None:
            raise self._bad("forged_head", "the recording is sealed, but not with the head that was audited")
        raise self._bad("truncated", "the recording ends before the head that was audited")

    def _time_of(self, record: Unreadable) -> int:
        return self._followed.at_us if record.prelude is None else record.prelude.start_us

    def _bad(self, code: str, message: str, at_us: int | None = None) -> DamagedRecordingError:
        followed = self._followed
        when = followed.at_us if at_us is None else at_us
        return DamagedRecordingError(code, message, batch=followed.batches + 1, at_us=when)

    def _report(self, state: State, kind: Kind | None, bad: int | None, at_us: int | None, message: str) -> Report:
        followed = self._followed
        return Report(
            state,
            kind,
            first_bad_batch=bad,
            at_us=at_us,
            message=message,
            batches=followed.batches,
            frames=followed.frames,
            bytes=followed.offset,
            duration_us=followed.at_us,
            anchored_batches=followed.anchored_batches,
            anchored_us=followed.anchored_us,
            is_signing_key_pinned=self._trusted.signing_public is not None,
            is_evidence_key_pinned=self._trusted.evidence_public is not None,
            is_decrypted=self._cipher is not None,
            header=self._front.opening.header,
            head=self._head,
            broken=self._mark,
            chain_sha256=followed.chain,
        )


def _holds(records: Iterator[tuple[int, Record]], number: int) -> bool:
    return any(isinstance(record, Batch) and record.prelude.number == number for _, record in records)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parser().parse_args(arguments)
    states: set[State] = set()
    unread = False
    receipt: ReceiptedRecording | None = None
    if options.receipt is not None:
        try:
            receipt = receipt_of(options)
        except DamagedRecordingError as error:
            sys.stderr.write(f"{options.receipt}: {error}\n")
            return ExitCode.DAMAGED
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{options.receipt}: {error}\n")
            return ExitCode.USAGE
    for file in options.files:
        grave = grave_at(file, options.checkpoint_key)
        if grave is not None:
            states.add(_state_of(grave))
            sys.stdout.write(as_line(file, grave) if options.json else as_text(file, grave))
            continue
        try:
            report = verify(
                file,
                signing_public=options.signing_key,
                evidence_public=options.evidence_key,
                unseal_private=None if options.unseal_key_file is None else options.unseal_key_file.read_bytes(),
                audited_chain=options.chain,
                anchors=dict(options.anchor),
                receipt=receipt,
            )
        except OSError as error:
            unread = True
            sys.stderr.write(f"{error.filename}: {error.strerror}\n")
            continue
        except UnpackerMissingError as error:
            sys.stderr.write(f"{file}: {error}\n")
            return ExitCode.USAGE
        states.add(report.state)
        sys.stdout.write(_as_line(file, report) if options.json else _as_text(file, report))
    if State.DAMAGED in states:
        return ExitCode.DAMAGED
    if unread:
        return ExitCode.USAGE
    return ExitCode.WHOLE if states == {State.SEALED} else ExitCode.UNFINISHED


def _as_line(file: Path, report: Report) -> str:
    return json.dumps({"file": str(file)} | report.as_json(), ensure_ascii=False, separators=(",", ":")) + "\n"


def _as_text(file: Path, report: Report) -> str:
    lines = [f"{file}: {report.state.upper()}: {report.message}"]
    if report.kind is not None:
        lines.append(f"  what: {report.kind}")
    if report.first_bad_batch is not None and report.at_us is not None:
        what = f"batch {report.first_bad_batch}" if report.first_bad_batch else "the header"
        lines.append(f"  first bad: {what} at {_clock(report.at_us)}")
    lines.append(
        f"  good: {report.batches} batches, {report.frames} frames, {report.bytes} bytes, {_clock(report.duration_us)};"
        f" signed up to batch {report.anchored_batches}"
    )
    if not report.is_signing_key_pinned and report.header is not None:
        lines.append("  note: the signing key was taken from the file itself; give --signing-key from the audit log")
    return "\n".join(lines) + "\n"


def _state_of(grave: Grave) -> State:
    if grave.tombstone is None:
        return State.DAMAGED
    return State.SEALED if grave.is_checked else State.OPEN


def _clock(at_us: int) -> str:
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"


if __name__ == "__main__":
    sys.exit(main())
