import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.cast import command_events, to_asciicast_v2
from recorder.frames import Frame, FrameKind
from recorder.testing import sample_header, sample_turns

HEADER = sample_header()


def output(at_us: int, data: bytes, channel: int = 0) -> Frame:
    return Frame(FrameKind.OUTPUT, channel, at_us, data)


def events(frames: Iterable[Frame], **options: object) -> list[list[object]]:
    lines = list(to_asciicast_v2(HEADER, frames, **options))  # type: ignore[arg-type]
    assert all(line.endswith("\n") for line in lines)
    return [json.loads(line) for line in lines[1:]]


def test_the_first_line_is_a_v2_header() -> None:
    line = next(to_asciicast_v2(HEADER, []))
    assert json.loads(line) == {
        "version": 2,
        "width": 80,
        "height": 24,
        "timestamp": HEADER.created_at_ms // 1000,
        "title": HEADER.recording_id,
    }


def test_idle_time_is_left_to_the_player_and_event_times_stay_raw() -> None:
    lines = list(to_asciicast_v2(HEADER, [output(3_600_000_000, b"x")], idle_limit_seconds=2.0, title="pump 3"))
    assert json.loads(lines[0])["idle_time_limit"] == 2.0
    assert json.loads(lines[0])["title"] == "pump 3"
    assert json.loads(lines[1]) == [3600.0, "o", "x"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 400)))
def test_text_split_anywhere_comes_out_whole(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    frames = [output(i, data[a:b]) for i, (a, b) in enumerate(itertools.pairwise(places))]
    assert "".join(str(event[2]) for event in events(frames)) == text


def test_a_chinese_character_split_in_three_appears_once_it_is_whole() -> None:
    data = "阀".encode()
    frames = [output(i, data[i : i + 1]) for i in range(3)]
    assert events(frames) == [[0.000002, "o", "阀"]]


def test_channels_and_streams_do_not_complete_each_others_characters() -> None:
    data = "泵".encode()
    other = Frame(FrameKind.ERROR_OUTPUT, 0, 1, b"!")
    assert events([output(0, data[:2]), other, output(2, b"?", channel=1), output(3, data[2:])]) == [
        [0.000001, "o", "!"],
        [0.000002, "o", "?"],
        [0.000003, "o", "泵"],
    ]


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert events([output(0, b"a\xffb"), output(1, b"\xe4\xbd")]) == [[0.0, "o", "a\ufffdb"], [0.000001, "o", "\ufffd"]]


def test_a_target_that_speaks_gb18030_is_readable() -> None:
    data = "温度".encode("gb18030")
    frames = [output(0, data[:1]), output(1, data[1:])]
    assert "".join(str(event[2]) for event in events(frames, encoding="gb18030")) == "温度"


def test_only_what_was_shown_is_output_and_typing_is_left_out() -> None:
    frames = [Frame(kind, 0, int(kind), b"80x24") for kind in FrameKind]
    assert [(event[1], event[2]) for event in events(frames)] == [
        ("o", "80x24"),
        ("o", "80x24"),
        ("r", "80x24"),
        ("m", "note: 80x24"),
    ]


def test_one_channel_can_be_picked_and_notes_stay() -> None:
    frames = [output(0, b"zero"), output(1, b"one", channel=1), Frame(FrameKind.NOTE, 0, 2, b"n")]
    assert [event[2] for event in events(frames, channel=1)] == ["one", "note: n"]


def test_markers_in_a_cast_are_bounded_and_the_list_beside_it_is_not() -> None:
    frames = [Frame(FrameKind.NOTE, 0, i, b'{"kind":"k","text":"t"}') for i in range(300)]
    assert len(events(frames)) == 200
    assert len(list(command_events(frames))) == 300


def test_the_command_list_names_time_kind_text_and_rule() -> None:
    frames = [
        Frame(FrameKind.EXEC, 2, 1_500_999, "ls /数据".encode()),
        Frame(FrameKind.SHELL, 0, 1_600_000, b""),
        Frame(FrameKind.OUTPUT, 0, 1_700_000, b"not in the list"),
        Frame(FrameKind.NOTE, 0, 2_000_000, b'{"code":"session.command.blocked","command":"halt","rule_id":"R1"}'),
        Frame(FrameKind.NOTE, 0, 3_000_000, b"[1]"),
        Frame(FrameKind.NOTE, 0, 3_000_000, b'{"rule_id":7}'),
        Frame(FrameKind.NOTE, 0, 3_000_000, b"[" * 5000),
        Frame(FrameKind.NOTE, 0, 3_000_000, b"\xff"),
    ]
    found = [
        (event.at_ms, event.channel, event.kind, event.text[:30], event.rule_id) for event in command_events(frames)
    ]
    assert found == [
        (1500, 2, "exec", "ls /数据", None),
        (1600, 0, "shell", "", None),
        (2000, 0, "session.command.blocked", "halt", "R1"),
        (3000, 0, "note", "[1]", None),
        (3000, 0, "note", '{"rule_id":7}', None),
        (3000, 0, "note", "[" * 30, None),
        (3000, 0, "note", "\ufffd", None),
    ]


def test_the_time_of_a_long_session_keeps_its_microseconds() -> None:
    month_us = 31 * 24 * 3600 * 1_000_000 + 1
    assert events([output(month_us, b"x")])[0][0] == 2678400.000001


@pytest.fixture
def cast_file(tmp_path: Path) -> Path:
    path = tmp_path / "session.cast"
    frames = [frame for turn in sample_turns() for frame in turn]
    path.write_text("".join(to_asciicast_v2(HEADER, frames, idle_limit_seconds=0.01)), "utf-8")
    return path


@pytest.mark.parametrize("command", [["cat"], ["play", "--speed", "1000"]])
def test_asciinema_shows_the_exported_session(cast_file: Path, command: list[str]) -> None:
    asciinema = Path(sys.executable).with_name("asciinema")
    surroundings = os.environ | {"ASCIINEMA_CONFIG_HOME": str(cast_file.parent), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [asciinema, *command, cast_file], env=surroundings, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    assert "你好 plc-1\r\nlwarning\r\n" in shown


def test_a_channel_of_a_subsystem_shows_no_output_and_its_files_are_events() -> None:
    note = b'{"kind": "file", "text": "up /x (5 bytes, complete)", "direction": "up"}'
    frames = [
        Frame(FrameKind.SUBSYSTEM, 2, 1, b"sftp"),
        output(2, b"\x00\x01binary", channel=2),
        output(3, b"text", channel=1),
        Frame(FrameKind.NOTE, 2, 4, note),
        Frame(FrameKind.ERROR_OUTPUT, 2, 5, b"sftp-server: words"),
    ]
    assert [event[1:] for event in events(frames)] == [
        ["o", "text"],
        ["m", "file: up /x (5 bytes, complete)"],
        ["o", "sftp-server: words"],
    ]
    assert [(one.kind, one.text) for one in command_events(frames)] == [
        ("subsystem", "sftp"),
        ("file", "up /x (5 bytes, complete)"),
    ]
