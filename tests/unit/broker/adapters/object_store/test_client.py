import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.adapters.object_store.client import ArchiveClient, Expected
from broker.adapters.object_store.testing import ArchiveRig
from recorder.errors import StoreError
from recorder.receipt import read_line
from recorder.stores.port import Stored, opened
from recorder.testing import Sample, write_sample

RECORDING = "rec_06ew000000000000000000000g"


@pytest.fixture
def rig(tmp_path: Path) -> ArchiveRig:
    return ArchiveRig(tmp_path / "archive.sock")


@pytest.fixture
def client(rig: ArchiveRig) -> Iterator[ArchiveClient]:
    with rig.serving() as made:
        yield made


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_sample(tmp_path / "sample.sallyrec")


def copied(client: ArchiveClient, path: Path) -> Stored:
    with path.open("rb") as file:
        stored = None
        while stored is None:
            _, stored = client.advance(RECORDING, file.fileno(), path.stat().st_size, 1)
        return stored


def test_a_recording_goes_there_is_verified_read_held_and_found(
    rig: ArchiveRig, client: ArchiveClient, sample: Sample, tmp_path: Path
) -> None:
    path = tmp_path / "sample.sallyrec"
    stored = copied(client, path)
    keep_until = rig.now + timedelta(days=300)
    line = client.verify(stored, Expected(sample.signing_public, sample.head.chain_sha256, None, keep_until))
    assert read_line(line, rig.receipts_public).version == stored.version
    assert opened(client, stored).read() == path.read_bytes()
    assert client.find(RECORDING) == stored
    client.hold(stored, is_held=True)
    assert rig.bucket.objects[0].held
    client.hold(stored, is_held=False)
    assert not rig.bucket.objects[0].held


def test_the_file_is_control_s_alone_to_close(client: ArchiveClient, tmp_path: Path, sample: Sample) -> None:
    with (tmp_path / "sample.sallyrec").open("rb") as file:
        client.advance(RECORDING, file.fileno(), None, 1)
        assert os.fstat(file.fileno()).st_size > 0


def test_unfinished_uploads_are_swept(rig: ArchiveRig, client: ArchiveClient) -> None:
    rig.archive().store.begin(RECORDING)
    assert client.sweep([RECORDING]) == 0
    assert client.sweep([]) == 1


def test_an_archive_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as said:
        ArchiveClient(tmp_path / "nowhere.sock").check()
    assert said.value.code == "unreachable"


def test_what_is_not_there_is_told_as_the_port_says(client: ArchiveClient) -> None:
    with pytest.raises(StoreError) as said:
        client.find(RECORDING)
    assert said.value.code == "not_found"
