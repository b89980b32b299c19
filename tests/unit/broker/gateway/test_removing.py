"""Only a signed tombstone of a recording that is really old takes its file away."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.gateway.removing import REPORTED, Outcome, Removing
from recorder.broken import mark_broken
from recorder.frames import Frame, FrameKind
from recorder.purged import read_tombstone, tombstone_path
from recorder.testing import NOW_MS, Sample, sample_header, write_sample
from recorder.tombstone import LEAST_KEPT_MS, Tombstone, line_of
from recorder.writer import RecordingWriter
from tests.unit.recorder.test_tombstone import KEY, PUBLIC, STONE

ENDED_MS = NOW_MS + 3_600_000
LATE_MS = ENDED_MS + LEAST_KEPT_MS


def key_file(folder: Path) -> Path:
    path = folder / "checkpoint.pem"
    path.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recordings"
    made.mkdir()
    return made


@pytest.fixture
def sample(folder: Path) -> Sample:
    return write_sample(folder / f"{STONE.recording_id}.sallyrec")


def stone_of(sample: Sample, **changes: object) -> Tombstone:
    told = replace(
        STONE,
        opened_at_ms=NOW_MS,
        closed_at_ms=ENDED_MS,
        signing_key=sample.signing_public.hex(),
        header_sha256=sample.header_sha256.hex(),
        purged_at_ms=LATE_MS,
    )
    return replace(told, **changes)  # type: ignore[arg-type]


def signed(stone: Tombstone, key: Ed25519PrivateKey = KEY) -> bytes:
    return line_of(stone, stone.signature(key.sign))


def removing(folder: Path, now_ms: int = LATE_MS, told: list[Mapping[str, str | int]] | None = None) -> Removing:
    def report(code: str, params: Mapping[str, str | int]) -> None:
        assert code == REPORTED
        (told if told is not None else []).append(params)

    return Removing(folder, key_file(folder.parent), report, lambda: now_ms)


def test_a_signed_tombstone_takes_the_file_and_stays_in_its_place(folder: Path, sample: Sample) -> None:
    line = signed(stone_of(sample))
    assert removing(folder).remove(line)[1] is Outcome.REMOVED
    assert not sample.path.exists()
    assert read_tombstone(tombstone_path(sample.path), PUBLIC) == stone_of(sample)
    assert removing(folder).remove(line)[1] is Outcome.ABSENT


def test_what_a_kill_left_between_tombstone_and_removal_is_completed(folder: Path, sample: Sample) -> None:
    line = signed(stone_of(sample))
    tombstone_path(sample.path).write_bytes(line[:100])
    (folder / f"{STONE.recording_id}.tombstone.new").write_bytes(line[:50])
    assert removing(folder).remove(line)[1] is Outcome.REMOVED
    assert sorted(one.name for one in folder.iterdir()) == [f"{STONE.recording_id}.tombstone"]


@pytest.mark.parametrize("how", ["other_key", "changed", "junk", "early", "alone"])
def test_nothing_is_removed_without_the_sites_signature(folder: Path, sample: Sample, how: str) -> None:
    line = signed(stone_of(sample))
    match how:
        case "other_key":
            line = signed(stone_of(sample), Ed25519PrivateKey.generate())
        case "changed":
            line = line.replace(b'"frames":9', b'"frames":8')
        case "junk":
            line = b"rec_1"
        case "early":
            line = line.replace(str(LATE_MS).encode(), str(LATE_MS - 1).encode())
        case _:
            line = line.replace(b"psn_auditor", b"psn_system")
    assert removing(folder).remove(line)[1] is Outcome.NOT_SIGNED
    assert sample.path.exists()
    assert not tombstone_path(sample.path).exists()


@pytest.mark.parametrize("now_ms", [LATE_MS - 1, ENDED_MS, 0])
def test_control_cannot_have_a_young_recording_removed_whatever_it_signs(
    folder: Path, sample: Sample, now_ms: int
) -> None:
    # Times in a tombstone are control's word; the file's own times are signed by the recording.
    lied = stone_of(sample, opened_at_ms=0, closed_at_ms=0, purged_at_ms=LEAST_KEPT_MS)
    for line in (signed(lied), signed(stone_of(sample))):
        assert removing(folder, now_ms).remove(line)[1] is Outcome.TOO_YOUNG
    assert sample.path.exists()


def test_the_file_must_be_the_tombstones_own(folder: Path, sample: Sample) -> None:
    for changes in ({"header_sha256": "00" * 32}, {"session_id": "ses_1"}):
        assert removing(folder).remove(signed(stone_of(sample, **changes)))[1] is Outcome.OTHER_RECORDING
    assert sample.path.exists()


@pytest.mark.parametrize("name", ["../rec_1", "rec_../../x", "ses_1", "rec_1/../../x"])
def test_a_name_never_leads_out_of_the_folder(folder: Path, sample: Sample, name: str) -> None:
    aside = folder.parent / "x.sallyrec"
    aside.write_bytes(sample.path.read_bytes())
    assert removing(folder).remove(signed(stone_of(sample, recording_id=name)))[1] is Outcome.NOT_SIGNED
    assert aside.exists()


def test_a_recording_without_its_end_stays_and_so_does_a_damaged_one(folder: Path, sample: Sample) -> None:
    whole = sample.path.read_bytes()
    sample.path.write_bytes(whole[:-216])
    assert removing(folder).remove(signed(stone_of(sample)))[1] is Outcome.UNFINISHED
    sample.path.write_bytes(whole[:20] + b"X" + whole[21:])
    assert removing(folder).remove(signed(stone_of(sample)))[1] is Outcome.NOT_READABLE
    sample.path.write_bytes(whole[:-100] + b"X" + whole[-99:])
    assert removing(folder).remove(signed(stone_of(sample)))[1] is Outcome.NOT_READABLE
    assert sample.path.exists()


def test_a_broken_recording_counts_from_when_it_was_marked(folder: Path) -> None:
    path = folder / f"{STONE.recording_id}.sallyrec"
    writer = RecordingWriter.create(
        path, header=sample_header(), recipient_public=KEY_PUBLIC, now_ms=NOW_MS, random=lambda count: bytes(count)
    )
    writer.append([Frame(FrameKind.OUTPUT, 0, 1, b"x")])
    writer.close_broken()
    mark_broken(path, KEY.sign, "gateway_crashed", ENDED_MS, evidence_public=PUBLIC)
    stone = replace(
        STONE,
        state="broken",
        opened_at_ms=NOW_MS,
        closed_at_ms=ENDED_MS,
        signing_key=writer.signing_public.hex(),
        header_sha256=writer.header_sha256.hex(),
        head_sha256=None,
        head_signature=None,
        purged_at_ms=LATE_MS,
    )
    assert removing(folder, LATE_MS - 1).remove(signed(stone))[1] is Outcome.TOO_YOUNG
    assert removing(folder).remove(signed(stone))[1] is Outcome.REMOVED


KEY_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


def test_without_a_key_nothing_is_removed_and_a_folder_that_is_gone_is_told(folder: Path, sample: Sample) -> None:
    line = signed(stone_of(sample))
    assert Removing(folder, None, lambda code, params: None, lambda: LATE_MS).remove(line)[1] is Outcome.NOT_SIGNED
    gone = Removing(folder / "gone", key_file(folder.parent), lambda code, params: None, lambda: LATE_MS)
    assert gone.remove(line)[1] is Outcome.DISK


async def test_orders_are_carried_out_one_by_one_and_each_is_reported(folder: Path, sample: Sample) -> None:
    told: list[Mapping[str, str | int]] = []
    one = removing(folder, told=told)
    running = asyncio.create_task(one.run())
    for line in (b"junk", signed(stone_of(sample)), signed(stone_of(sample))):
        one.begin(line)
    async with asyncio.timeout(30):
        while len(told) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    assert [params["outcome"] for params in told] == ["removed", "absent"]
    assert {params["recording_id"] for params in told} == {STONE.recording_id}


def test_more_orders_than_can_wait_are_dropped(folder: Path) -> None:
    one = removing(folder)
    for _ in range(1000):
        one.begin(b"junk")
