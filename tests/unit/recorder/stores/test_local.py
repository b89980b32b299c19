from pathlib import Path

import pytest

from recorder.errors import RecordingError
from recorder.stores.local import LocalStore
from recorder.testing import write_sample

RECORDING = "rec_06ew000000000000000000000g"


def test_a_recording_is_found_by_its_id(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "recordings")
    path = store.path_for_new(RECORDING)
    write_sample(path)
    assert store.find(RECORDING) == path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("bad", ["", "x", "../../etc/passwd", "rec/0g", "rec_\n", "r" * 65])
def test_an_id_that_could_lead_elsewhere_is_refused(tmp_path: Path, bad: str) -> None:
    store = LocalStore(tmp_path)
    for call in (store.path_for_new, store.find):
        with pytest.raises(RecordingError) as refusal:
            call(bad)
        assert refusal.value.code == "bad_id"


def test_an_unknown_recording_and_a_link_are_not_found(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    path = store.path_for_new(RECORDING)
    path.symlink_to("/etc/hostname")
    for name in (RECORDING, "rec_other"):
        with pytest.raises(RecordingError) as refusal:
            store.find(name)
        assert refusal.value.code == "not_found"


def test_no_recording_begins_when_too_little_space_is_free(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, least_free_bytes=1 << 60)
    with pytest.raises(RecordingError) as refusal:
        store.path_for_new(RECORDING)
    assert refusal.value.code == "no_space"


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordingError) as refusal:
        LocalStore(tmp_path / "file").path_for_new(RECORDING)
    assert refusal.value.code == "not_created"


def test_unfinished_files_are_those_without_a_trailer(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    done, left = store.path_for_new(RECORDING), store.path_for_new("rec_left")
    write_sample(done)
    left.write_bytes(done.read_bytes()[:-1])
    assert list(store.unfinished()) == [left]
