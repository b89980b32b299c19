import io
import os
import resource
import signal
from pathlib import Path

import pytest

from recorder.errors import StoreError
from recorder.stores.local import LocalStore
from tests.unit.recorder.stores.contract import *  # noqa: F403 - the tests that every store passes
from tests.unit.recorder.stores.contract import RECORDING, code_of


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return LocalStore(folder)


def test_a_recording_lies_under_its_id_and_only_its_group_reads_along(store: LocalStore) -> None:
    store.put(RECORDING, io.BytesIO(b"bytes"))
    path = store.folder / f"{RECORDING}.sallyrec"
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in store.folder.iterdir()] == [path.name]


def test_a_recording_is_never_replaced(store: LocalStore) -> None:
    store.put(RECORDING, io.BytesIO(b"first"))
    with pytest.raises(StoreError) as refusal:
        store.put(RECORDING, io.BytesIO(b"second"))
    assert code_of(refusal) == "exists"
    assert (store.folder / f"{RECORDING}.sallyrec").read_bytes() == b"first"


def test_a_link_is_no_recording(store: LocalStore) -> None:
    store.path(RECORDING).symlink_to("/etc/hostname")
    assert list(store.stored()) == []
    with pytest.raises(StoreError) as refusal:
        store.find(RECORDING)
    assert code_of(refusal) == "not_found"


def test_what_a_killed_put_left_is_no_recording_and_stands_in_nobodys_way(store: LocalStore) -> None:
    (store.folder / f"{RECORDING}.new").write_bytes(b"half")
    assert list(store.stored()) == []
    store.put(RECORDING, io.BytesIO(b"whole"))
    assert [one.name for one in store.folder.iterdir()] == [f"{RECORDING}.sallyrec"]


def test_a_full_disk_is_said_and_leaves_nothing(store: LocalStore) -> None:
    pid = os.fork()
    if pid == 0:  # the limit of a file's size stands for a full disk, in a process of its own
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            store.put(RECORDING, io.BytesIO(b"x" * 100_000))
        except StoreError as error:
            os._exit(0 if error.code == "no_space" and not list(store.folder.iterdir()) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
