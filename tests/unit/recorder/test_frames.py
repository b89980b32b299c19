import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import DamagedRecordingError, RecordingError
from recorder.frames import FRAME_HEAD_BYTES, MAX_BATCH_BYTES, Frame, FrameKind, decode_frames, encode_frames

frames = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    channel=st.integers(0, 2**32 - 1),
    at_us=st.integers(0, 2**63 - 1),
    data=st.binary(max_size=300),
)
turns = st.lists(frames, min_size=1, max_size=8).map(lambda turn: sorted(turn, key=lambda frame: frame.at_us))


@given(turns)
def test_a_turn_comes_back_as_it_was(turn: list[Frame]) -> None:
    assert list(decode_frames(encode_frames(turn))) == turn


@given(turns, st.data())
def test_a_turn_cut_anywhere_but_between_frames_is_refused(turn: list[Frame], data: st.DataObject) -> None:
    plain = encode_frames(turn)
    ends = {0}
    for frame in turn:
        ends.add(max(ends) + FRAME_HEAD_BYTES + len(frame.data))
    cut = data.draw(st.integers(0, len(plain)).filter(lambda at: at not in ends))
    with pytest.raises(DamagedRecordingError):
        list(decode_frames(plain[:cut]))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_whole_frames_or_refused(plain: bytes) -> None:
    with contextlib.suppress(DamagedRecordingError):
        found = list(decode_frames(plain))
        assert b"".join(encode_one(frame) for frame in found) == plain


def encode_one(frame: Frame) -> bytes:
    return encode_frames([frame])


def test_a_batch_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    most = MAX_BATCH_BYTES - FRAME_HEAD_BYTES
    assert len(encode_frames([Frame(FrameKind.OUTPUT, 0, 0, bytes(most))])) == MAX_BATCH_BYTES
    with pytest.raises(RecordingError) as refusal:
        encode_frames([Frame(FrameKind.OUTPUT, 0, 0, bytes(most + 1))])
    assert refusal.value.code == "batch_too_large"


def test_time_may_stand_still_inside_a_turn_but_not_run_back() -> None:
    late, early = Frame(FrameKind.OUTPUT, 0, 5, b"a"), Frame(FrameKind.OUTPUT, 0, 4, b"b")
    encode_frames([late, late])
    with pytest.raises(RecordingError) as refusal:
        encode_frames([late, early])
    assert refusal.value.code == "time_runs_back"


def test_an_empty_turn_is_no_batch() -> None:
    with pytest.raises(RecordingError):
        encode_frames([])


@pytest.mark.parametrize(("channel", "at_us"), [(-1, 0), (2**32, 0), (0, -1), (0, 2**63)])
def test_a_frame_that_does_not_fit_the_format_cannot_be_made(channel: int, at_us: int) -> None:
    with pytest.raises(ValueError, match=r"32 bits|too large"):
        Frame(FrameKind.OUTPUT, channel, at_us, b"")
