"""Where receipts lie, what bounds them, and that nothing of the plant's doing pushes one out."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from spa_knock.client import receipt_folder
from spa_knock.client.errors import ClientError
from spa_knock.client.receipt_folder import MOST_NOTED, Asked, Notes, ReceiptFolder
from spa_knock.client.receipts import Watched
from tests.unit.spa_knock.wire.receipts import a_receipt, signed

WATCHED = Watched("rec_1", "11" * 32, "22" * 32, told_at_ms=1)


@pytest.fixture
def folder(tmp_path: Path) -> ReceiptFolder:
    return ReceiptFolder(tmp_path / "home")


def test_a_receipt_lies_in_a_file_of_its_own_for_its_owner_alone(folder: ReceiptFolder) -> None:
    one = signed(a_receipt())
    assert folder.kept("ses_1") is None
    folder.keep(one)
    (path,) = folder.files()
    assert (path.name, path.read_bytes()) == ("ses_1.receipt", one.line + b"\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.kept("ses_1") == one.line


def test_a_full_folder_takes_no_more_and_loses_nothing(folder: ReceiptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_folder, "MOST_RECEIPTS", 2)
    for number in range(2):
        folder.keep(signed(a_receipt(session_id=f"ses_{number}")))
    with pytest.raises(ClientError, match="No more receipts") as full:
        folder.keep(signed(a_receipt(session_id="ses_9")))
    assert full.value.code == "receipts_full"
    assert [path.name for path in folder.files()] == ["ses_0.receipt", "ses_1.receipt"]


def test_notes_are_read_as_they_were_written(folder: ReceiptFolder) -> None:
    assert folder.notes() == Notes()
    folder.note(lambda notes: notes.asking("grt_1", "press-01", 5))
    folder.note(lambda notes: notes.watching("ses_1", WATCHED).owning("dev_1", b"key"))
    notes = folder.notes()
    assert notes == Notes().asking("grt_1", "press-01", 5).watching("ses_1", WATCHED).owning("dev_1", b"key")
    path = folder.path / "watched.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.stat().st_mtime_ns
    folder.note(lambda notes: notes)
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[]",
        b'{"asked":{},"sessions":{},"devices":{"dev_1":"*"}}',
        b'{"asked":{"grt_1":{"target":"a","at_ms":-1}},"sessions":{},"devices":{}}',
        b'{"asked":{},"sessions":{"ses_1":{}},"devices":{}}',
    ],
)
def test_damaged_notes_say_what_to_do(folder: ReceiptFolder, content: bytes) -> None:
    folder.note(lambda notes: notes.asking("grt_1", "press-01", 5))
    (folder.path / "watched.json").write_bytes(content)
    with pytest.raises(ClientError) as damaged:
        folder.notes()
    assert damaged.value.code == "home_damaged"
    assert "Delete it" in damaged.value.do


def test_the_newest_grants_are_remembered() -> None:
    notes = Notes()
    for number in range(MOST_NOTED + 3):
        notes = notes.asking(f"grt_{number}", "press-01", number)
    assert len(notes.asked) == MOST_NOTED
    assert "grt_2" not in notes.asked
    assert notes.asking("grt_5", "press-01", 9999).asked["grt_5"].at_ms == 9999


def test_sessions_that_are_told_of_never_push_out_one_that_is_watched() -> None:
    notes = Notes().watching("ses_first", replace(WATCHED, told_at_ms=0))
    for number in range(MOST_NOTED + 3):
        notes = notes.watching(f"ses_{number}", WATCHED)
    assert len(notes.sessions) == MOST_NOTED
    assert "ses_first" in notes.sessions
    for number, name in enumerate(list(notes.sessions)[:2]):
        notes = notes.watching(name, Watched("rec_1", "11" * 32, "22" * 32, answer="received", told_at_ms=number))
    notes = notes.watching("ses_new", WATCHED)
    assert "ses_new" in notes.sessions
    assert "ses_first" not in notes.sessions
    assert len(notes.sessions) == MOST_NOTED


def test_what_was_asked_is_known_though_the_disk_refused_to_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    folder = ReceiptFolder(tmp_path)
    folder.ask("grt_1", "press-01", 5)
    with monkeypatch.context() as patched:
        patched.setattr("spa_knock.client.receipt_folder.write_private", full)
        with pytest.raises(OSError, match="No space left"):
            folder.ask("grt_2", "press-02", 6)
    assert [folder.asked(grant_id) for grant_id in ("grt_1", "grt_2", "grt_3")] == [
        Asked("press-01", 5),
        Asked("press-02", 6),
        None,
    ]
    assert ReceiptFolder(tmp_path).asked("grt_2") is None
