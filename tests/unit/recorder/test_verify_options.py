"""What may be told to the verifier, and a recording against its session's receipt on the command line."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.frames import Frame, FrameKind
from recorder.manifest import TAG_SEALED, Counts, decode_sealed, sign_head
from recorder.seal import Signer
from recorder.testing import NOW_MS, FixedRandom, Sample, sample_header, sample_turns, write_sample
from recorder.verify import ExitCode, main
from recorder.verify_options import parser
from recorder.walk import file_size, read_ending
from recorder.writer import RecordingWriter, WriterSettings
from tests.unit.spa_knock.wire.receipts import DEVICE_KEY, a_receipt, signed, spki


def trailer_of(path: Path) -> tuple[str, str]:
    """The signed part of the sealed trailer, and its signature."""
    with path.open("rb") as stream:
        ending = read_ending(stream, file_size(stream))
        assert ending.tag == TAG_SEALED
        stream.seek(ending.start)
        record = stream.read()
    at = len(record) - 12 - 64
    return record[:at].hex(), record[at : at + 64].hex()


def receipt_for(sample: Sample, folder: Path, **changes: object) -> Path:
    """What the session's device keeps of this recording."""
    head, signature = trailer_of(sample.path)
    header = sample_header()
    facts = {
        "recording_id": header.recording_id,
        "session_id": header.session_id,
        "signing_key": sample.signing_public.hex(),
        "header_sha256": sample.header_sha256.hex(),
        "head": head,
        "head_signature": signature,
    }
    path = folder / "ses.receipt"
    path.write_bytes(signed(a_receipt(**{**facts, **changes})).line + b"\n")
    return path


def verified(recording: Path, receipt: Path, *more: str) -> int:
    return main([str(recording), "--receipt", str(receipt), *more])


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_sample(tmp_path / "a.sallyrec", settings=WriterSettings(head_every_batches=2))


def test_a_recording_holds_what_its_device_vouched_for(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = receipt_for(sample, tmp_path)
    assert verified(sample.path, receipt) == ExitCode.WHOLE
    key = hashlib.sha256(spki(DEVICE_KEY)).hexdigest()
    assert f"SHA-256 {key}" in capsys.readouterr().err
    assert verified(sample.path, receipt, "--device-key-sha256", key) == ExitCode.WHOLE
    assert verified(sample.path, receipt, "--device-key-sha256", "00" * 32) == ExitCode.DAMAGED
    assert "another device key" in capsys.readouterr().err


def test_history_written_anew_with_every_key_of_the_plant_contradicts_the_receipt(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = receipt_for(sample, tmp_path)
    turns = sample_turns()
    turns[1] = [replace(turns[1][0], data=b"plc")]
    # The same randomness gives the same keys and header: whoever writes this holds all of them.
    forged = write_sample(tmp_path / "b.sallyrec", turns, settings=WriterSettings(head_every_batches=2))
    assert (forged.signing_public, forged.header_sha256) == (sample.signing_public, sample.header_sha256)
    chain = forged.head.chain_sha256.hex()
    assert main([str(forged.path), "--signing-key", sample.signing_public.hex(), "--chain", chain]) == ExitCode.WHOLE
    assert verified(forged.path, receipt) == ExitCode.DAMAGED
    said = capsys.readouterr().out
    assert "not those that the session's device vouched for" in said
    assert "forged_head" in said


def test_a_recording_that_was_cut_and_sealed_again_contradicts_the_receipt(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = receipt_for(sample, tmp_path)
    settings = WriterSettings(head_every_batches=2)
    shorter = write_sample(tmp_path / "b.sallyrec", sample_turns()[:-1], settings=settings)
    assert verified(shorter.path, receipt) == ExitCode.DAMAGED
    assert "ends before batch 7, for which the session's device vouched" in capsys.readouterr().out
    longer = [*sample_turns(), [Frame(FrameKind.OUTPUT, 0, 3_700_000_000, b"and more")]]
    assert verified(write_sample(tmp_path / "c.sallyrec", longer, settings=settings).path, receipt) == ExitCode.DAMAGED
    assert "does not end with the head" in capsys.readouterr().out


def test_another_key_or_header_contradicts_the_receipt(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = receipt_for(sample, tmp_path)
    path = tmp_path / "b.sallyrec"
    writer = RecordingWriter.create(
        path, header=sample_header(), recipient_public=bytes(range(32)), now_ms=NOW_MS, random=FixedRandom("other")
    )
    for turn in sample_turns():
        writer.append(turn)
    writer.seal("client_left", NOW_MS + 1)
    assert verified(path, receipt) == ExitCode.DAMAGED
    assert "is not the one that the session's device vouched for" in capsys.readouterr().out


def test_a_running_head_that_was_vouched_for_must_be_in_the_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = Signer.generate(FixedRandom("none"))
    sample = write_sample(tmp_path / "a.sallyrec", settings=WriterSettings(head_every_batches=1000))
    counts = Counts(3, 4, 1, 1, b"c" * 32)
    told, record = sign_head(counts, sample.header_sha256, signer.sign)
    facts = {"head": record[: -len(told.signature)].hex(), "head_signature": told.signature.hex(), "end": "broken"}
    receipt = receipt_for(sample, tmp_path, **facts, signing_key=signer.public.hex())
    assert verified(sample.path, receipt) == ExitCode.DAMAGED
    assert "is not the one" in capsys.readouterr().out


def test_the_receipt_of_another_recording_is_told(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = receipt_for(sample, tmp_path, session_id="ses_other")
    assert verified(sample.path, receipt) == ExitCode.DAMAGED
    assert "another recording's or another session's" in capsys.readouterr().out


def test_a_refusal_is_told(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = receipt_for(sample, tmp_path, refusal="went_back")
    assert verified(sample.path, receipt) == ExitCode.WHOLE
    assert "did not confirm what the plant told it: went_back" in capsys.readouterr().err


def test_wrong_use_is_told(sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = receipt_for(sample, tmp_path)
    assert main([str(sample.path), str(sample.path), "--receipt", str(receipt)]) == ExitCode.USAGE
    assert "name one file" in capsys.readouterr().err
    assert verified(sample.path, tmp_path / "none") == ExitCode.USAGE
    receipt.write_bytes(b"{}")
    assert verified(sample.path, receipt) == ExitCode.DAMAGED
    assert "no receipt of version 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["a", "--anchor", "3"], ["a", "--chain", "00"], ["a", "--signing-key", "zz"], []]
)
def test_what_cannot_be_used_is_said_at_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_trailers_parts_are_what_the_reader_takes(sample: Sample) -> None:
    head, signature = trailer_of(sample.path)
    with sample.path.open("rb") as stream:
        stream.seek(read_ending(stream, file_size(stream)).start)
        assert decode_sealed(stream.read(), sample.header_sha256, sample.signing_public).signature.hex() == signature
    assert len(head) // 2 == 140
