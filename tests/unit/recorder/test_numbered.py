import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.frames import MAX_BATCH_BYTES, Frame, FrameKind
from recorder.numbered import Assembler, FrameLineError, InOrder, Numbered, to_messages

FRAMES = st.lists(
    st.builds(
        Frame,
        st.sampled_from(FrameKind),
        st.integers(0, 9),
        st.integers(0, 10**12),
        st.one_of(st.binary(max_size=40), st.integers(0, 120_000).map(bytes)),
    ),
    max_size=12,
)


@given(st.integers(1, 10**9), FRAMES)
def test_frames_come_out_of_messages_as_they_went_in(first: int, frames: list[Frame]) -> None:
    assembler = Assembler()
    found: list[Numbered] = []
    for message in to_messages(first, frames):
        text = json.dumps(message, separators=(",", ":"))
        assert len(text) < 65_000
        found += assembler.feed(json.loads(text))
    assert found == [Numbered(number, frame) for number, frame in enumerate(frames, first)]


def test_many_small_frames_share_messages() -> None:
    frames = [Frame(FrameKind.OUTPUT, 1, at, b"x") for at in range(1_000)]
    assert len(list(to_messages(1, frames))) == 4


@pytest.mark.parametrize(
    "frames",
    [
        None,
        [7],
        [[1, 1, 1, 1, False]],
        [[0, 1, 1, 1, False, ""]],
        [[1, 1, 1, 1, 0, ""]],
        [[True, 1, 1, 1, False, ""]],
        [[1, 99, 1, 1, False, ""]],
        [[1, 1, -1, 1, False, ""]],
        [[1, 1, 1, 1, False, "%"]],
        [[1, 1, 1, 1, True, ""], [2, 1, 1, 1, False, ""]],
    ],
)
def test_what_is_no_frame_is_refused(frames: object) -> None:
    with pytest.raises(FrameLineError, match="frame"):
        Assembler().feed({"type": "frames", "frames": frames})


def test_a_frame_that_never_ends_is_refused() -> None:
    assembler = Assembler()
    piece = to_messages(1, [Frame(FrameKind.OUTPUT, 1, 1, bytes(40_000))])
    begin = next(iter(piece))
    with pytest.raises(FrameLineError, match="longer"):
        for _ in range(MAX_BATCH_BYTES // 32_768 + 1):
            assembler.feed(begin)


def numbered(*numbers: int) -> list[Numbered]:
    return [Numbered(number, Frame(FrameKind.OUTPUT, 1, 0, b"")) for number in numbers]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_history_and_live_frames_meet_without_gap_or_repeat(after: int, joined_at: int, overlap: int) -> None:
    total = max(after, joined_at) + 5
    line = InOrder(after)
    shown = line.take(numbered(*range(1, joined_at + 1)))
    shown += line.take(numbered(*range(max(1, joined_at + 1 - overlap), total + 1)))
    assert [one.number for one in shown] == list(range(after + 1, total + 1))


def test_a_gap_shows() -> None:
    line = InOrder(3)
    with pytest.raises(FrameLineError, match="frame 6 came after frame 4") as caught:
        line.take(numbered(4, 6))
    assert caught.value.code == "gap"
