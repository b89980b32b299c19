"""One channel: how it chooses its gate, and what its records hold."""

import json

import pytest

from broker.gateway import contract as c
from broker.gateway.channel_machine import ChannelMachine
from broker.gateway.channel_telling import Shared
from broker.gateway.channels import ChannelKind, ExitState, Side, Stream, Terminal
from broker.gateway.file_stream import Direction, FileRefused, FileTransferred, FileTurn
from broker.gateway.permits import SessionPermit
from broker.gateway.testing import permit_json
from recorder.frames import MAX_BATCH_BYTES, FrameKind, encode_frames

NOW = c.Moment(1_000, 2_000_000)


def channel(kind: ChannelKind = ChannelKind.EXEC, text: str = "cat", *, terminal: bool = False) -> ChannelMachine:
    shared = Shared(SessionPermit.from_json(permit_json()), started_us=0)
    size = Terminal("xterm", 80, 24) if terminal else None
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


class Files:
    """A file stream that answers with what it was told to; without that, everything passes."""

    def __init__(self) -> None:
        self.turns: list[FileTurn] = []
        self.waiting_bytes = 0
        self.drained = True
        self.left: tuple[FileTransferred, ...] = ()

    def client(self, data: bytes) -> FileTurn:
        return self.turns.pop(0) if self.turns else FileTurn(to_target=data)

    def target(self, data: bytes) -> FileTurn:
        return self.turns.pop(0) if self.turns else FileTurn(to_client=data)

    def end(self) -> FileTurn:
        left, self.left = self.left, ()
        return FileTurn(left)


MOVED = FileTransferred(Direction.UP, "/x", 5, "ab", complete=True, sequential=True)


def file_channel(files: Files) -> ChannelMachine:
    shared = Shared(SessionPermit.from_json(permit_json()), started_us=0)
    terminal = Terminal("xterm", 80, 24)
    request = c.ChannelRequested(1, ChannelKind.FILE_TRANSFER, "sftp", terminal, files=lambda rules: files)
    one = ChannelMachine(1, request, shared)
    record, report, opening = one.start(NOW)
    assert isinstance(record, c.Record)
    assert [(frame.kind, frame.data) for frame in record.frames] == [(FrameKind.SUBSYSTEM, b"sftp")]
    assert report == c.Report("session.channel.opened", {"channel": 1, "kind": "file_transfer"})
    assert opening == c.OpenChannel(1, ChannelKind.FILE_TRANSFER, "sftp", None, ())
    assert one.opened(NOW) == []
    return one


def test_what_a_file_stream_lets_through_is_recorded_before_it_is_sent() -> None:
    files = Files()
    one = file_channel(files)
    files.turns = [FileTurn(to_target=b"up", to_client=b"down")]
    commands = one.client_bytes(b"x", NOW)
    assert [type(command) for command in commands] == [c.Record, c.Send, c.Record, c.Send]
    for record, send in zip(commands[::2], commands[1::2], strict=True):
        assert isinstance(record, c.Record)
        assert isinstance(send, c.Send)
        assert record.frames[0].data == send.data
        assert (record.frames[0].kind is FrameKind.INPUT) is (send.side is Side.TARGET)


def test_a_fact_is_in_the_record_and_reported_before_the_bytes_that_tell_it() -> None:
    files = Files()
    one = file_channel(files)
    files.turns = [FileTurn((MOVED, FileRefused("r.1", "no", "sftp: remove /y")), to_client=b"done")]
    commands = one.target_bytes(b"x", Stream.OUTPUT, NOW)
    notes = [
        json.loads(x.frames[0].data) for x in commands if isinstance(x, c.Record) and x.frames[0].kind is FrameKind.NOTE
    ]
    assert [note["kind"] for note in notes] == ["file", "blocked", "message"]
    reports = [command for command in commands if isinstance(command, c.Report)]
    assert [report.code for report in reports] == ["session.file.transferred", "session.command.blocked"]
    assert reports[0].params == {"channel": 1, **MOVED.params()}
    assert reports[1].params == {"channel": 1, "rule_id": "r.1", "text": "sftp: remove /y"}
    assert isinstance(commands[-1], c.Send)


def test_error_output_of_a_file_channel_passes_beside_the_stream() -> None:
    files = Files()
    files.turns = [FileTurn(broken="not called")]
    commands = file_channel(files).target_bytes(b"words", Stream.ERROR, NOW)
    assert commands[-1] == c.Send(1, Side.CLIENT, b"words", Stream.ERROR)


def test_a_stream_that_cannot_be_read_ends_its_channel_and_tells_what_was_open() -> None:
    files = Files()
    one = file_channel(files)
    files.left = (MOVED,)
    files.turns = [FileTurn(broken="nonsense")]
    commands = one.client_bytes(b"x", NOW)
    assert one.over
    assert commands[-2:] == [c.CloseTargetChannel(1), c.EndChannel(1, ExitState(status=126))]
    assert any(isinstance(x, c.Report) and x.code == "session.file.transferred" for x in commands)
    assert any(isinstance(x, c.Message) and "nonsense" in x.text for x in commands)


def test_what_waits_for_the_target_stops_the_client_and_not_the_target() -> None:
    files = Files()
    one = file_channel(files)
    files.turns = [FileTurn()]
    files.waiting_bytes, files.drained = 70_000, False
    assert one.client_bytes(b"x", NOW) == [c.Flow(1, Side.CLIENT, open=False)]
    assert one.ended(Side.CLIENT, NOW) == []
    files.waiting_bytes, files.drained = 0, True
    commands = one.target_bytes(b"answer", Stream.OUTPUT, NOW)
    assert c.SendEnd(1, Side.TARGET) in commands
    assert commands[-1] == c.Flow(1, Side.CLIENT, open=True)


def test_nothing_of_a_file_channel_moves_while_the_session_is_frozen() -> None:
    files = Files()
    one = file_channel(files)
    one.shared.frozen = True
    one.freeze()
    files.turns = [FileTurn(to_target=b"a held request")]  # as when the target answers a question of the stream
    assert not any(isinstance(x, c.Send) for x in one.target_bytes(b"x", Stream.OUTPUT, NOW))
    assert not any(isinstance(x, c.Send) for x in one.client_bytes(b"y", NOW))
    one.shared.frozen = False
    assert to_target(one.drain(NOW)) == b"a held requesty"


@pytest.mark.parametrize("side", Side)
def test_the_end_of_a_file_channel_tells_what_was_broken_off(side: Side) -> None:
    files = Files()
    files.left = (MOVED,)
    one = file_channel(files)
    commands = one.closed(side, NOW)
    assert any(isinstance(x, c.Report) and x.code == "session.file.transferred" for x in commands)
    assert one.finish(NOW) == []


def test_a_file_channel_needs_a_direction_in_the_permit() -> None:
    permit = SessionPermit.from_json({**permit_json(), "channels": ["shell", "exec", "file_transfer"]})
    request = c.ChannelRequested(1, ChannelKind.FILE_TRANSFER, "sftp", files=lambda rules: Files())
    one = ChannelMachine(1, request, Shared(permit, started_us=0))
    assert isinstance(one.start(NOW)[-1], c.Refuse)
