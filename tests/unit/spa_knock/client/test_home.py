"""The client home: private, whole after every write, and clear words when it is damaged."""

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.home import Home, KnockState, locked, private_folder, read_private, write_private
from tests.unit.spa_knock.client.fake_site import FakeSite

STATE = KnockState(knock_key=b"k" * 32, day_keys={20000: b"d" * 32}, last_stamp_ms=5, clock_offset_ms=-7)


def test_a_home_is_made_for_its_owner_alone(home: Home) -> None:
    home.prepare()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    home.path.chmod(0o750)
    with pytest.raises(ClientError, match="not private"):
        home.prepare()


def test_a_linked_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ClientError):
        private_folder(tmp_path / "link")


def test_knock_state_comes_back_as_it_was_and_shows_no_key(home: Home) -> None:
    home.prepare()
    for state in (STATE, dataclasses.replace(STATE, seen_from=("10.0.0.7", "192.0.2.1"))):
        home.write_knock_state(state)
        assert home.knock_state() == state
    assert "kkk" not in repr(STATE)


def test_an_enrolment_comes_back_as_it_was(enrolled: Home) -> None:
    enrolment = dataclasses.replace(enrolled.enrolment(), username="li.wei")
    enrolled.write_enrolment(enrolment)
    assert enrolled.enrolment() == enrolment


def test_without_a_device_the_home_says_how_to_get_one(home: Home) -> None:
    with pytest.raises(ClientError, match="no device") as refused:
        home.enrolment()
    assert refused.value.exit_code is Exit.POSTURE
    assert "sally enroll" in refused.value.do


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"site": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_named(site: FakeSite, enrolled: Home, content: bytes) -> None:
    for name, read in (("site.json", enrolled.enrolment), ("knock.json", enrolled.knock_state)):
        write_private(enrolled.path / name, content)
        with pytest.raises(ClientError) as refused:
            read()
        assert refused.value.code == "home_damaged"
        assert name in refused.value.what


def test_a_missing_knock_file_is_named(enrolled: Home) -> None:
    (enrolled.path / "knock.json").unlink()
    with pytest.raises(ClientError, match="missing"):
        enrolled.knock_state()


def test_a_readable_secret_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    write_private(path, b"key")
    assert read_private(path) == b"key"
    path.chmod(0o640)
    with pytest.raises(ClientError, match="not private"):
        read_private(path)


def test_a_failed_write_leaves_the_old_content_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "knock.json"
    write_private(path, b"old")

    def full(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_lock_is_held_by_one(home: Home) -> None:
    home.prepare()
    with locked(home), pytest.raises(ClientError, match="already serves"), locked(home):
        pass
    with locked(home):
        pass
