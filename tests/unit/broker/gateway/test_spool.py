"""The spool: what was added is there after a restart, signed and in order, until it is done; killed at any moment."""

import json
import os
from pathlib import Path

import pytest

from broker.gateway import spool as module
from broker.gateway.spool import Spool, SpoolError
from broker.gateway.testing import a_boot_key
from recorder.sequence import ORIGIN


def spool_at(path: Path, boot_id: str = "a") -> Spool:
    return Spool(path, a_boot_key("w", boot_id))


def told(spool: Spool) -> list[tuple[str, int, dict[str, object]]]:
    return [(one.entry.boot_id, one.entry.seq, json.loads(one.entry.payload)) for one in spool._waiting]


def kinds(spool: Spool) -> list[object]:
    """Number of each message that waits, or its type when it has none."""
    return [payload.get("n", payload.get("type")) for _, _, payload in told(spool)]


def test_messages_survive_a_restart_in_order_and_done_ones_do_not(tmp_path: Path) -> None:
    first = spool_at(tmp_path / "s", "boot1")
    started, *_ = [first.first(), *(first.add({"n": n}) for n in range(3))]
    first.sync()
    assert started is not None
    first.done(started)
    first.close()
    second = spool_at(tmp_path / "s", "boot2")
    assert [(boot, seq) for boot, seq, _ in told(second)] == [
        ("boot1", 2),
        ("boot1", 3),
        ("boot1", 4),
        ("boot2", 1),
    ]
    assert kinds(second) == [0, 1, 2, "started"]
    later = second.add({"n": 9})
    assert (later.entry.boot_id, later.entry.seq) == ("boot2", 2)
    assert len(second) == 5
    second.close()


def test_every_entry_is_signed_and_names_the_one_before_it_also_across_starts(tmp_path: Path) -> None:
    links = [ORIGIN]
    for boot in ("a", "b", "c"):
        spool = spool_at(tmp_path / "s", boot)
        spool.add({"n": 1})
        if boot == "b":
            for _ in range(len(spool)):
                first = spool.first()
                assert first is not None
                spool.done(first)
        for one in list(spool._waiting):
            one.entry.check(one.boot)
        if boot != "b":
            links += [one.entry.link for one in spool._waiting][-2:]
            assert [one.entry.previous for one in spool._waiting][-1] == links[-2]
        assert spool._newest is not None
        links.append(spool._newest.link)
        spool.close()
    third = spool_at(tmp_path / "s", "d")
    assert told(third)[-1][2]["previous"] == {"boot_id": "c", "seq": 2}
    assert third._waiting[-1].entry.previous == links[-1]
    third.close()


def test_the_first_start_of_all_found_nothing(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "s")
    assert told(spool)[0][2]["previous"] is None
    assert spool._waiting[0].entry.previous == ORIGIN
    spool.close()


