"""What is told of a moved file, to the recording and to control."""

import json

from broker.gateway.file_stream import MAX_SHOWN_CHARS, Direction, FileTransferred, shown


def test_a_transfer_is_noted_with_a_line_for_people_and_reported_with_the_same_facts() -> None:
    moved = FileTransferred(Direction.UP, "/box/中文", 5, "ab", complete=True, sequential=True)
    note = json.loads(moved.note())
    assert note.pop("kind") == "file"
    assert note.pop("text") == "up /box/中文 (5 bytes, complete)"
    facts = {"direction": "up", "path": "/box/中文", "bytes": 5, "sha256": "ab", "complete": True, "sequential": True}
    assert note == facts
    assert moved.params() == facts


def test_a_hash_that_is_not_known_is_null_in_the_note_and_empty_in_the_report() -> None:
    moved = FileTransferred(Direction.DOWN, "x", 5, None, complete=False, sequential=False)
    assert json.loads(moved.note())["sha256"] is None
    assert moved.params()["sha256"] == ""
    assert "not complete" in json.loads(moved.note())["text"]


def test_a_path_is_shown_bounded_and_without_control_characters() -> None:
    assert shown("a\x1b[2Jb\udcff") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    assert len(shown("x" * 5000)) == MAX_SHOWN_CHARS
