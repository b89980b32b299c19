"""Only the archive's receipt of these very bytes, under a long lock, lets a recording's file go."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.gateway.releasing import REPORTED, Outcome, Releasing
from recorder.broken import mark_broken
from recorder.receipt import Receipt, signed_line
from recorder.testing import NOW_MS, Sample, sample_header, write_sample
from recorder.tombstone import LEAST_KEPT_MS
from recorder.writer import RecordingWriter

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECORDING = sample_header().recording_id
ENDED_MS = NOW_MS + 3_600_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recordings"
    made.mkdir()
    (tmp_path / "receipts.pem").write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return made


@pytest.fixture
def sample(folder: Path) -> Sample:
    return write_sample(folder / f"{RECORDING}.sallyrec")


def receipt_of(path: Path, **changes: object) -> Receipt:
    data = path.read_bytes()
    receipt = Receipt(
        site="demo",
        recording_id=RECORDING,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        bucket="recordings",
        version="v1",
        lock_mode="compliance",
        locked_until_ms=ENDED_MS + LEAST_KEPT_MS,
        verified_at_ms=ENDED_MS,
    )
    return replace(receipt, **changes)  # type: ignore[arg-type]


def releasing(folder: Path, told: list[Mapping[str, str | int]] | None = None) -> Releasing:
    def report(code: str, params: Mapping[str, str | int]) -> None:
        assert code == REPORTED
        (told if told is not None else []).append(params)

    return Releasing(folder, folder.parent / "receipts.pem", report)


def test_a_receipt_of_these_bytes_lets_the_file_go_once(folder: Path, sample: Sample) -> None:
    line = signed_line(receipt_of(sample.path), KEY.sign)
    assert releasing(folder).release(line)[1] is Outcome.RELEASED
    assert list(folder.iterdir()) == []
    assert releasing(folder).release(line)[1] is Outcome.ABSENT


def test_nothing_goes_without_the_archives_signature(folder: Path, sample: Sample) -> None:
    good = signed_line(receipt_of(sample.path), KEY.sign)
    for line in (
        signed_line(receipt_of(sample.path), Ed25519PrivateKey.generate().sign),
        good.replace(b'"version":"v1"', b'"version":"v2"'),
        b"rec_1",
        b"",
        good + b" " * 5000,
        signed_line(receipt_of(sample.path, recording_id="../" + RECORDING), KEY.sign),
        signed_line(receipt_of(sample.path, recording_id="rec_/../../x"), KEY.sign),
    ):
        assert releasing(folder).release(line) == (None, Outcome.NOT_SIGNED)
    assert sample.path.exists()


def test_nothing_goes_when_there_is_no_archive(folder: Path, sample: Sample) -> None:
    line = signed_line(receipt_of(sample.path), KEY.sign)
    assert Releasing(folder, None, lambda *_: None).release(line)[1] is Outcome.NOT_SIGNED
    assert Releasing(folder, folder / "absent.pem", lambda *_: None).release(line)[1] is Outcome.NOT_SIGNED
    assert sample.path.exists()


@pytest.mark.parametrize("change", [{"sha256": "ab" * 32}, {"bytes": 10}])
def test_a_copy_of_other_bytes_keeps_the_file(folder: Path, sample: Sample, change: dict[str, object]) -> None:
    line = signed_line(receipt_of(sample.path, **change), KEY.sign)
    assert releasing(folder).release(line)[1] is Outcome.OTHER_BYTES
    assert sample.path.exists()


def test_a_file_that_was_changed_after_its_copy_stays(folder: Path, sample: Sample) -> None:
    line = signed_line(receipt_of(sample.path), KEY.sign)
    data = bytearray(sample.path.read_bytes())
    data[len(data) // 2] ^= 1
    sample.path.write_bytes(bytes(data))
    assert releasing(folder).release(line)[1] is Outcome.OTHER_BYTES
    assert sample.path.exists()


def test_a_lock_that_ends_before_180_days_from_the_files_own_end_keeps_the_file(folder: Path, sample: Sample) -> None:
    early = receipt_of(sample.path, locked_until_ms=ENDED_MS + LEAST_KEPT_MS - 1, verified_at_ms=ENDED_MS - 10)
    assert releasing(folder).release(signed_line(early, KEY.sign))[1] is Outcome.LOCK_TOO_SHORT
    assert sample.path.exists()


def test_a_recording_that_is_still_written_stays(folder: Path, sample: Sample) -> None:
    sample.path.unlink()
    writer = RecordingWriter.create(
        sample.path, header=sample_header(), recipient_public=bytes([9] + [0] * 31), now_ms=NOW_MS, random=_random
    )
    line = signed_line(receipt_of(sample.path), KEY.sign)
    assert releasing(folder).release(line)[1] is Outcome.UNFINISHED
    writer.close_broken()
    evidence = Ed25519PrivateKey.generate()
    public = evidence.public_key().public_bytes_raw()
    mark_broken(sample.path, evidence.sign, "gateway_crashed", ENDED_MS, evidence_public=public)
    assert releasing(folder).release(line)[1] is Outcome.OTHER_BYTES
    assert releasing(folder).release(signed_line(receipt_of(sample.path), KEY.sign))[1] is Outcome.RELEASED


def _random(count: int) -> bytes:
    return bytes(range(1, count + 1))


def test_a_damaged_file_stays(folder: Path, sample: Sample) -> None:
    data = bytearray(sample.path.read_bytes())
    data[3] ^= 1
    sample.path.write_bytes(bytes(data))
    line = signed_line(receipt_of(sample.path), KEY.sign)
    assert releasing(folder).release(line)[1] is Outcome.NOT_READABLE
    assert sample.path.exists()


async def test_what_became_of_an_order_is_told(folder: Path, sample: Sample) -> None:
    told: list[Mapping[str, str | int]] = []
    serving = releasing(folder, told)
    serving.begin(b"junk")
    serving.begin(signed_line(receipt_of(sample.path), KEY.sign))
    task = asyncio.create_task(serving.run())
    while not told:
        await asyncio.sleep(0)
    task.cancel()
    assert told == [{"recording_id": RECORDING, "outcome": "released"}]
