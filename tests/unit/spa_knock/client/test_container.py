"""Whether a recording holds what was confirmed: any other history, by whatever keys, is another recording."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.frames import Frame, FrameKind
from recorder.testing import NOW_MS, FixedRandom, Sample, sample_header, sample_turns, write_sample
from recorder.writer import RecordingWriter, WriterSettings
from spa_knock.client.container import OtherRecording, check_holds, read_opening
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import Receipt
from tests.unit.spa_knock.wire.receipts import a_receipt


def receipt_of(sample: Sample, **changes: object) -> Receipt:
    """The receipt for a whole recording: its head is the signed part of the sealed trailer."""
    record = sample.path.read_bytes()[sample.head.bytes :]
    facts = {
        "recording_id": sample_header().recording_id,
        "signing_key": sample.signing_public.hex(),
        "header_sha256": sample.header_sha256.hex(),
        "head": record[:140].hex(),
        "head_signature": record[140:204].hex(),
    }
    return a_receipt(**{**facts, **changes})


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("recording") / "one.sallyrec")


def holds(content: bytes, receipt: Receipt) -> int:
    return check_holds(io.BytesIO(content), receipt).frames


def running_receipt(sample: Sample) -> Receipt:
    """With the first running head of the file, as for a recording that broke off behind it."""
    content = sample.path.read_bytes()
    at = read_opening(io.BytesIO(content)).end
    while content[at : at + 1] != b"H":
        at += 52 + int.from_bytes(content[at + 4 : at + 8], "big") + 32
    head, signature = content[at : at + 68].hex(), content[at + 68 : at + 132].hex()
    return receipt_of(sample, head=head, head_signature=signature, end="broken")


def test_the_recording_that_was_confirmed_holds_its_head(sample: Sample) -> None:
    assert holds(sample.path.read_bytes(), receipt_of(sample)) == sample.head.frames


def test_a_running_head_is_found_in_its_place_whatever_follows_it(sample: Sample) -> None:
    receipt = running_receipt(sample)
    content = sample.path.read_bytes()
    head = receipt.head_facts()
    assert head is not None
    assert holds(content, receipt) == head.frames < sample.head.frames
    assert holds(content[: head.offset + 132] + b"torn", receipt) == head.frames


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_altered_byte_makes_it_another_recording(sample: Sample, data: st.DataObject) -> None:
    content = bytearray(sample.path.read_bytes())
    front = read_opening(io.BytesIO(bytes(content))).end
    # The header's own signature and those of running heads before the end are not what the receipt confirms.
    places = [*range(front - 64), *range(sample.head.bytes, len(content))]
    content[data.draw(st.sampled_from(places))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((OtherRecording, ReceiptError)):
        holds(bytes(content), receipt_of(sample))


def test_each_altered_batch_is_found(sample: Sample) -> None:
    content = sample.path.read_bytes()
    at = read_opening(io.BytesIO(content)).end
    found = 0
    while at < sample.head.bytes:
        length = 132 if content[at : at + 1] == b"H" else 84 + int.from_bytes(content[at + 4 : at + 8], "big")
        if content[at : at + 1] == b"B":
            altered = content[: at + 60] + bytes([content[at + 60] ^ 1]) + content[at + 61 :]
            with pytest.raises(OtherRecording, match="not what was written"):
                holds(altered, receipt_of(sample))
            found += 1
        at += length
    assert found == len(sample_turns())


@pytest.mark.parametrize("cut", [5, 40, 300, 700, -1, -12, -216, -300])
def test_a_recording_that_was_cut_short_is_another_one(sample: Sample, cut: int) -> None:
    with pytest.raises(OtherRecording):
        holds(sample.path.read_bytes()[:cut], receipt_of(sample))


def test_a_recording_that_goes_on_behind_its_end_is_another_one(sample: Sample) -> None:
    with pytest.raises(OtherRecording, match="goes on behind its end"):
        holds(sample.path.read_bytes() + b"\0", receipt_of(sample))


@pytest.mark.parametrize(("instead", "says"), [(b"none", "was rewritten"), (b"nothing", r"cut short|rewritten")])
def test_a_recording_written_anew_under_the_same_keys_is_found(
    sample: Sample, tmp_path: Path, instead: bytes, says: str
) -> None:
    """The same header, recording key and data key, as somebody with all of the plant's keys can: other frames."""
    turns = sample_turns()
    turns[1] = [Frame(FrameKind.OUTPUT, 0, 250_000, instead)]
    anew = write_sample(tmp_path / "anew.sallyrec", turns)
    assert (anew.header_sha256, anew.signing_public) == (sample.header_sha256, sample.signing_public)
    with pytest.raises(OtherRecording, match=says):
        holds(anew.path.read_bytes(), receipt_of(sample))


def test_another_history_in_front_of_the_confirmed_end_is_found(sample: Sample, tmp_path: Path) -> None:
    turns = sample_turns()
    turns[1] = [Frame(FrameKind.OUTPUT, 0, 250_000, b"none")]
    anew = write_sample(tmp_path / "anew.sallyrec", turns).path.read_bytes()
    with pytest.raises(OtherRecording, match="was rewritten"):
        holds(anew[: sample.head.bytes] + sample.path.read_bytes()[sample.head.bytes :], receipt_of(sample))


def test_the_same_frames_under_another_key_are_another_recording(sample: Sample, tmp_path: Path) -> None:
    random = FixedRandom("other")
    writer = RecordingWriter.create(
        tmp_path / "other.sallyrec",
        header=sample_header(),
        recipient_public=random(32),
        now_ms=NOW_MS,
        random=random,
        settings=WriterSettings(head_every_batches=3),
    )
    for turn in sample_turns():
        writer.append(turn)
    writer.seal("session_ended", NOW_MS + 3_600_000)
    with pytest.raises(OtherRecording, match="another header"):
        holds((tmp_path / "other.sallyrec").read_bytes(), receipt_of(sample))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a recording"),
        (b"SALYREC2" + bytes(100), "not a recording"),
        (b"SALYREC1" + (70_000).to_bytes(4, "big"), "not a recording"),
        (b"SALYREC1" + (9).to_bytes(4, "big") + b"{}", "header"),
        (b"SALYREC1" + (2).to_bytes(4, "big") + b"{}", "header"),
        (b"SALYREC1" + (2).to_bytes(4, "big") + b"[]", "header"),
        (b"SALYREC1" + (60_000).to_bytes(4, "big") + b"[" * 60_000, "header"),
        (b"SALYREC1" + (18).to_bytes(4, "big") + b'{"recording_id":1}', "header"),
    ],
)
def test_what_is_no_recording_says_so(content: bytes, says: str) -> None:
    with pytest.raises(OtherRecording, match=says):
        read_opening(io.BytesIO(content))


def test_another_recording_is_named(sample: Sample) -> None:
    with pytest.raises(OtherRecording, match=sample_header().recording_id):
        holds(sample.path.read_bytes(), receipt_of(sample, recording_id="rec_other"))


def test_a_receipt_without_a_head_confirms_no_recording(sample: Sample) -> None:
    with pytest.raises(OtherRecording, match="no head"):
        holds(sample.path.read_bytes(), receipt_of(sample, head="", head_signature="", end="broken"))


def test_a_head_with_other_counts_is_not_the_recordings(sample: Sample) -> None:
    receipt = running_receipt(sample)
    with pytest.raises(ReceiptError):
        holds(sample.path.read_bytes(), replace(receipt, head=receipt.head[:-2] + "00"))
