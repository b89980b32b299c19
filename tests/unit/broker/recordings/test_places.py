from pathlib import Path

import pytest

from broker.recordings.places import Places
from recorder.errors import StoreError
from recorder.stores.port import Stored

RECORDING = "rec_06ew000000000000000000000g"


class Store:
    def __init__(self) -> None:
        self.asked = 0
        self.code = ""

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        self.asked += 1
        if self.code:
            raise StoreError(self.code, "the store")
        return b"copied"[start : start + count]


def test_the_file_here_comes_first_and_the_copy_when_it_is_gone(tmp_path: Path) -> None:
    store = Store()
    places = Places(tmp_path, store, lambda name: Stored(name, 6, "v1"))
    places.path(RECORDING).write_bytes(b"here")
    with places.open(RECORDING) as stream:
        assert (stream.read(), store.asked) == (b"here", 0)
    places.path(RECORDING).unlink()
    with places.open(RECORDING) as stream:
        assert stream.read() == b"copied"


def test_without_a_verified_copy_nothing_is_asked_of_the_store(tmp_path: Path) -> None:
    store = Store()
    for places in (Places(tmp_path, store), Places(tmp_path)):
        with pytest.raises(FileNotFoundError):
            places.open(RECORDING)
    assert store.asked == 0


def test_a_store_that_fails_is_no_missing_file(tmp_path: Path) -> None:
    store = Store()
    store.code = "unreachable"
    with (
        Places(tmp_path, store, lambda name: Stored(name, 6, "v1")).open(RECORDING) as stream,
        pytest.raises(StoreError),
    ):
        stream.read()


def test_a_name_that_is_no_recordings_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="id"):
        Places(tmp_path).open("../../etc/passwd")
