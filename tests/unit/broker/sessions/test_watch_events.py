import json

import pytest

from broker.sessions import watch_events
from recorder.frames import Frame, FrameKind
from recorder.numbered import Numbered


def one(kind: FrameKind, data: bytes, number: int = 7) -> Numbered:
    return Numbered(number, Frame(kind, 2, 1_234_567, data))


def read(text: bytes) -> tuple[dict[str, str], dict[str, object]]:
    assert text.endswith(b"\n\n")
    fields = dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))
    return fields, json.loads(fields["data"])


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        (FrameKind.OUTPUT, b"\xe9\x98", {"kind": "output", "data_b64": "6Zg="}),
        (FrameKind.ERROR_OUTPUT, b"x", {"kind": "error_output", "data_b64": "eA=="}),
        (FrameKind.RESIZE, b"100x40", {"kind": "resize", "width": 100, "height": 40}),
        (FrameKind.RESIZE, b"wide", {"kind": "resize"}),
        (FrameKind.EXEC, b"date", {"kind": "exec", "text": "date"}),
        (FrameKind.SHELL, b"", {"kind": "shell", "text": ""}),
        (FrameKind.EXIT, b"0", {"kind": "exit", "text": "0"}),
        (FrameKind.NOTE, b'{"kind": "frozen"}', {"kind": "note", "note": {"kind": "frozen"}}),
        (FrameKind.NOTE, b"[1]", {"kind": "note", "note": {"kind": "note", "text": "[1]"}}),
        (FrameKind.NOTE, b"\xff", {"kind": "note", "note": {"kind": "note", "text": "\ufffd"}}),
    ],
)
def test_each_kind_of_frame_has_its_form(kind: FrameKind, data: bytes, shown: dict[str, object]) -> None:
    fields, body = read(watch_events.frames([one(kind, data)]))
    assert (fields["event"], fields["id"]) == ("frames", "7")
    assert body == {"frames": [{"n": 7, "at_ms": 1234, "channel": 2, **shown}]}


def test_what_was_typed_is_counted_and_not_shown() -> None:
    assert watch_events.frames([one(FrameKind.INPUT, b"secret")]) == b""
    text = watch_events.frames([one(FrameKind.OUTPUT, b"a", 7), one(FrameKind.INPUT, b"secret", 8)])
    fields, body = read(text)
    assert fields["id"] == "8"
    assert len(body["frames"]) == 1  # type: ignore[arg-type]


def test_the_other_events_say_where_the_viewer_is() -> None:
    fields, body = read(watch_events.start("ses_1", "rec_1", 3))
    assert fields["retry"] == "1000"
    assert body == {"session_id": "ses_1", "recording_id": "rec_1", "after_frame": 3}
    for text, name, shown in (
        (watch_events.live(9), "live", {"last_frame": 9}),
        (watch_events.beat(9), "beat", {"last_frame": 9}),
        (watch_events.end("session_ended"), "end", {"reason": "session_ended"}),
    ):
        fields, body = read(text)
        assert (fields["event"], body) == (name, shown)
        assert "id" not in fields
