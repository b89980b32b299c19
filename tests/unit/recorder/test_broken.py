import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.broken import mark_broken
from recorder.errors import RecordingError
from recorder.manifest import BROKEN_BYTES, SEALED_BYTES, BrokenMark
from recorder.replay import open_recording
from recorder.report import Kind, State
from recorder.seal import Signer
from recorder.testing import NOW_MS, FixedRandom, Sample, write_sample
from recorder.verify import verify
from recorder.walk import read_front
from tests.unit.recorder.test_verify import pieces
from tests.unit.recorder.test_writer import create, frame

EVIDENCE = Signer.generate(FixedRandom("evidence"))


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_sample(tmp_path / "a.sallyrec")


def mark(path: Path, signer: Signer = EVIDENCE) -> BrokenMark:
    return mark_broken(path, signer.sign, "gateway_restarted", NOW_MS, evidence_public=signer.public)


def test_a_file_cut_at_any_byte_is_marked_at_the_exact_end_of_its_last_whole_record(sample: Sample) -> None:
    data = sample.path.read_bytes()
    front, records = pieces(data)
    ends = [len(front)]
    for record, _ in records:
        ends.append(ends[-1] + len(record))
    for length in range(len(front), len(data), 7):
        sample.path.write_bytes(data[:length])
        made = mark(sample.path)
        assert made.counts.offset == max(end for end in ends if end <= length)
        assert made.tail_bytes == length - made.counts.offset
        assert sample.path.read_bytes()[:length] == data[:length], "nothing before the mark may change"
        report = verify(
            sample.path,
            signing_public=sample.signing_public,
            evidence_public=EVIDENCE.public,
            unseal_private=sample.unseal_private,
        )
        assert (report.state, report.broken) == (State.BROKEN, made)
        assert report.kind is (Kind.TORN_TAIL if made.tail_bytes else None)
        assert report.batches == made.counts.batches
        assert report.anchored_batches == made.anchored_batches


@pytest.mark.exhaustive
def test_every_single_byte_flip_in_a_marked_file_is_found(sample: Sample) -> None:
    data = sample.path.read_bytes()[: -SEALED_BYTES - 40]
    sample.path.write_bytes(data)
    assert mark(sample.path).tail_bytes > 0
    marked = sample.path.read_bytes()
    for position in range(len(marked)):
        changed = marked[:position] + bytes([marked[position] ^ 0x21]) + marked[position + 1 :]
        report = verify(io.BytesIO(changed), signing_public=sample.signing_public)
        assert report.state in (State.DAMAGED, State.OPEN), position
        if report.state is State.OPEN:  # the footer itself: the trailer is no trailer any more, and that is told
            assert position >= len(marked) - 12
            assert report.kind is Kind.TORN_TAIL


@pytest.mark.parametrize("cut", [1, 100, 300, 700])
def test_batches_taken_out_of_a_marked_file_are_noticed(sample: Sample, cut: int) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-SEALED_BYTES])
    mark(sample.path)
    marked = sample.path.read_bytes()
    shorter = marked[: -BROKEN_BYTES - cut] + marked[-BROKEN_BYTES:]
    report = verify(io.BytesIO(shorter), signing_public=sample.signing_public)
    assert report.state is State.DAMAGED


def test_a_marked_file_replays_its_whole_batches(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[: -SEALED_BYTES - 1])
    mark(sample.path)
    recording = open_recording(sample.path, sample.unseal_private, evidence_public=EVIDENCE.public)
    assert list(recording.frames()) == sample.frames


def test_marking_again_changes_nothing_and_returns_the_mark(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-1])
    made = mark(sample.path)
    size = sample.path.stat().st_size
    assert mark(sample.path) == made
    assert sample.path.stat().st_size == size


def test_a_mark_that_was_cut_short_by_a_crash_counts_as_torn_bytes_the_next_time(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-SEALED_BYTES])
    first = mark(sample.path)
    sample.path.write_bytes(sample.path.read_bytes()[:-5])
    second = mark(sample.path)
    assert second.counts == first.counts
    assert second.tail_bytes == BROKEN_BYTES - 5
    report = verify(sample.path, signing_public=None)
    assert (report.state, report.kind) == (State.BROKEN, Kind.TORN_TAIL)


def test_zeros_left_by_a_power_cut_are_a_torn_tail(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-SEALED_BYTES] + bytes(8192))
    assert mark(sample.path).tail_bytes == 8192
    assert verify(sample.path, signing_public=None).state is State.BROKEN


def test_a_mark_does_not_excuse_damage_in_front_of_the_end(sample: Sample) -> None:
    data = sample.path.read_bytes()[:-SEALED_BYTES]
    front, records = pieces(data)
    offset = len(front)
    for record, number in records:
        middle = offset + len(record) // 2
        offset += len(record)
        sample.path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        made = mark(sample.path)
        report = verify(sample.path, signing_public=None, evidence_public=EVIDENCE.public)
        assert (report.state, report.kind) == (State.DAMAGED, Kind.FLIPPED)
        assert report.first_bad_batch == made.counts.batches + 1
        assert number in (0, report.first_bad_batch)


