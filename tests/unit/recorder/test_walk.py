import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.batches import Batch
from recorder.errors import DamagedRecordingError
from recorder.manifest import SEALED_BYTES, TAG_HEAD, TAG_SEALED
from recorder.testing import write_sample
from recorder.walk import (
    Ending,
    SignedRecord,
    Unreadable,
    digest_range,
    read_ending,
    read_front,
    read_records,
)
from tests.examples import examples


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_sample(tmp_path_factory.mktemp("walk") / "a.sallyrec").path.read_bytes()


def last_record(data: bytes) -> tuple[int, object]:
    stream = io.BytesIO(data)
    *_, last = read_records(stream, read_front(stream).end, len(data))
    return last


def test_a_whole_file_is_batches_heads_and_one_trailer(whole: bytes) -> None:
    stream = io.BytesIO(whole)
    shape = ""
    end = read_front(stream).end
    for offset, record in read_records(stream, end, len(whole)):
        assert offset == end
        match record:
            case Batch():
                shape, end = shape + "b", end + record.prelude.record_bytes
            case SignedRecord():
                shape, end = shape + {TAG_HEAD: "h", TAG_SEALED: "s"}[record.tag], end + len(record.data)
            case Unreadable():
                shape += "?"
    assert shape == "bbbhbbbhbhs"
    assert end == len(whole)


def test_only_a_whole_trailer_of_a_known_kind_is_an_ending(whole: bytes) -> None:
    start = len(whole) - SEALED_BYTES
    assert read_ending(io.BytesIO(whole), len(whole)) == Ending(TAG_SEALED, start)
    assert read_ending(io.BytesIO(whole[:-1]), len(whole) - 1).tag is None
    assert read_ending(io.BytesIO(whole[-12:]), 12).tag is None
    assert read_ending(io.BytesIO(whole[:start] + b"B" + whole[start + 1 :]), len(whole)).tag is None


def test_zeros_behind_the_last_record_are_a_torn_write_and_other_bytes_are_damage(whole: bytes) -> None:
    start = len(whole) - SEALED_BYTES
    for tail, is_torn in ((bytes(5000), True), (bytes(5000) + b"x", False), (b"x", False), (b"B" * 20, True)):
        offset, record = last_record(whole[:start] + tail)
        assert offset == start
        assert isinstance(record, Unreadable)
        assert record.is_torn is is_torn


@examples(200)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_not_a_recording_and_raise_nothing_else(data: bytes) -> None:
    for prefix in (b"", b"SALYREC1", b"SALYREC1\0\0\0\5"):
        with pytest.raises(DamagedRecordingError):
            read_front(io.BytesIO(prefix + data))


@examples(200)
@given(st.binary(max_size=400), st.sampled_from([b"", b"B", b"H", b"S"]))
def test_arbitrary_bytes_behind_a_header_never_make_a_batch(data: bytes, tag: bytes) -> None:
    for _, record in read_records(io.BytesIO(tag + data), 0, len(tag + data)):
        assert not isinstance(record, Batch)


def test_a_range_is_digested_no_further_than_the_file_reaches(tmp_path: Path) -> None:
    stream = io.BytesIO(b"abcdef")
    assert digest_range(stream, 2, 4) == digest_range(io.BytesIO(b"cd"), 0, 2)
    assert digest_range(stream, 4, 100) == digest_range(io.BytesIO(b"ef"), 0, 2)
