"""The spool: what was added is there after a restart, in order, until it is done."""

from pathlib import Path

import pytest

from broker.gateway import spool as module
from broker.gateway.spool import Spool, SpoolError


def test_messages_survive_a_restart_in_order_and_done_ones_do_not(tmp_path: Path) -> None:
    first = Spool(tmp_path / "s", "boot1")
    entries = [first.add({"n": n}) for n in range(3)]
    first.sync()
    first.done(entries[0])
    first.close()
    second = Spool(tmp_path / "s", "boot2")
    assert [(e.boot_id, e.seq, e.message["n"]) for e in second._waiting] == [("boot1", 2, 1), ("boot1", 3, 2)]
    later = second.add({"n": 9})
    assert (later.boot_id, later.seq) == ("boot2", 1)
    assert len(second) == 3
    second.close()


def test_a_line_cut_short_by_a_crash_is_dropped_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = Spool(path, "a")
    first.add({"n": 1})
    first.close()
    with path.open("ab") as file:
        file.write(b'{"boot_id":"a","se')
    second = Spool(path, "b")
    second.add({"n": 2})
    second.close()
    third = Spool(path, "c")
    assert [e.message["n"] for e in third._waiting] == [1, 2]
    third.close()


def test_only_the_oldest_can_be_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "a")
    spool.add({})
    second = spool.add({})
    with pytest.raises(SpoolError):
        spool.done(second)
    spool.close()


def test_an_empty_spool_gives_its_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPACT_BYTES", 100)
    spool = Spool(tmp_path / "s", "a")
    spool.done(spool.add({"text": "x" * 200}))
    assert (tmp_path / "s").stat().st_size == 0
    assert not spool.is_full
    spool.close()


def test_a_damaged_spool_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"no json\n")
    with pytest.raises(SpoolError):
        Spool(tmp_path / "s", "a")


def test_a_full_disk_is_told_and_the_message_still_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "s", "a")

    def full(*_: object) -> int:
        raise OSError("no space")

    monkeypatch.setattr(module.os, "write", full)
    with pytest.raises(SpoolError):
        spool.add({"n": 1})
    assert spool.first() is not None
    spool.close()