def test_a_mark_does_not_excuse_a_dropped_batch(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes()[:-SEALED_BYTES])
    sample.path.write_bytes(front + b"".join(record for record, number in records if number != 2))
    mark(sample.path)
    report = verify(sample.path, signing_public=None)
    assert (report.state, report.first_bad_batch) == (State.DAMAGED, 2)


def test_a_sealed_recording_is_not_marked(sample: Sample) -> None:
    before = sample.path.read_bytes()
    with pytest.raises(RecordingError) as refusal:
        mark(sample.path)
    assert refusal.value.code == "already_sealed"
    assert sample.path.read_bytes() == before


def test_a_recording_that_is_still_written_is_not_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.sallyrec"
    writer = create(path)
    writer.append([frame(1)])
    with pytest.raises(RecordingError) as refusal:
        mark(path)
    assert refusal.value.code == "still_open"
    writer.close_broken()
    assert mark(path).counts.batches == 1


def test_a_mark_of_another_evidence_key_is_told_apart(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-1])
    thief = Signer.generate(FixedRandom("thief"))
    mark(sample.path, thief)
    with pytest.raises(RecordingError) as refusal:
        mark(sample.path)
    assert refusal.value.code == "other_mark"
    report = verify(sample.path, signing_public=None, evidence_public=EVIDENCE.public)
    assert (report.state, report.kind) == (State.DAMAGED, Kind.WRONG_KEY)


def test_a_trailer_put_behind_a_sealed_recording_does_not_unseal_it_quietly(sample: Sample) -> None:
    data = sample.path.read_bytes()
    front = read_front(io.BytesIO(data))
    whole = verify(sample.path, signing_public=None)
    assert whole.head is not None
    lie = BrokenMark(whole.head.counts, NOW_MS, "lie", len(data) - whole.head.bytes, bytes(32), 7, EVIDENCE.public)
    report = verify(io.BytesIO(data + lie.encode(front.header_sha256, EVIDENCE.sign)), signing_public=None)
    assert report.state is State.DAMAGED


def test_bytes_put_behind_a_sealed_recording_are_not_made_to_look_like_a_crash(sample: Sample) -> None:
    sample.path.write_bytes(sample.path.read_bytes() + b"more")
    with pytest.raises(RecordingError) as refusal:
        mark(sample.path)
    assert refusal.value.code == "trailing_data"
    assert verify(sample.path, signing_public=None).kind is Kind.TRAILING_DATA


@pytest.mark.parametrize("lie", ["batches", "frames", "chain_sha256", "anchored_batches"])
def test_a_mark_that_tells_another_history_than_the_file_is_noticed(sample: Sample, lie: str) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-1])
    size = sample.path.stat().st_size
    made = mark(sample.path)
    if lie == "anchored_batches":
        told = replace(made, anchored_batches=made.anchored_batches - 1)
    else:
        wrong: Any = bytes(32) if lie == "chain_sha256" else getattr(made.counts, lie) - 1
        told = replace(made, counts=replace(made.counts, **{lie: wrong}))
    data = sample.path.read_bytes()
    front = read_front(io.BytesIO(data))
    report = verify(io.BytesIO(data[:size] + told.encode(front.header_sha256, EVIDENCE.sign)), signing_public=None)
    assert (report.state, report.kind) == (State.DAMAGED, Kind.FLIPPED)


@pytest.mark.parametrize("content", [b"", b"SALYREC1", b"something else entirely"])
def test_a_file_without_a_whole_header_cannot_be_marked(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sallyrec"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as refusal:
        mark(path)
    assert refusal.value.code == "no_header"
    assert path.read_bytes() == content


def test_a_missing_file_and_a_link_are_not_marked(sample: Sample) -> None:
    link = sample.path.with_name("link")
    link.symlink_to(sample.path)
    for path in (link, sample.path.with_name("absent")):
        with pytest.raises(RecordingError) as refusal:
            mark(path)
        assert refusal.value.code == "not_found"


def test_a_mark_that_finds_no_room_says_so_and_can_be_made_later(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-1])
    size = sample.path.stat().st_size
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:50]))
        with pytest.raises(RecordingError) as refusal:
            mark(sample.path)
    assert (refusal.value.code, refusal.value.can_retry) == ("no_space", True)
    assert sample.path.stat().st_size == size
    mark(sample.path)
    assert verify(sample.path, signing_public=None).state is State.BROKEN


@pytest.mark.parametrize(("reason", "public"), [("Not a code", EVIDENCE.public), ("fine", b"short")])
def test_a_mark_with_bad_values_is_refused_before_the_file_is_touched(
    sample: Sample, reason: str, public: bytes
) -> None:
    sample.path.write_bytes(sample.path.read_bytes()[:-1])
    size = sample.path.stat().st_size
    with pytest.raises((RecordingError, ValueError)):
        mark_broken(sample.path, EVIDENCE.sign, reason, NOW_MS, evidence_public=public)
    assert sample.path.stat().st_size == size
