"""What every store of recordings must do. A test module names its store with a fixture and imports these tests."""

import io
import os
from pathlib import Path

import pytest

from recorder.errors import StoreError
from recorder.report import State
from recorder.stores.port import WINDOW_BYTES, RecordingStore, Stored, opened
from recorder.testing import write_sample
from recorder.verify import verify

RECORDING = "rec_06ew000000000000000000000g"
OTHER = "rec_06ew000000000000000000000h"


def code_of(refusal: pytest.ExceptionInfo[StoreError]) -> str:
    return refusal.value.code


def test_what_was_put_is_found_listed_and_read_in_ranges(store: RecordingStore) -> None:
    data = os.urandom(3 * WINDOW_BYTES + 17)
    kept = store.put(RECORDING, io.BytesIO(data))
    assert kept.size == len(data)
    assert store.find(RECORDING) == kept
    assert list(store.stored()) == [kept]
    assert store.read(kept, 5, 10) == data[5:15]
    assert store.read(kept, len(data) - 3, 10) == data[-3:]
    assert store.read(kept, len(data), 10) == b""
    assert opened(store, kept).read() == data


def test_a_put_takes_its_source_from_the_start(store: RecordingStore) -> None:
    source = io.BytesIO(b"0123456789")
    source.seek(7)
    assert opened(store, store.put(RECORDING, source)).read() == b"0123456789"


def test_the_stream_can_be_sought_like_a_file(store: RecordingStore) -> None:
    data = os.urandom(WINDOW_BYTES + 100)
    stream = opened(store, store.put(RECORDING, io.BytesIO(data)))
    assert stream.seek(0, os.SEEK_END) == len(data)
    assert stream.read(1) == b""
    for place in (WINDOW_BYTES - 5, 0, len(data) - 1, WINDOW_BYTES, 50):
        stream.seek(place)
        assert stream.read(20) == data[place : place + 20]


def test_a_recording_verifies_where_it_lies(store: RecordingStore, tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample.sallyrec")
    with (tmp_path / "sample.sallyrec").open("rb") as source:
        kept = store.put(RECORDING, source)
    assert verify(opened(store, kept), signing_public=sample.signing_public).state is State.SEALED
    whole = (tmp_path / "sample.sallyrec").read_bytes()
    altered = whole[:300] + bytes([whole[300] ^ 1]) + whole[301:]
    damaged = store.put(OTHER, io.BytesIO(altered))
    assert verify(opened(store, damaged), signing_public=sample.signing_public).state is State.DAMAGED


def test_what_is_not_there_is_not_found(store: RecordingStore) -> None:
    assert list(store.stored()) == []
    with pytest.raises(StoreError) as refusal:
        store.find(RECORDING)
    assert code_of(refusal) == "not_found"
    with pytest.raises(StoreError) as refusal:
        store.read(Stored(RECORDING, 10), 0, 10)
    assert code_of(refusal) == "not_found"


@pytest.mark.parametrize("bad", ["", "x", "../../etc/passwd", "rec/0g", "rec_\n", "r" * 65])
def test_an_id_that_could_lead_elsewhere_is_refused(store: RecordingStore, bad: str) -> None:
    for call in (lambda: store.put(bad, io.BytesIO(b"")), lambda: store.find(bad)):
        with pytest.raises(StoreError) as refusal:
            call()
        assert code_of(refusal) == "bad_id"


def test_removing_takes_one_and_leaves_the_others(store: RecordingStore) -> None:
    one, other = store.put(RECORDING, io.BytesIO(b"one")), store.put(OTHER, io.BytesIO(b"other"))
    store.remove(one)
    store.remove(one)
    assert list(store.stored()) == [other]
    with pytest.raises(StoreError) as refusal:
        opened(store, one).read(1)
    assert code_of(refusal) == "not_found"


def test_a_recording_that_shrank_is_no_end_of_it(store: RecordingStore) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"short"))
    with pytest.raises(StoreError) as refusal:
        opened(store, Stored(RECORDING, 100, kept.version)).read()
    assert code_of(refusal) == "altered"


def test_a_source_that_fails_leaves_nothing(store: RecordingStore) -> None:
    with pytest.raises(StoreError) as refusal:
        store.put(RECORDING, _Failing())
    assert code_of(refusal) == "failed"
    assert list(store.stored()) == []


class _Failing(io.BytesIO):
    """A disk that gives an error further on."""

    def __init__(self) -> None:
        super().__init__(b"x" * 100)

    def read(self, _count: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")
