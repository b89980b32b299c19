import hashlib
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.batches import Batch, seal_batch
from recorder.frames import Frame, FrameKind
from recorder.manifest import HEAD_BYTES, SEALED_BYTES, TAG_BROKEN, TAG_HEAD, TAG_SEALED, Counts, sign_head, sign_sealed
from recorder.report import Kind, Report, State
from recorder.seal import BatchCipher, Signer, generate_recipient, next_chain, open_data_key
from recorder.testing import FixedRandom, Sample, write_sample
from recorder.verify import main, verify
from recorder.walk import SignedRecord, read_front, read_records
from recorder.writer import WriterSettings
from tests.examples import examples


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("verify") / "a.sallyrec")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """300 turns of very different sizes, 20 heads, some compressed."""
    sizes = [1, 1, 3, 20, 300]
    turns = [
        [Frame(FrameKind.OUTPUT, 0, i * 10_000, hashlib.shake_256(b"%d" % i).digest(1 + i % 90) * sizes[i % 5])]
        for i in range(300)
    ]
    path = tmp_path_factory.mktemp("verify") / "b.sallyrec"
    return write_sample(path, turns, settings=WriterSettings(head_every_batches=15))


def check(data: bytes, of: Sample, *, unsealed: bool = False) -> Report:
    return verify(
        io.BytesIO(data),
        signing_public=of.signing_public,
        unseal_private=of.unseal_private if unsealed else None,
    )