def test_a_file_of_the_release_before_is_taken_over_once(tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = [{"boot_id": "old", "seq": n, "message": {"type": "report", "n": n}} for n in (1, 2, 3)]
    path.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in [*old, {"done": ["old", 1]}]))
    spool = spool_at(path)
    assert [payload for _, _, payload in told(spool)][1:] == [
        {"type": "adopted", "boot_id": "old", "seq": n, "message": {"type": "report", "n": n}} for n in (2, 3)
    ]
    spool.close()
    again = spool_at(path, "b")
    assert [(boot, seq) for boot, seq, _ in told(again)] == [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
    again.close()


@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename", "folder"])
def test_a_start_that_is_killed_between_two_steps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "s"
    old = {"boot_id": "old", "seq": 1, "message": {"type": "report", "n": 1}}
    path.write_bytes(json.dumps(old).encode() + b"\n")

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> int:
        raise Killed

    with monkeypatch.context() as patch:
        if step == "rename":
            patch.setattr(Path, "rename", die)
        elif step == "folder":
            patch.setattr(module, "_sync_folder", die)
        else:
            patch.setattr(module.os, step, die)
        with pytest.raises(Killed):
            spool_at(path)
    spool = spool_at(path, "b")
    adopted = [payload["message"] for _, _, payload in told(spool) if payload["type"] == "adopted"]
    assert adopted == [{"type": "report", "n": 1}]
    spool.close()


def test_a_line_cut_short_by_a_crash_is_dropped_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = spool_at(path)
    first.add({"n": 1})
    first.close()
    with path.open("ab") as file:
        file.write(b'{"entry":{"boot_id":"a","se')
    second = spool_at(path, "b")
    second.add({"n": 2})
    second.close()
    third = spool_at(path, "c")
    assert kinds(third) == ["started", 1, "started", 2, "started"]
    third.close()


def test_what_was_cut_off_while_nobody_looked_shows_in_what_the_next_start_found(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = spool_at(path)
    first.add({"n": 1})
    known = first.add({"n": 2})
    first.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    second = spool_at(path, "b")
    assert told(second)[-1][2]["previous"] == {"boot_id": "a", "seq": 2}
    assert second._waiting[-1].entry.previous != known.entry.link
    second.close()


def test_what_was_marked_as_done_while_nobody_looked_is_still_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = spool_at(path)
    lost = first.add({"n": 1})
    first.close()
    with path.open("ab") as file:
        file.write(b'{"done":["a",2]}\n')
    second = spool_at(path, "b")
    assert second._waiting[-1].entry.previous == lost.entry.link
    second.close()


@pytest.mark.parametrize("how", ["cut", "longer", "replaced", "removed"])
def test_a_file_that_is_changed_under_a_running_gateway_is_written_anew_and_told(tmp_path: Path, how: str) -> None:
    path = tmp_path / "s"
    spool = spool_at(path)
    spool.add({"n": 1})
    match how:
        case "cut":
            os.truncate(path, 10)
        case "longer":
            path.write_bytes(path.read_bytes() + b'{"done":["a",2]}\n')
        case "replaced":
            other = tmp_path / "other"
            other.write_bytes(path.read_bytes())
            other.rename(path)
        case _:
            path.unlink()
    spool.add({"n": 2})
    spool.add({"n": 3})
    codes = [payload["events"][0]["code"] for _, _, payload in told(spool) if payload.get("type") == "report"]  # type: ignore[index]
    assert codes == ["gateway.spool.altered"]
    waiting = told(spool)
    spool.close()
    again = spool_at(path, "b")
    assert told(again)[:-1] == waiting
    again.close()


def test_only_the_oldest_can_be_done(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "s")
    second = spool.add({})
    with pytest.raises(SpoolError):
        spool.done(second)
    spool.close()


def test_an_empty_spool_gives_its_room_back_and_still_knows_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_BYTES", 100)
    spool = spool_at(tmp_path / "s")
    newest = spool.add({"text": "x" * 2_000})
    while (first := spool.first()) is not None:
        spool.done(first)
    assert (tmp_path / "s").stat().st_size < 1_000
    assert not spool.is_full
    spool.close()
    again = spool_at(tmp_path / "s", "b")
    assert told(again) == [("b", 1, told(again)[0][2])]
    assert told(again)[0][2]["previous"] == {"boot_id": "a", "seq": 2}
    assert again._waiting[0].entry.previous == newest.entry.link
    again.close()


@pytest.mark.parametrize(
    "line", [b"no json", b"7", b'{"x":1}', b'{"entry":{}}', b'{"boot":7}', b'{"done":["a"]}', b'{"last":{}}']
)
def test_a_damaged_spool_stops_the_start_and_stays_as_it_is(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "s").write_bytes(line + b"\n")
    with pytest.raises(SpoolError):
        spool_at(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == line + b"\n"


def test_an_entry_whose_key_is_not_in_the_file_stops_the_start(tmp_path: Path) -> None:
    entry = a_boot_key("w", "a").entry(1, ORIGIN, "{}")
    (tmp_path / "s").write_bytes(json.dumps({"entry": entry.to_json()}).encode() + b"\n")
    with pytest.raises(SpoolError):
        spool_at(tmp_path / "s", "b")


def test_on_a_full_disk_the_message_waits_and_is_written_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_at(tmp_path / "s")

    def full(*_: object) -> int:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", full)
        with pytest.raises(SpoolError):
            spool.add({"n": 1})
    assert kinds(spool) == ["started", 1]
    spool.add({"n": 2})
    spool.close()
    again = spool_at(tmp_path / "s", "b")
    assert kinds(again) == ["started", 1, 2, "started"]
    again.close()


def test_a_line_that_was_written_only_in_part_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = spool_at(tmp_path / "s")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", lambda file, data: write(file, data[:20]))
        with pytest.raises(SpoolError):
            spool.add({"n": 1})
    spool.add({"n": 2})
    spool.close()
    again = spool_at(tmp_path / "s", "b")
    assert kinds(again) == ["started", 1, 2, "started"]
    again.close()


def test_a_message_that_is_too_long_is_refused_and_leaves_no_gap(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "s")
    with pytest.raises(SpoolError, match="cannot be kept"):
        spool.add({"text": "x" * 60_001})
    assert spool.add({"n": 1}).entry.seq == 2
    spool.close()
