"""Indexes: made by a process of their own, sealed, and bound to what they were made of."""

import subprocess
import sys
from pathlib import Path

import pytest

from recorder.errors import DamagedRecordingError
from recorder.frames import Frame, FrameKind
from recorder.indexing import make_index, open_index, seal_index
from recorder.keyframes import events_of
from recorder.replay import Recording, open_recording
from recorder.testing import Sample, write_sample

LINES = 1_500
TURNS = [[Frame(FrameKind.OUTPUT, 0, number * 1_000, b"line %d\r\n" % number)] for number in range(LINES)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("indexing") / "a.sallyrec", TURNS)


@pytest.fixture(scope="module")
def recording(sample: Sample) -> Recording:
    return open_recording(sample.path, sample.unseal_private)


def test_a_process_of_its_own_makes_the_same_index(sample: Sample, recording: Recording) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recorder.indexing", str(sample.path)],
        input=sample.unseal_private,
        capture_output=True,
        check=True,
        timeout=120,
    )
    index = make_index(recording)
    assert open_index(done.stdout, sample.unseal_private, recording) == index
    assert [one.first_frame for one in index.keyframes] == list(range(1, LINES, 500))
    assert b"line" not in done.stdout


def test_a_wrong_key_makes_no_index(sample: Sample) -> None:
    command = [sys.executable, "-m", "recorder.indexing", str(sample.path)]
    done = subprocess.run(command, input=bytes(32), capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_chunk_is_read_without_what_stands_before_it(sample: Sample, recording: Recording) -> None:
    last = make_index(recording).keyframes[-1]
    assert last.place.offset > sample.path.stat().st_size // 2
    events = list(events_of(recording.frames_from(last.place)))
    assert events[0].text == "line 1000\r\n"
    assert len(events) == 500


def test_an_altered_or_foreign_index_is_made_again(sample: Sample, recording: Recording, tmp_path: Path) -> None:
    sealed = seal_index(make_index(recording), sample.unseal_private, recording)
    assert open_index(sealed, sample.unseal_private, recording) is not None
    for place in (0, len(sealed) // 2, len(sealed) - 1):
        altered = bytearray(sealed)
        altered[place] ^= 1
        assert open_index(bytes(altered), sample.unseal_private, recording) is None
    assert open_index(b"", sample.unseal_private, recording) is None
    other = write_sample(tmp_path / "b.sallyrec", TURNS[:10])
    assert open_index(sealed, other.unseal_private, open_recording(other.path, other.unseal_private)) is None


def test_a_file_that_changed_under_its_index_is_not_shown(sample: Sample, recording: Recording, tmp_path: Path) -> None:
    place = make_index(recording).keyframes[1].place
    copy = tmp_path / "c.sallyrec"
    data = bytearray(sample.path.read_bytes())
    data[place.offset + 60] ^= 1
    copy.write_bytes(data)
    changed = Recording(lambda: copy.open("rb"), recording.report, recording.header, recording._cipher)
    with pytest.raises(DamagedRecordingError):
        list(changed.frames_from(place))


def test_damage_ends_the_index_before_it(sample: Sample, tmp_path: Path) -> None:
    copy = tmp_path / "d.sallyrec"
    data = bytearray(sample.path.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    index = make_index(open_recording(copy, sample.unseal_private))
    assert 0 < index.frames < LINES
