"""`sally receipts` from the command line, without any site."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recorder.frames import Frame, FrameKind
from recorder.testing import Sample, sample_turns, write_sample
from spa_knock.client import cli
from spa_knock.client.errors import Exit
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.receipts import Watched
from spa_knock.wire.receipt import Receipt
from tests.unit.spa_knock.client.test_container import receipt_of
from tests.unit.spa_knock.client.test_receipts import running, seen
from tests.unit.spa_knock.wire.receipts import COUNTS, DEVICE_KEY, a_receipt, signed, spki


@dataclass
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> ReceiptFolder:
    """A client home whose device was the one of `signed`."""
    found = ReceiptFolder(tmp_path / "home")
    found.note(lambda notes: notes.owning("dev_1", spki(DEVICE_KEY)))
    return found


@pytest.fixture
def sally(folder: ReceiptFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SALLY_HOME", str(folder.path.parent))

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["sally", "receipts", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_sample(tmp_path / "one.sallyrec")


def test_without_receipts_there_is_nothing_to_list_or_verify(sally: Run) -> None:
    assert sally("list").out == "No receipts.\n"
    assert sally("verify").out == "No receipts.\n"


def test_kept_receipts_are_listed_with_what_the_plant_said(
    sally: Run, folder: ReceiptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.keep(signed(a_receipt()))
    folder.keep(signed(a_receipt(session_id="ses_2", refusal="went_back")))
    watched = Watched("rec_1", "11" * 32, "22" * 32, answer="received")
    folder.note(lambda notes: notes.watching("ses_1", watched))
    lines = sally("list").out.splitlines()
    assert lines[0].split() == ["SESSION", "TARGET", "BEGAN", "ENDED", "RECEIPT", "PLANT"]
    assert lines[1].endswith("confirmed  received")
    assert lines[2].endswith("went_back  not sent yet")
    items = json.loads(sally("list", "--json").out)["items"]
    assert [one["session_id"] for one in items] == ["ses_1", "ses_2"]
    assert items[0]["sha256"] == signed(a_receipt()).sha256
    monkeypatch.setenv("SALLY_LANG", "zh")
    assert "已确认" in sally("list").out


def test_kept_receipts_are_verified_without_any_recording(sally: Run, folder: ReceiptFolder) -> None:
    folder.keep(signed(a_receipt()))
    done = sally("verify")
    assert done.code == Exit.OK
    assert "ok      ses_1  press-01  the signatures are good; the recording ends at frame 40" in done.out


def test_a_receipt_that_agrees_with_what_was_told_while_its_session_ran_is_good(
    sally: Run, folder: ReceiptFolder
) -> None:
    folder.keep(signed(a_receipt()))
    folder.note(lambda notes: notes.watching("ses_1", seen(running())))
    assert sally("verify").code == Exit.OK


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (running(header_sha256="12" * 32), "head_not_signed"),
        (running(recording_id="rec_2"), "other_recording"),
        (running(replace(COUNTS, batches=8, frames=41)), "went_back"),
        (running(replace(COUNTS, chain_sha256=b"\x44" * 32)), "went_back"),
    ],
)
def test_a_receipt_that_contradicts_what_was_told_while_its_session_ran_is_exposed(
    sally: Run, folder: ReceiptFolder, told: Receipt, why: str
) -> None:
    folder.keep(signed(a_receipt()))
    folder.note(lambda notes: notes.watching("ses_1", seen(told)))
    done = sally("verify")
    assert done.code == Exit.FAILED
    assert f"it contradicts what the plant told while the session ran: {why}" in done.out


def test_the_recording_that_was_confirmed_is_found_so(sally: Run, folder: ReceiptFolder, sample: Sample) -> None:
    folder.keep(signed(receipt_of(sample)))
    done = sally("verify", sample.path)
    assert (done.code, done.err) == (Exit.OK, "")
    assert f"holds exactly this history, up to frame {sample.head.frames}" in done.out
    (path,) = folder.files()
    assert sally("verify", path, sample.path).code == Exit.OK


def test_a_rewritten_recording_is_exposed_offline(
    sally: Run, folder: ReceiptFolder, sample: Sample, tmp_path: Path
) -> None:
    folder.keep(signed(receipt_of(sample)))
    turns = sample_turns()
    turns[1] = [Frame(FrameKind.OUTPUT, 0, 250_000, b"none")]
    anew = write_sample(tmp_path / "anew.sallyrec", turns)
    done = sally("verify", anew.path, "--json")
    assert done.code == Exit.FAILED
    (item,) = json.loads(done.out)["items"]
    assert item["good"] is False
    assert "rewritten after the session" in item["found"]


def test_a_head_that_the_recordings_key_did_not_sign_is_no_confirmation(sally: Run, folder: ReceiptFolder) -> None:
    folder.keep(signed(a_receipt(header_sha256="12" * 32)))
    done = sally("verify")
    assert done.code == Exit.FAILED
    assert "did not sign the head" in done.out


def test_a_receipt_without_a_head_confirms_nothing(sally: Run, folder: ReceiptFolder) -> None:
    folder.keep(signed(a_receipt(head="", head_signature="", end="broken")))
    assert sally("verify").code == Exit.FAILED


def test_a_refusal_is_shown_and_confirms_no_recording(sally: Run, folder: ReceiptFolder, sample: Sample) -> None:
    folder.keep(signed(receipt_of(sample, refusal="went_back")))
    assert sally("verify").code == Exit.OK
    done = sally("verify", sample.path)
    assert done.code == Exit.FAILED
    assert "confirmed nothing: went_back" in done.out


def test_a_receipt_of_a_key_that_is_not_this_computers_does_not_count(
    sally: Run, folder: ReceiptFolder, tmp_path: Path
) -> None:
    folder.note(lambda notes: type(notes)())
    file = tmp_path / "foreign.receipt"
    file.write_bytes(signed(a_receipt()).line + b"\n")
    done = sally("verify", file)
    assert done.code == Exit.FAILED
    assert "not this computer's" in done.out
    key = tmp_path / "device.pub"
    key.write_bytes(DEVICE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert sally("verify", file, "--device-key", key).code == Exit.OK


def test_a_recording_without_a_receipt_is_not_called_verified(sally: Run, sample: Sample) -> None:
    done = sally("verify", sample.path)
    assert done.code == Exit.FAILED
    assert "without a receipt here" in done.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a receipt"),
        (b"\x7fELF", "not a receipt"),
        (signed(a_receipt()).line.replace(b"press-01", b"press-02"), "did not sign"),
        (b"SALYREC1" + bytes(20), "not a recording"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_neither_says_so(sally: Run, tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "something"
    if content is not None:
        file.write_bytes(content)
    done = sally("verify", file)
    assert done.code == Exit.USAGE
    assert says in done.err


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", None])
def test_a_device_key_that_is_none_says_so(sally: Run, tmp_path: Path, content: bytes | None) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    assert sally("verify", "--device-key", key).code == Exit.USAGE


def test_a_kept_receipt_that_was_altered_is_no_silence(sally: Run, folder: ReceiptFolder) -> None:
    folder.keep(signed(a_receipt()))
    (path,) = folder.files()
    path.write_bytes(path.read_bytes().replace(b"press-01", b"press-02"))
    assert sally("list").code == Exit.USAGE
    assert "did not sign" in sally("verify").err
