import io
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from broker.app import database_copy
from broker.app.errors import CommandError
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings
from broker.audit import chain, store


def _url(settings: Settings) -> str:
    return Layout.of(settings).database_url(settings)


def test_a_copy_made_while_control_writes_holds_a_whole_trail(house: House, settings: Settings, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            house.targets.create_zone("psn_1", f"zone-{number}")
            number += 1

    writing = threading.Thread(target=write)
    writing.start()
    try:
        copied = database_copy.copy(_url(settings), "demo", bytes(32), tmp_path / "copy")
    finally:
        stop.set()
        writing.join(30)
    with house.database.reading() as session:
        assert store.hash_at(session, copied.last_seq) == bytes.fromhex(copied.head)
        assert isinstance(chain.verify(store.walk(session)), chain.Verified)
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT max(seq) FROM audit_events").fetchone() == (copied.last_seq,)
    assert not list(tmp_path.glob("copy-*"))


def test_an_empty_database_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="empty"):
        database_copy.copy(f"sqlite:///{tmp_path / 'x.db'}", "demo", bytes(32), tmp_path / "copy")


def test_what_a_program_complains_of_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_copy.shutil, "which", lambda _name: None)
    with pytest.raises(CommandError, match="not installed"):
        database_copy.load("postgresql+psycopg:///x", io.BytesIO(), None)


def test_the_process_prints_what_it_copied(
    house: House,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--url", _url(settings), "--site", "demo", "--recovery-public-hex", "00" * 32]
    monkeypatch.setattr(sys, "argv", ["copy", *given, "--target", str(tmp_path / "copy")])
    database_copy.main()
    assert '"kind": "sqlite"' in capsys.readouterr().out
