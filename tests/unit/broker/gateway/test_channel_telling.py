"""What is told of a channel, and with which time."""

import json

from broker.gateway import contract as c
from broker.gateway.channel_telling import Shared, Telling
from broker.gateway.permits import SessionPermit
from broker.gateway.testing import permit_json
from recorder.frames import FrameKind

NOW = c.Moment(1_000, 2_000_000)


def telling(*, started_us: int = 500_000, recording: bool = True) -> Telling:
    return Telling(3, Shared(SessionPermit.from_json(permit_json()), started_us, recording=recording))


def test_the_time_of_a_frame_is_counted_from_the_start() -> None:
    assert telling().frame(FrameKind.OUTPUT, b"x", NOW).at_us == 1_500_000
    assert telling(started_us=9_000_000).frame(FrameKind.OUTPUT, b"x", NOW).at_us == 0


def test_a_line_of_our_own_is_in_the_recording_before_it_is_shown() -> None:
    record, message = telling().say("waits", NOW)
    assert isinstance(record, c.Record)
    assert json.loads(record.frames[0].data) == {"kind": "message", "text": "Sallyport: waits"}
    assert message == c.Message(3, "Sallyport: waits")


def test_nothing_is_noted_where_nothing_is_recorded() -> None:
    one = telling(recording=False)
    assert one.note("command", NOW, text="ls") == one.noted(b"{}", NOW) == []
    assert one.say("waits", NOW) == [c.Message(3, "Sallyport: waits")]


def test_what_the_trail_is_told_is_bounded() -> None:
    assert telling().report("session.command.entered", text="x" * 5_000) == c.Report(
        "session.command.entered", {"channel": 3, "text": "x" * 2_000}
    )
