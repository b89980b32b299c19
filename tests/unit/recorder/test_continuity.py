from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.batches import Batch
from recorder.continuity import Continuity
from recorder.errors import DamagedRecordingError
from recorder.testing import write_sample
from recorder.walk import Record, SignedRecord, read_front, read_records


@pytest.fixture
def followed(tmp_path: Path) -> tuple[Continuity, list[Record]]:
    path = write_sample(tmp_path / "a.sallyrec").path
    with path.open("rb") as stream:
        front = read_front(stream)
        records = [record for _, record in read_records(stream, front.end, path.stat().st_size)]
    return Continuity(front.opening, front.header_sha256, front.end), records


def follow(continuity: Continuity, records: list[Record]) -> None:
    for record in records:
        if isinstance(record, Batch):
            continuity.check_order(record)
            continuity.take_batch(record)
        elif isinstance(record, SignedRecord):
            continuity.take_signed(record.tag, record.data)


def test_the_records_of_a_whole_file_follow_each_other(followed: tuple[Continuity, list[Record]]) -> None:
    continuity, records = followed
    follow(continuity, records)
    assert (continuity.batches, continuity.frames, continuity.anchored_batches) == (7, 10, 7)
    assert continuity.anchored_us == continuity.at_us == 3_600_000_000


@pytest.mark.parametrize(
    ("order", "code", "batch"),
    [
        ([0, 2], "dropped", 2),
        ([0, 0], "reordered", 2),
        ([1], "dropped", 1),
        ([0, 1, 3], "dropped", 3),  # the head behind batch 3 comes too early
        ([0, 1, 2, 4, 3], "reordered", 5),
        ([0, 1, 2, 4, 5, 6, 7], "dropped", 1),
        ([0, 1, 2, 3, 4, 5, 6, 7, 3], "reordered", 7),  # a head of earlier repeated
    ],
)
def test_a_record_out_of_its_place_is_named(
    followed: tuple[Continuity, list[Record]], order: list[int], code: str, batch: int
) -> None:
    continuity, records = followed
    with pytest.raises(DamagedRecordingError) as found:
        follow(continuity, [records[i] for i in order])
    assert (found.value.code, found.value.batch) == (code, batch)


def test_a_refused_record_leaves_the_state_as_it_was(followed: tuple[Continuity, list[Record]]) -> None:
    continuity, records = followed
    follow(continuity, records[:2])
    before = continuity.counts
    with pytest.raises(DamagedRecordingError):
        follow(continuity, [records[4]])
    with pytest.raises(DamagedRecordingError):
        follow(continuity, [records[3]])
    assert continuity.counts == before
    follow(continuity, records[2:])


@pytest.mark.parametrize("change", [{"first_frame": 3}, {"first_frame": 1}, {"start_us": 0}])
def test_a_batch_with_a_gap_in_its_frames_or_time_running_back_is_refused(
    followed: tuple[Continuity, list[Record]], change: dict[str, Any]
) -> None:
    continuity, records = followed
    follow(continuity, records[:1])
    second = records[1]
    assert isinstance(second, Batch)
    if "first_frame" in change and change["first_frame"] == second.prelude.first_frame:
        change = {"first_frame": second.prelude.first_frame + 1}
    with pytest.raises(DamagedRecordingError) as found:
        continuity.check_order(replace(second, prelude=replace(second.prelude, **change)))
    assert (found.value.code, found.value.batch) == ("flipped", 2)
