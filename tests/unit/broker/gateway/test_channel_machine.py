"""One channel: how it chooses its gate, and what its records hold."""

import json

import pytest

from broker.gateway import contract as c
from broker.gateway.channel_machine import ChannelMachine, Shared
from broker.gateway.contract import ChannelKind, Side, Stream
from broker.gateway.permits import SessionPermit
from broker.gateway.testing import permit_json
from recorder.frames import MAX_BATCH_BYTES, FrameKind, encode_frames

NOW = c.Moment(1_000, 2_000_000)


def channel(kind: ChannelKind = ChannelKind.EXEC, text: str = "cat", *, terminal: bool = False) -> ChannelMachine:
    shared = Shared(SessionPermit.from_json(permit_json()), started_us=0)
    size = c.Terminal("xterm", 80, 24) if terminal else None
    one = ChannelMachine(1, c.ChannelRequested(1, kind, text, size), shared)
    one.start(NOW)
    one.opened(NOW)
    return one


def to_target(commands: list[c.Command]) -> bytes:
    return b"".join(x.data for x in commands if isinstance(x, c.Send) and x.side is Side.TARGET)


@pytest.mark.parametrize(
    ("kind", "text", "terminal", "passes"),
    [
        (ChannelKind.EXEC, "cat", False, True),
        (ChannelKind.EXEC, "bash", False, False),
        (ChannelKind.EXEC, "sudo -i", False, False),
        (ChannelKind.EXEC, "cat", True, False),
        (ChannelKind.SHELL, "", False, False),
        (ChannelKind.SHELL, "", True, False),
    ],
)
def test_lines_are_judged_wherever_a_shell_may_read_them(
    kind: ChannelKind, text: str, *, terminal: bool, passes: bool
) -> None:
    line = b"rm -rf /srv/data\r\n"
    one = channel(kind, text, terminal=terminal)
    assert (to_target(one.client_bytes(line, NOW)) == line) is passes


def test_large_data_is_recorded_in_batches_that_a_recording_takes() -> None:
    commands = channel().target_bytes(bytes(3 * MAX_BATCH_BYTES), Stream.OUTPUT, NOW)
    records = [command for command in commands if isinstance(command, c.Record)]
    assert sum(len(frame.data) for record in records for frame in record.frames) == 3 * MAX_BATCH_BYTES
    for record in records:
        encode_frames(record.frames)


def test_the_time_of_a_frame_is_counted_from_the_start() -> None:
    (record, _) = channel().target_bytes(b"x", Stream.OUTPUT, NOW)
    assert isinstance(record, c.Record)
    assert record.frames[0].at_us == 2_000_000


def test_reported_text_is_bounded_and_the_recording_has_all_of_it() -> None:
    text = "rm -rf /srv/data " + "x" * 5_000
    shared = Shared(SessionPermit.from_json(permit_json()), started_us=0)
    one = ChannelMachine(1, c.ChannelRequested(1, ChannelKind.EXEC, text), shared)
    record, report, _ = one.start(NOW)
    assert isinstance(report, c.Report)
    assert len(str(report.params["text"])) == 2_000
    assert isinstance(record, c.Record)
    assert record.frames[0].kind is FrameKind.NOTE
    assert json.loads(record.frames[0].data)["text"] == text


def test_a_hold_decided_while_frozen_waits_for_the_thaw() -> None:
    rules = permit_json()["rules"]
    assert isinstance(rules, dict)
    permit = permit_json()
    permit["rules"] = {"policy_version": "1", "rules": [{**rules["rules"][0], "action": "hold"}]}
    shared = Shared(SessionPermit.from_json(permit), started_us=0)
    one = ChannelMachine(1, c.ChannelRequested(1, ChannelKind.SHELL, "", None), shared)
    one.start(NOW)
    one.opened(NOW)
    asked = one.client_bytes(b"rm -rf /etc\n", NOW)
    assert any(isinstance(command, c.AskHold) for command in asked)
    shared.frozen = True
    assert one.decided(NOW, allowed=True) == []
    shared.frozen = False
    assert to_target(one.drain(NOW)) == b"rm -rf /etc\n"
