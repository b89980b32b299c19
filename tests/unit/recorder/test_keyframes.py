"""Keyframes: any moment from its chunk alone is the same as from the beginning; times map both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import keyframes
from recorder.frames import Frame, FrameKind
from recorder.keyframes import Clock, Index, Indexer, Place, Shown, events_of, size_of
from recorder.screen import Screen
from recorder.testing import sample_header

NOWHERE = Place(0, 1, 1, bytes(32))
WORDS = [
    "行 ",
    "line ",
    "\x1b[31mred\x1b[m ",
    "\r\n",
    "\x1b[2;3H",
    "\x1b[K",
    "你好",
    "\t",
    "\x1b[?1049h",
    "\x1b[?1049l",
]


def output(at_us: int, data: bytes, channel: int = 0) -> Frame:
    return Frame(FrameKind.OUTPUT, channel, at_us, data)


def indexed(frames: list[Frame]) -> Index:
    indexer = Indexer(sample_header())
    for frame in frames:
        indexer.take(frame, NOWHERE)
    return indexer.index()


def screen_from_start(frames: list[Frame]) -> list[str]:
    return played(Screen(80, 24), list(events_of(iter(frames)))).lines


def played(screen: Screen, events: list[keyframes.Event]) -> Screen:
    for event in events:
        if event.code == "o":
            screen.feed(event.text)
        elif (size := size_of(event.text)) is not None:
            screen.resize(*size)
    return screen


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 7)), min_size=1, max_size=120))
def test_every_moment_from_its_chunk_alone_is_the_same_screen_as_from_the_beginning(
    turns: list[tuple[str, int]],
) -> None:
    frames: list[Frame] = []
    for number, (word, cut) in enumerate(turns):
        data = word.encode()
        frames += [output(number * 10, data[:cut]), output(number * 10 + 5, data[cut:])]
        if number == 50:
            frames.append(Frame(FrameKind.RESIZE, 0, number * 10 + 6, b"100x30"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keyframes, "CHUNK_EVENTS", 7)
        index = indexed(frames)
    assert Index.from_bytes(index.to_bytes()) == index
    for wanted in range(0, len(frames), 3):
        begin = index.keyframes[index.chunk_at(frames[wanted].at_us)]
        screen = Screen(begin.columns, begin.rows)
        screen.feed(begin.text)
        found = played(screen, list(events_of(iter(frames[begin.first_frame - 1 : wanted + 1]), begin.programs)))
        assert found.lines == screen_from_start(frames[: wanted + 1])


def test_chunks_end_after_so_many_events_bytes_or_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 10)
    many = indexed([output(number, b"x") for number in range(35)])
    assert [one.first_frame for one in many.keyframes] == [1, 11, 21, 31]
    monkeypatch.undo()
    large = indexed([output(number, b"x" * 70_000) for number in range(5)])
    assert [one.first_frame for one in large.keyframes] == [1, 3, 5]
    slow = indexed([output(number * 60_000_000, b"x") for number in range(5)])
    assert [one.first_frame for one in slow.keyframes] == [1, 3, 5]


def resize(at_us: int, columns: int, rows: int) -> Frame:
    return Frame(FrameKind.RESIZE, 0, at_us, f"{columns}x{rows}".encode())


def test_a_chunk_begins_when_the_window_changes_over_a_covered_page_and_when_that_is_seen_again() -> None:
    frames = [
        *(output(1, b"a"), resize(2, 60, 20), output(3, b"\x1b[?1049h"), resize(4, 50, 20), output(5, b"b")),
        *(resize(6, 50, 20), output(7, b"c"), output(8, b"\x1b[?1049l"), output(9, b"d"), output(10, b"e")),
    ]
    assert [one.first_frame for one in indexed(frames).keyframes] == [1, 5, 9]


def test_such_chunks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "BYTES_FOR_SIZES", 150)
    frames = [output(0, b"\x1b[?1049h")]
    frames += [frame for n in range(1, 60) for frame in (resize(2 * n, 20 + n, 9), output(2 * n + 1, b"x"))]
    assert 2 < len(indexed(frames).keyframes) < 8


def test_a_keyframe_has_what_scrolled_off_only_where_the_window_changes_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 1)
    index = indexed([output(0, b"first\r\n" + b"\n" * 30), output(1, b"a"), resize(2, 80, 60), output(3, b"b")])
    assert ["first" in one.text for one in index.keyframes] == [False, False, True, True]
    last = index.keyframes[-1]
    assert (last.columns, last.rows) == (80, 60)


def test_a_chunk_does_not_begin_inside_a_character_or_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 1)
    data = [b"a", b"\xe4", b"\xbd\xa0", b"\x1b[", b"31mx", b"y"]
    frames = [output(number, one) for number, one in enumerate(data, 1)]
    assert [one.first_frame for one in indexed(frames).keyframes] == [1, 2, 4, 6]


def test_what_is_typed_or_moved_as_a_file_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "CHUNK_EVENTS", 1)
    frames = [
        Frame(FrameKind.SUBSYSTEM, 3, 1, b"sftp"),
        output(2, b"shown"),
        output(3, b"\0\0packet", channel=3),
        Frame(FrameKind.INPUT, 0, 4, b"typed"),
        output(5, b"!"),
    ]
    index = indexed(frames)
    assert index.keyframes[-1].programs == (3,)
    last = index.keyframes[-1]
    assert [one.text for one in events_of(iter(frames[last.first_frame - 1 :]), last.programs)] == ["!"]
    assert Shown().is_between


def test_an_index_without_output_has_no_chunk_and_another_version_is_none() -> None:
    assert indexed([Frame(FrameKind.SHELL, 0, 5, b"")]).keyframes == ()
    with pytest.raises(ValueError, match="another version"):
        Index.from_bytes(b'{"v":1}')


@pytest.mark.parametrize("text", ["", "80", "0x24", "80x", "-1x5", "80x24x3", "99999999x99999"])
def test_a_size_that_is_none_is_none(text: str) -> None:
    assert size_of(text) is None


def test_silences_are_shortened_and_both_clocks_agree() -> None:
    clock = Clock([(10_000_000, 60_000_000), (100_000_000, 1_500_000)], 2_000_000)
    assert clock.to_shown(10_000_000) == 10_000_000
    assert clock.to_shown(11_000_000) == 11_000_000
    assert clock.to_shown(50_000_000) == clock.to_shown(70_000_000) == 12_000_000
    assert clock.to_raw(12_000_000) == 70_000_000
    assert clock.to_shown(101_500_000) == 43_500_000
    assert clock.to_raw(43_500_000) == 101_500_000


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60), st.integers(1, 5_000))
def test_events_keep_their_order_and_come_back_from_shown_time(pauses: list[int], limit: int) -> None:
    moments: list[int] = []
    for pause in pauses:
        moments.append((moments[-1] if moments else 0) + pause)
    gaps = [(before, after - before) for before, after in zip([0, *moments], moments, strict=False)]
    clock = Clock(gaps, limit)
    shown = [clock.to_shown(moment) for moment in moments]
    assert all(0 <= later - before <= limit for before, later in zip([0, *shown], shown, strict=False))
    assert [clock.to_raw(one) for one in shown] == moments


def test_a_recording_of_frames_has_its_silences() -> None:
    index = indexed([output(0, b"a"), output(900_000, b"b"), output(9_000_000, b"c")])
    assert index.silences == ((900_000, 8_100_000),)