def pieces(data: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The header and each record with its batch number (0: a signed record)."""
    stream = io.BytesIO(data)
    end = read_front(stream).end
    found: list[tuple[int, int]] = []
    for offset, record in read_records(stream, end, len(data)):
        assert isinstance(record, Batch | SignedRecord)
        found.append((offset, record.prelude.number if isinstance(record, Batch) else 0))
    ends = [offset for offset, _ in found[1:]] + [len(data)]
    return data[:end], [(data[a:b], number) for (a, number), b in zip(found, ends, strict=True)]


def batch_at(data: bytes, position: int) -> tuple[int, bool]:
    """The number of the batch that holds a byte (0: the header), and whether it lies in a signed record instead."""
    front, records = pieces(data)
    offset = len(front)
    if position < offset:
        return 0, False
    for record, number in records:
        offset += len(record)
        if position < offset:
            return number, number == 0
    raise AssertionError("beyond the file")


def begins_batch(data: bytes, position: int) -> bool:
    """Whether this byte is the tag of a batch."""
    front, records = pieces(data)
    starts = itertools.accumulate((len(record) for record, _ in records), initial=len(front))
    return any(start == position and number for start, (_, number) in zip(starts, records, strict=False))


def test_a_whole_recording_is_sealed(sample: Sample) -> None:
    for unsealed in (False, True):
        report = check(sample.path.read_bytes(), sample, unsealed=unsealed)
        assert (report.state, report.kind, report.first_bad_batch) == (State.SEALED, None, None)
        assert (report.batches, report.frames, report.anchored_batches) == (7, 10, 7)
        assert report.head == sample.head
        assert report.bytes == sample.path.stat().st_size
        assert report.is_decrypted is unsealed


@pytest.mark.exhaustive
def test_every_single_byte_flip_in_a_small_recording_is_found_and_named(sample: Sample) -> None:
    data = sample.path.read_bytes()
    for position in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            report = check(data[:position] + bytes([data[position] ^ change]) + data[position + 1 :], sample)
            where = (position, change, report)
            assert report.state is not State.SEALED, where
            assert report.kind is not None, where
            number, is_signed_record = batch_at(data, position)
            if position >= len(data) - SEALED_BYTES:
                assert report.kind in (Kind.FORGED_HEAD, Kind.FLIPPED, Kind.TORN_TAIL), where
            else:
                assert report.state is State.DAMAGED, where
                assert report.kind in (Kind.FLIPPED, Kind.FORGED_HEAD, Kind.NOT_A_RECORDING, Kind.UNSUPPORTED), where
            if report.kind is Kind.FLIPPED and not is_signed_record:
                assert report.first_bad_batch == number, where


@examples(300)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_byte_flip_in_a_larger_recording_is_found(large: Sample, where: float, change: int) -> None:
    whole = large.path.read_bytes()
    position = int(where * len(whole))
    report = check(whole[:position] + bytes([whole[position] ^ change]) + whole[position + 1 :], large)
    assert report.state is not State.SEALED
    assert report.kind is not None
    number, is_signed_record = batch_at(whole, position)
    if begins_batch(whole, position) and whole[position] ^ change in (TAG_HEAD, TAG_SEALED, TAG_BROKEN):
        # One tag's flip makes a batch pass for a signed record: its signature is what does not fit then.
        assert report.kind in (Kind.FORGED_HEAD, Kind.FLIPPED)
    elif not is_signed_record:
        assert (report.kind, report.first_bad_batch) in (
            (Kind.FLIPPED, number),
            (Kind.NOT_A_RECORDING, 0),
            (Kind.UNSUPPORTED, 0),
        )


@pytest.mark.exhaustive
def test_a_recording_cut_at_any_byte_is_never_sealed_and_its_whole_batches_are_counted(sample: Sample) -> None:
    data = sample.path.read_bytes()
    front, records = pieces(data)
    ends = list(itertools.accumulate((len(record) for record, _ in records), initial=len(front)))
    for length in range(len(data)):
        report = check(data[:length], sample)
        if length < len(front):
            assert (report.state, report.kind) == (State.DAMAGED, Kind.TRUNCATED), length
            continue
        whole = sum(1 for (_, number), end in zip(records, ends[1:], strict=True) if number and end <= length)
        kind = Kind.MISSING_TRAILER if length in ends else Kind.TORN_TAIL
        assert (report.state, report.kind, report.batches) == (State.OPEN, kind, whole), length
        audited = verify(io.BytesIO(data[:length]), signing_public=None, audited_chain=sample.head.chain_sha256)
        if whole < 7:
            assert (audited.state, audited.kind) == (State.DAMAGED, Kind.TRUNCATED), length
            assert audited.first_bad_batch == whole + 1


@pytest.mark.parametrize("unsealed", [False, True])
def test_every_dropped_batch_is_named(sample: Sample, unsealed: bool) -> None:
    front, records = pieces(sample.path.read_bytes())
    for number in range(1, 8):
        rest = b"".join(record for record, own in records if own != number)
        report = check(front + rest, sample, unsealed=unsealed)
        assert (report.state, report.kind, report.first_bad_batch) == (State.DAMAGED, Kind.DROPPED, number)


def test_the_time_of_a_dropped_batch_is_that_of_the_last_good_moment(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes())
    rest = b"".join(record for record, own in records if own != 5)
    assert check(front + rest, sample).at_us == 1_500_250


def test_every_two_batches_put_in_each_others_place_are_named(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes())
    places = [i for i, (_, number) in enumerate(records) if number]
    for a, b in itertools.combinations(places, 2):
        swapped = list(records)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        report = check(front + b"".join(record for record, _ in swapped), sample)
        assert (report.state, report.kind) == (State.DAMAGED, Kind.REORDERED)
        assert report.first_bad_batch == records[a][1]


def test_a_batch_that_stands_twice_is_named(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes())
    doubled = [*records[:2], records[1], *records[2:]]
    report = check(front + b"".join(record for record, _ in doubled), sample)
    assert (report.kind, report.first_bad_batch) == (Kind.REORDERED, 3)


def test_a_dropped_running_head_is_noticed(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes())
    assert len(records[3][0]) == HEAD_BYTES
    report = check(front + b"".join(record for i, (record, _) in enumerate(records) if i != 3), sample)
    assert report.state is State.DAMAGED


def test_what_stands_behind_the_trailer_is_noticed(sample: Sample) -> None:
    data = sample.path.read_bytes()
    for extra in (b"\0", b"x" * 300, data[-SEALED_BYTES:]):
        report = check(data + extra, sample)
        assert report.state is State.DAMAGED
        assert report.kind is Kind.TRAILING_DATA


def test_another_signing_or_unseal_key_is_a_wrong_key(sample: Sample) -> None:
    data = sample.path.read_bytes()
    other = generate_recipient()
    assert verify(io.BytesIO(data), signing_public=other[1]).kind is Kind.WRONG_KEY
    report = verify(io.BytesIO(data), signing_public=None, unseal_private=other[0])
    assert (report.state, report.kind, report.first_bad_batch) == (State.DAMAGED, Kind.WRONG_KEY, 0)


def rebuilt(sample: Sample, sign_with: Callable[[bytes], bytes], *, replaced: int) -> bytes:
    """What somebody with the file, the data key and `sign_with` can make: one batch rewritten, all the rest fitting."""
    front, records = pieces(sample.path.read_bytes())
    opening = read_front(io.BytesIO(front)).opening
    data_key = open_data_key(opening.key, sample.unseal_private, opening.header.recording_id)
    cipher = BatchCipher(data_key, sample.header_sha256)
    counts = Counts(0, 0, len(front), 0, sample.header_sha256)
    chain_before = sample.header_sha256
    out = [front]
    for record, number in records:
        if number:
            stream = io.BytesIO(record)
            _, old = next(read_records(stream, 0, len(record)))
            assert isinstance(old, Batch)
            frames = old.open(cipher, chain_before)
            chain_before = next_chain(chain_before, old.digest)
            if number == replaced:
                frames = [Frame(frame.kind, frame.channel, frame.at_us, b"rewritten") for frame in frames]
            record, digest = seal_batch(frames, number, counts.frames + 1, counts.chain_sha256, cipher)
            counts = Counts(
                number,
                counts.frames + len(frames),
                counts.offset + len(record),
                frames[-1].at_us,
                next_chain(counts.chain_sha256, digest),
            )
        elif len(record) == HEAD_BYTES:
            _, record = sign_head(counts, sample.header_sha256, sign_with)
            counts = Counts(
                counts.batches, counts.frames, counts.offset + len(record), counts.at_us, counts.chain_sha256
            )
        else:
            _, record = sign_sealed(counts, "session_ended", 1, sample.header_sha256, sign_with)
        out.append(record)
    return b"".join(out)


def test_heads_signed_by_another_key_are_forged_even_with_the_data_key(sample: Sample) -> None:
    forged = rebuilt(sample, Signer.generate(FixedRandom("thief")).sign, replaced=5)
    report = check(forged, sample, unsealed=True)
    assert (report.state, report.kind) == (State.DAMAGED, Kind.FORGED_HEAD)
    assert report.first_bad_batch == 1  # the first batch that no genuine head vouches for


def test_a_rewritten_batch_under_genuine_heads_is_found_between_its_anchors(sample: Sample) -> None:
    front, records = pieces(sample.path.read_bytes())
    forged = pieces(rebuilt(sample, lambda _: bytes(64), replaced=5))[1]
    mixed = [old if not number else new for (old, number), (new, _) in zip(records, forged, strict=True)]
    report = check(front + b"".join(mixed), sample)
    assert (report.state, report.kind, report.first_bad_batch) == (State.DAMAGED, Kind.FLIPPED, 4)
    assert report.anchored_batches == 3


def test_a_sealed_recording_with_another_head_than_the_audited_one_is_forged(sample: Sample) -> None:
    data = sample.path.read_bytes()
    good = verify(io.BytesIO(data), signing_public=None, audited_chain=sample.head.chain_sha256)
    assert good.state is State.SEALED
    other = verify(io.BytesIO(data), signing_public=None, audited_chain=bytes(32))
    assert (other.state, other.kind) == (State.DAMAGED, Kind.FORGED_HEAD)


def test_an_empty_file_and_a_foreign_file_are_no_recordings() -> None:
    assert verify(io.BytesIO(b""), signing_public=None).kind is Kind.TRUNCATED
    assert verify(io.BytesIO(b"PK\3\4" * 100), signing_public=None).kind is Kind.NOT_A_RECORDING


def test_a_file_that_claims_a_huge_batch_is_refused_without_reading_it(sample: Sample) -> None:
    front, _ = pieces(sample.path.read_bytes())
    report = check(front + b"B" + b"\xff" * 200, sample)
    assert (report.state, report.kind, report.first_bad_batch) == (State.DAMAGED, Kind.FLIPPED, 1)


@pytest.fixture
def key_file(sample: Sample, tmp_path: Path) -> Path:
    path = tmp_path / "unseal.key"
    path.write_bytes(sample.unseal_private)
    return path


def test_the_command_says_sealed_and_exits_zero(
    sample: Sample, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(sample.path), "--signing-key", sample.signing_public.hex(), "--unseal-key-file", str(key_file)]
    assert main([*arguments, "--chain", sample.head.chain_sha256.hex()]) == 0
    assert "SEALED" in capsys.readouterr().out


def test_the_command_names_the_damage_and_exits_one(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    front, records = pieces(sample.path.read_bytes())
    bad = tmp_path / "bad.sallyrec"
    bad.write_bytes(front + b"".join(record for record, number in records if number != 5))
    assert main([str(sample.path), str(bad)]) == 1
    out = capsys.readouterr().out
    assert "what: dropped" in out
    assert "first bad: batch 5 at 0:00:01.500250" in out
    assert "taken from the file itself" in out


def test_the_command_speaks_json(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_file = tmp_path / "open.sallyrec"
    open_file.write_bytes(sample.path.read_bytes()[:-SEALED_BYTES])
    assert main([str(open_file), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["state"], told["kind"]) == (str(open_file), "open", "missing_trailer")
    assert told["chain_sha256"] == sample.head.chain_sha256.hex()


def test_the_command_exits_two_for_a_missing_file_and_a_bad_key(sample: Sample, tmp_path: Path) -> None:
    assert main([str(tmp_path / "absent"), str(sample.path)]) == 2
    with pytest.raises(SystemExit) as stopped:
        main([str(sample.path), "--signing-key", "abcd"])
    assert stopped.value.code == 2
