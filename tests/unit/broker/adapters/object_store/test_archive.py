import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.adapters.object_store.archive import Facts, facts_of
from broker.adapters.object_store.testing import PART_BYTES, ArchiveRig
from recorder.errors import StoreError
from recorder.receipt import read_line
from recorder.stores.port import Stored
from recorder.stores.testing import refusal
from recorder.testing import write_sample
from recorder.tombstone import line_of
from tests.unit.recorder.test_tombstone import STONE

RECORDING = "rec_06ew000000000000000000000g"


@pytest.fixture
def rig(tmp_path: Path) -> ArchiveRig:
    return ArchiveRig(tmp_path / "archive.sock")


class File:
    """A recording's file that grows, open for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")
        self.descriptor = os.open(path, os.O_RDONLY)

    def grow(self, data: bytes) -> None:
        with self.path.open("ab") as stream:
            stream.write(data)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    made = File(tmp_path / "recording")
    yield made
    os.close(made.descriptor)


def code_of(refused: pytest.ExceptionInfo[StoreError]) -> str:
    return refused.value.code


def finished(rig: ArchiveRig, file: File, size: int, attempt: int = 1) -> Stored:
    archive = rig.archive()
    for _ in range(size // PART_BYTES + 2):
        done = archive.advance(RECORDING, file.descriptor, size, attempt)
        if done.stored is not None:
            return done.stored
    raise AssertionError("it did not end")


def test_whole_parts_go_while_a_recording_grows_and_one_at_a_time(rig: ArchiveRig, file: File) -> None:
    archive = rig.archive()
    file.grow(b"a" * 999)
    assert archive.advance(RECORDING, file.descriptor, None, 1).uploaded == 0
    assert rig.bucket.uploads == {}
    file.grow(b"b" * 1501)
    assert [archive.advance(RECORDING, file.descriptor, None, 1).uploaded for _ in range(3)] == [1000, 2000, 2000]
    assert rig.bucket.calls.count("upload_part") == 2
    done = archive.advance(RECORDING, file.descriptor, 2500, 1)
    assert done.stored == Stored(RECORDING, 2500, done.stored.version if done.stored else "")
    assert rig.bucket.objects[0].data == b"a" * 999 + b"b" * 1501


@pytest.mark.parametrize("dies_at", range(1, 12))
def test_a_process_that_dies_anywhere_leaves_one_object_and_no_upload(
    rig: ArchiveRig, file: File, dies_at: int
) -> None:
    file.grow(os.urandom(2500))

    class Killed(BaseException):
        pass

    def kill(_name: str) -> None:
        if len(rig.bucket.calls) == dies_at:
            raise Killed

    rig.bucket.before = kill
    try:
        finished(rig, file, 2500)
    except Killed:
        rig.bucket.before = lambda name: None
        finished(rig, file, 2500)
    assert [one.data for one in rig.bucket.objects] == [file.path.read_bytes()]
    assert rig.bucket.uploads == {}


def test_an_answer_that_was_lost_doubles_nothing(rig: ArchiveRig, file: File) -> None:
    file.grow(b"x" * 10)
    first = finished(rig, file, 10)
    assert finished(rig, file, 10) == first
    assert finished(rig, file, 10, attempt=2) != first
    assert len(rig.bucket.objects) == 2


def test_a_store_that_is_away_costs_nothing_that_it_has(rig: ArchiveRig, file: File) -> None:
    archive = rig.archive()
    file.grow(b"x" * 2000)
    archive.advance(RECORDING, file.descriptor, None, 1)
    rig.bucket.is_down = True
    with pytest.raises(StoreError) as said:
        archive.advance(RECORDING, file.descriptor, None, 1)
    assert code_of(said) == "unreachable"
    rig.bucket.is_down = False
    assert archive.advance(RECORDING, file.descriptor, None, 1).uploaded == 2000
    assert rig.bucket.calls.count("create_multipart_upload") == 1


def test_of_two_unfinished_uploads_the_longer_goes_on(rig: ArchiveRig, file: File) -> None:
    file.grow(b"x" * 2500)
    store = rig.archive().store
    store.begin(RECORDING)
    store.add(store.begin(RECORDING), b"x" * 1000)
    assert rig.archive().advance(RECORDING, file.descriptor, None, 1).uploaded == 2000
    assert len(rig.bucket.uploads) == 1


def test_an_upload_that_somebody_gave_up_begins_anew(rig: ArchiveRig, file: File) -> None:
    archive = rig.archive()
    file.grow(b"x" * 2500)
    archive.advance(RECORDING, file.descriptor, None, 1)
    rig.bucket.uploads.clear()
    with pytest.raises(StoreError):
        archive.advance(RECORDING, file.descriptor, None, 1)
    assert archive.advance(RECORDING, file.descriptor, None, 1).uploaded == 1000


def test_a_file_of_another_size_than_it_ended_with_is_not_sent(rig: ArchiveRig, file: File) -> None:
    file.grow(b"x" * 10)
    with pytest.raises(StoreError) as said:
        rig.archive().advance(RECORDING, file.descriptor, 11, 1)
    assert code_of(said) == "altered"


def test_a_file_that_shrank_is_noticed_and_its_upload_given_up(rig: ArchiveRig, file: File) -> None:
    archive = rig.archive()
    file.grow(b"x" * 2000)
    archive.advance(RECORDING, file.descriptor, None, 1)
    os.truncate(file.path, 10)
    with pytest.raises(StoreError) as said:
        archive.advance(RECORDING, file.descriptor, None, 1)
    assert code_of(said) == "altered"
    assert rig.bucket.uploads == {}


# -- verifying -------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(rig: ArchiveRig, tmp_path: Path) -> tuple[Stored, Facts, bytes]:
    """A whole recording in the bucket, what it must be, and its bytes."""
    sample = write_sample(tmp_path / "sample.sallyrec")
    data = (tmp_path / "sample.sallyrec").read_bytes()
    with (tmp_path / "sample.sallyrec").open("rb") as stream:
        store = rig.archive().store
        kept = store.put(RECORDING, stream)
    return kept, Facts(sample.signing_public, sample.head.chain_sha256, None, rig.now + timedelta(days=200)), data


def test_a_good_copy_is_locked_and_gets_a_receipt(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, facts, data = copied
    receipt = read_line(rig.archive().verify(kept, facts), rig.receipts_public)
    assert receipt.sha256 == hashlib.sha256(data).hexdigest()
    assert (receipt.recording_id, receipt.bytes, receipt.version) == (RECORDING, len(data), kept.version)
    assert receipt.locked_until_ms == int(facts.keep_until.timestamp() * 1000)
    assert rig.bucket.objects[0].retention == {"Mode": "COMPLIANCE", "RetainUntilDate": facts.keep_until}


def test_the_lock_lasts_180_days_whatever_was_asked(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, facts, _ = copied
    soon = Facts(facts.signing_public, facts.chain, None, rig.now)
    receipt = read_line(rig.archive().verify(kept, soon), rig.receipts_public)
    assert receipt.locked_until_ms >= (rig.now + timedelta(days=180)).timestamp() * 1000


@pytest.mark.parametrize("place", [3, 300, -1])
def test_a_byte_that_comes_back_wrong_gets_no_receipt_and_no_lock(
    rig: ArchiveRig, copied: tuple[Stored, Facts, bytes], place: int
) -> None:
    kept, facts, _ = copied

    def spoil(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[place] ^= 1
        return bytes(changed)

    rig.bucket.spoil = spoil
    with pytest.raises(StoreError) as said:
        rig.archive().verify(kept, facts)
    assert code_of(said) == "altered"
    assert rig.bucket.objects[0].retention is None


def test_a_copy_that_is_cut_short_gets_no_receipt(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, facts, data = copied
    rig.bucket.objects[0].data = data[:-100]
    with pytest.raises(StoreError) as said:
        rig.archive().verify(kept, facts)
    assert code_of(said) == "altered"


def test_another_recording_in_its_place_gets_no_receipt(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, facts, _ = copied
    other = Facts(bytes(32), facts.chain, None, facts.keep_until)
    end = Facts(facts.signing_public, bytes(32), None, facts.keep_until)
    for wrong in (other, end):
        with pytest.raises(StoreError) as said:
            rig.archive().verify(kept, wrong)
        assert code_of(said) == "altered"


def test_a_store_that_refuses_the_lock_gets_no_receipt(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, facts, _ = copied
    rig.bucket.drops_lock = True
    with pytest.raises(StoreError) as said:
        rig.archive().verify(kept, facts)
    assert code_of(said) == "no_lock"

    def forbidden(name: str) -> None:
        if name == "put_object_retention":
            raise refusal("AccessDenied")

    rig.bucket.drops_lock, rig.bucket.before = False, forbidden
    with pytest.raises(StoreError) as said:
        rig.archive().verify(kept, facts)
    assert code_of(said) == "locked"


def test_uploads_that_nobody_wants_are_given_up(rig: ArchiveRig) -> None:
    archive = rig.archive()
    archive.store.begin(RECORDING)
    archive.store.begin("rec_06ew000000000000000000000h")
    assert archive.abandoned(lambda name: name == RECORDING) == 1
    assert [one.recording_id for one in archive.store.unfinished()] == [RECORDING]


def test_an_object_goes_only_with_a_tombstone_of_the_site(rig: ArchiveRig, copied: tuple[Stored, Facts, bytes]) -> None:
    kept, _, _ = copied
    rig.archive().store.begin(kept.recording_id)
    stone = replace(STONE, recording_id=kept.recording_id)
    forged = line_of(stone, stone.signature(Ed25519PrivateKey.generate().sign))
    for line in (forged, b"{}", b""):
        with pytest.raises(StoreError) as said:
            rig.archive().remove(line)
        assert code_of(said) == "not_signed"
    assert len(rig.bucket.objects) == 1
    lawful = line_of(stone, stone.signature(rig.checkpoint.sign))
    assert rig.archive().remove(lawful) == 1
    assert rig.archive().remove(lawful) == 0
    assert (rig.bucket.objects, rig.bucket.uploads) == ([], {})


def test_facts_that_make_no_sense_are_refused() -> None:
    good = {"signing_public": "00" * 32, "chain": None, "evidence_public": None, "keep_until_ms": 1}
    assert facts_of(good).chain is None
    for change in ({"signing_public": "00"}, {"chain": "zz"}, {"keep_until_ms": "1"}, {"signing_public": None}):
        with pytest.raises(ValueError, match=r"."):
            facts_of({**good, **change})
