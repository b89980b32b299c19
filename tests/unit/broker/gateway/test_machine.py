"""The session machine: this arrives, that must leave; and whatever arrives, no byte leaves unrecorded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway import contract as c
from broker.gateway.channel_words import NOBODY_WATCHES
from broker.gateway.channels import ChannelKind, ExitState, Side, Stream, Terminal
from broker.gateway.machine import MAX_CHANNELS, Phase, SessionMachine
from broker.gateway.permits import Lease, Secret, SessionPermit
from broker.gateway.testing import permit_json
from broker.protocols.ssh.sftp import SftpStream
from broker.protocols.ssh.sftp_wire import Type
from recorder.frames import FrameKind
from tests.unit.broker.protocols.ssh.sftp_packets import INIT, PUT, VERSION, packet

START = c.Moment(1_000_000, 50_000_000)
PERMIT = replace(SessionPermit.from_json(permit_json()), not_after_ms=START.wall_ms + 3_600_000)
LEASE = Lease("lse_1", "10.0.0.1", 22, "ssh-ed25519 AAAA", "root", "password", Secret("x"))
TERMINAL = Terminal("xterm", 80, 24)


def later(seconds: float) -> c.Moment:
    return c.Moment(START.wall_ms + int(seconds * 1000), START.boot_us + int(seconds * 1_000_000))


class Session:
    """A machine with a clock; `do` returns the commands of the events."""

    def __init__(self, permit: SessionPermit = PERMIT) -> None:
        self.machine = SessionMachine(START)
        self.now = START
        self.permit = permit

    def do(self, *events: c.Event) -> list[c.Command]:
        return [command for event in events for command in self.machine.handle(event, self.now)]

    def live(self) -> "Session":
        self.do(c.Admitted(self.permit), c.Leased(LEASE), c.Dialed())
        return self

    def shell(self, number: int = 1) -> "Session":
        self.live().do(c.ChannelRequested(number, ChannelKind.SHELL, "", TERMINAL), c.ChannelOpened(number))
        return self


def kinds(commands: list[c.Command]) -> list[type]:
    return [type(command) for command in commands]


def of(kind: type, commands: list[c.Command]) -> list[c.Command]:
    return [command for command in commands if isinstance(command, kind)]


def test_a_session_opens_step_by_step() -> None:
    session = Session()
    assert session.do(c.Admitted(PERMIT)) == [c.AskLease()]
    assert session.do(c.ChannelRequested(1, ChannelKind.EXEC, "date")) == []
    assert session.do(c.Leased(LEASE)) == [c.Dial(LEASE)]
    commands = session.do(c.Dialed())
    assert kinds(commands) == [c.Record, c.Report, c.Report, c.OpenChannel]
    assert session.machine.phase is Phase.LIVE


def test_a_session_admitted_once_is_not_admitted_again() -> None:
    session = Session().live()
    assert session.do(c.Admitted(replace(PERMIT, channels=frozenset()))) == []
    assert of(c.OpenChannel, session.do(c.ChannelRequested(1, ChannelKind.EXEC, "date")))


def test_a_channel_before_admission_is_refused() -> None:
    assert kinds(Session().do(c.ChannelRequested(1, ChannelKind.SHELL))) == [c.Refuse]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ChannelKind.FILE_TRANSFER, "File transfer is not part of your access"),
        (ChannelKind.FILE_COMMAND, "without -O"),
        (ChannelKind.SUBSYSTEM, "subsystem is not available"),
    ],
)
def test_what_the_permit_does_not_name_is_refused(kind: ChannelKind, words: str) -> None:
    (refuse,) = of(c.Refuse, Session().live().do(c.ChannelRequested(1, kind, "sftp")))
    assert isinstance(refuse, c.Refuse)
    assert words in refuse.message


def test_a_shell_that_is_not_permitted_is_refused() -> None:
    session = Session(replace(PERMIT, channels=frozenset({"exec"}))).live()
    assert of(c.Refuse, session.do(c.ChannelRequested(1, ChannelKind.SHELL)))


def test_bytes_are_recorded_and_then_sent() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1))
    record, send = session.do(c.ClientBytes(1, b"in"))
    assert isinstance(record, c.Record)
    assert [(f.kind, f.data) for f in record.frames] == [(FrameKind.INPUT, b"in")]
    assert send == c.Send(1, Side.TARGET, b"in")
    record, send = session.do(c.TargetBytes(1, b"oops", Stream.ERROR))
    assert isinstance(record, c.Record)
    assert record.frames[0].kind is FrameKind.ERROR_OUTPUT
    assert send == c.Send(1, Side.CLIENT, b"oops", Stream.ERROR)


def test_input_before_the_channel_opens_waits() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
    assert session.do(c.ClientBytes(1, b"early"), c.Ended(1, Side.CLIENT)) == []
    commands = session.do(c.ChannelOpened(1))
    assert of(c.Send, commands) == [c.Send(1, Side.TARGET, b"early")]
    assert kinds(commands)[-1] is c.SendEnd


def test_early_input_beyond_a_bound_stops_the_client_until_it_may_go() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"))
    commands = session.do(c.ClientBytes(1, bytes(70_000)))
    assert c.Flow(1, Side.CLIENT, open=False) in commands
    assert c.Flow(1, Side.CLIENT, open=True) in session.do(c.ChannelOpened(1))


def test_a_blocked_exec_never_reaches_the_target() -> None:
    commands = Session().live().do(c.ChannelRequested(1, ChannelKind.EXEC, "rm -rf /srv/data"))
    assert kinds(commands) == [c.Record, c.Report, c.Refuse]
    refuse = commands[-1]
    assert isinstance(refuse, c.Refuse)
    assert refuse.status == 126


def test_a_blocked_line_is_told_cancelled_and_reported() -> None:
    session = Session().shell()
    commands = session.do(c.TargetBytes(1, b"# "), c.ClientBytes(1, b"rm -rf /srv/data\r"))
    commands += session.do(c.TargetBytes(1, b"rm -rf /srv/data"))
    (report,) = [x for x in of(c.Report, commands) if isinstance(x, c.Report) and x.code == "session.command.blocked"]
    assert report == c.Report(
        "session.command.blocked", {"channel": 1, "rule_id": "linux.recursive-removal", "text": "rm -rf /srv/data"}
    )
    sends = [x for x in of(c.Send, commands) if isinstance(x, c.Send) and x.side is Side.TARGET]
    assert b"".join(send.data for send in sends) == b"rm -rf /srv/data\x03"
    (message,) = of(c.Message, commands)
    assert isinstance(message, c.Message)
    assert "blocked (linux.recursive-removal)" in message.text
    assert commands.index(message) < commands.index(sends[-1])


def test_a_line_shell_ends_at_a_blocked_line() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.SHELL), c.ChannelOpened(1))
    commands = session.do(c.ClientBytes(1, b"date\nrm -rf /srv/data\nid\n"))
    assert of(c.Send, commands) == [c.Send(1, Side.TARGET, b"date\n")]
    assert kinds(commands)[-2:] == [c.CloseTargetChannel, c.EndChannel]
    assert session.do(c.ClientBytes(1, b"id\n")) == []


def test_the_exit_status_follows_all_output() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "date"), c.ChannelOpened(1))
    assert session.do(c.TargetExited(1, ExitState(status=3))) == []
    assert of(c.Send, session.do(c.TargetBytes(1, b"tail")))
    commands = session.do(c.ChannelClosed(1, Side.TARGET))
    assert commands[-1] == c.EndChannel(1, ExitState(status=3))
    close = session.do(c.SideGone(Side.CLIENT))[-1]
    assert close == c.Close("client_left", "", 3, broken=False)


def test_a_channel_whose_client_left_before_it_opened_is_closed_on_the_target() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "date"))
    assert session.do(c.ChannelClosed(1, Side.CLIENT)) == [c.CloseTargetChannel(1)]
    assert session.do(c.ChannelOpened(1)) == [c.CloseTargetChannel(1)]


def test_channels_are_bounded() -> None:
    session = Session().live()
    for number in range(MAX_CHANNELS):
        assert not of(c.Refuse, session.do(c.ChannelRequested(number, ChannelKind.EXEC, "cat")))
    assert of(c.Refuse, session.do(c.ChannelRequested(99, ChannelKind.EXEC, "cat")))


def test_a_resize_reaches_the_target_in_every_phase_of_its_channel() -> None:
    session = Session()
    session.do(c.Admitted(PERMIT), c.ChannelRequested(1, ChannelKind.SHELL, "", TERMINAL), c.Resized(1, 90, 30))
    session.do(c.Leased(LEASE))
    (opening,) = of(c.OpenChannel, session.do(c.Dialed()))
    assert isinstance(opening, c.OpenChannel)
    assert opening.terminal == Terminal("xterm", 90, 30)
    assert session.do(c.Resized(1, 100, 40)) == []
    assert c.Resize(1, 100, 40, 0, 0) in session.do(c.ChannelOpened(1))
    assert kinds(session.do(c.Resized(1, 70, 20))) == [c.Record, c.Resize]


@pytest.mark.parametrize(
    ("wall", "boot"), [(3600, 3600), (3600, 5), (5, 3600)], ids=["both", "wall set ahead", "wall set back"]
)
def test_the_earlier_of_both_clocks_ends_the_session(wall: int, boot: int) -> None:
    session = Session(replace(PERMIT, idle_seconds=0)).shell()
    session.now = c.Moment(START.wall_ms + 5_000, START.boot_us + 5_000_000)
    assert session.do(c.Ticked()) == []
    session.now = c.Moment(START.wall_ms + wall * 1000, START.boot_us + boot * 1_000_000)
    commands = session.do(c.Ticked())
    assert kinds(commands) == [c.DropTarget, c.Record, c.Message, c.Close]
    assert session.machine.end_reason == "expired"


def test_a_permit_that_is_over_opens_nothing() -> None:
    session = Session()
    assert kinds(session.do(c.Admitted(replace(PERMIT, not_after_ms=START.wall_ms)))) == [c.DropTarget, c.Close]


def test_the_end_is_asked_for_once_and_may_move() -> None:
    session = Session(replace(PERMIT, idle_seconds=0)).shell()
    session.now = later(3580)
    assert session.do(c.Ticked()) == [c.AskRenewal()]
    assert session.do(c.Ticked()) == []
    session.do(c.Renewed(START.wall_ms + 7_200_000))
    session.now = later(3700)
    assert session.do(c.Ticked()) == []
    session.now = later(7200)
    assert session.do(c.Ticked())[-1] == c.Close(
        "expired", "Your access time is over. 您的访问时间已到。", None, broken=False
    )


def test_a_session_without_input_ends_and_output_does_not_count() -> None:
    session = Session(replace(PERMIT, idle_seconds=60)).shell()
    session.now = later(59)
    session.do(c.ClientBytes(1, b"x"))
    session.now = later(100)
    session.do(c.TargetBytes(1, b"x"))
    assert session.do(c.Ticked()) == []
    session.now = later(119)
    session.do(c.Ticked())
    assert session.machine.end_reason == "idle"


def to_target(commands: list[c.Command]) -> bytes:
    sends = [x for x in commands if isinstance(x, c.Send) and x.side is Side.TARGET]
    return b"".join(send.data for send in sends)


def messages(commands: list[c.Command]) -> list[str]:
    return [x.text for x in commands if isinstance(x, c.Message)]


def test_a_silent_control_freezes_and_later_ends_a_session() -> None:
    session = Session(replace(PERMIT, idle_seconds=0)).shell()
    session.do(c.ControlLost())
    session.now = later(299)
    assert session.do(c.Ticked()) == []
    session.now = later(300)
    commands = session.do(c.Ticked())
    assert c.Flow(1, Side.CLIENT, open=False) in commands
    assert of(c.Send, session.do(c.ClientBytes(1, b"x"), c.TargetBytes(1, b"y"))) == [c.Send(1, Side.CLIENT, b"y")]
    assert session.do(c.Ticked()) == []
    session.now = later(600)
    session.do(c.Ticked())
    assert session.machine.end_reason == "autonomy"


def test_held_input_goes_in_order_once_it_may_and_output_was_never_held() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1), c.Frozen("wait"))
    held = session.do(
        c.ClientBytes(1, b"one"),
        c.TargetBytes(1, b"out"),
        c.ClientBytes(1, b"two"),
        c.Ended(1, Side.CLIENT),
        c.Signalled(1, "INT"),
    )
    assert of(c.Send, held) == [c.Send(1, Side.CLIENT, b"out")]
    assert not of(c.Signal, held)
    commands = session.do(c.Thawed())
    sends = [command for command in commands if isinstance(command, c.Send | c.SendEnd)]
    assert sends == [c.Send(1, Side.TARGET, b"one"), c.Send(1, Side.TARGET, b"two"), c.SendEnd(1, Side.TARGET)]
    assert c.Flow(1, Side.CLIENT, open=True) in commands


def test_a_program_may_end_while_input_is_held() -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1), c.Frozen("wait"))
    commands = session.do(c.TargetExited(1, ExitState(status=0)), c.ChannelClosed(1, Side.TARGET))
    assert commands[-1] == c.EndChannel(1, ExitState(status=0))


def test_an_enter_that_was_judged_when_input_froze_is_not_sent_before_the_thaw() -> None:
    session = Session().shell()
    session.do(c.TargetBytes(1, b"# "), c.ClientBytes(1, b"date\r"), c.Frozen("wait"))
    assert to_target(session.do(c.TargetBytes(1, b"date"), c.TimerFired(1, 1), c.TimerFired(1, 2))) == b""
    assert to_target(session.do(c.Thawed())) == b"\r"


def test_the_engineer_reads_why_his_input_is_held_and_the_recording_keeps_it() -> None:
    session = Session().shell()
    commands = session.do(c.Frozen("come to hall 3"))
    assert messages(commands) == ["Sallyport: The plant holds your input: come to hall 3. 工厂暂停了您的输入。"]
    note = of(c.Record, commands)[0]
    assert isinstance(note, c.Record)
    assert (note.frames[0].kind, note.frames[0].channel) == (FrameKind.NOTE, 0)
    assert b'"kind": "frozen", "cause": "order"' in note.frames[0].data
    assert session.do(c.Frozen("come to hall 3")) == []
    assert messages(session.do(c.Frozen("now"))) == ["Sallyport: The plant holds your input: now. 工厂暂停了您的输入。"]
    assert messages(session.do(c.Thawed())) == ["Sallyport: The session goes on. 会话继续。"]
    assert session.do(c.Thawed()) == []


def test_a_command_that_is_asked_for_while_input_is_held_runs_after_the_thaw() -> None:
    session = Session().live()
    session.do(c.Frozen("wait"))
    commands = session.do(c.ChannelRequested(1, ChannelKind.EXEC, "date"))
    assert not of(c.OpenChannel, commands)
    assert "holds your input" in messages(commands)[0]
    assert of(c.OpenChannel, session.do(c.Thawed()))
    blocked = session.do(c.Frozen("wait"), c.ChannelRequested(2, ChannelKind.EXEC, "rm -rf /srv/data"), c.Thawed())
    assert of(c.Refuse, blocked)


def test_waiting_for_the_plant_is_not_idleness() -> None:
    session = Session(replace(PERMIT, idle_seconds=60)).shell()
    session.do(c.Frozen("wait"))
    session.now = later(300)
    assert session.do(c.Ticked()) == []
    session.do(c.Thawed())
    session.now = later(359)
    assert session.do(c.Ticked()) == []
    session.now = later(360)
    session.do(c.Ticked())
    assert session.machine.end_reason == "idle"


def test_a_line_from_the_plant_is_shown_on_every_channel_and_recorded() -> None:
    session = Session().shell(1)
    session.do(c.ChannelRequested(2, ChannelKind.EXEC, "cat"), c.ChannelOpened(2))
    commands = session.do(c.Told("stop the pump"))
    assert kinds(commands) == [c.Record, c.Message, c.Record, c.Message]
    assert messages(commands) == ["Sallyport: Message from the plant: stop the pump （工厂的消息）"] * 2


WATCHED_PERMIT = replace(PERMIT, idle_seconds=0, duties=frozenset({"record", "watched"}))


def test_nothing_is_typed_or_run_until_somebody_watches() -> None:
    session = Session(WATCHED_PERMIT)
    assert session.do(c.Admitted(WATCHED_PERMIT)) == [c.AskLease()]
    commands = session.do(c.ChannelRequested(1, ChannelKind.SHELL, "", TERMINAL), c.Leased(LEASE), c.Dialed())
    assert not of(c.OpenChannel, commands)
    assert messages(commands) == [f"Sallyport: {NOBODY_WATCHES}"]
    opened = session.do(c.WatchersChanged(1))
    assert of(c.OpenChannel, opened)
    assert of(c.Report, opened)[0] == c.Report("session.session.thawed", {"cause": "unwatched"})
    assert to_target(session.do(c.ChannelOpened(1), c.ClientBytes(1, b"x"))) == b"x"


def test_a_session_that_must_be_watched_freezes_with_its_last_watcher() -> None:
    session = Session(WATCHED_PERMIT).live()
    session.do(c.WatchersChanged(2))
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1))
    assert session.do(c.WatchersChanged(1)) == []
    assert of(c.Flow, session.do(c.WatchersChanged(0)))
    assert to_target(session.do(c.ClientBytes(1, b"x"))) == b""
    assert to_target(session.do(c.WatchersChanged(1))) == b"x"


def test_a_session_that_must_be_watched_freezes_at_once_without_control() -> None:
    session = Session(WATCHED_PERMIT).live()
    session.do(c.WatchersChanged(1), c.ChannelRequested(1, ChannelKind.SHELL, "", TERMINAL), c.ChannelOpened(1))
    assert of(c.Flow, session.do(c.ControlLost()))
    session.do(c.WatchersChanged(0), c.ControlBack())
    assert to_target(session.do(c.ClientBytes(1, b"x"))) == b""
    assert to_target(session.do(c.WatchersChanged(1))) == b"x"


def test_who_watches_does_not_matter_without_that_duty() -> None:
    assert Session().shell().do(c.WatchersChanged(1), c.WatchersChanged(0)) == []


def test_causes_of_freezing_are_told_apart() -> None:
    session = Session(WATCHED_PERMIT).live()
    session.do(c.WatchersChanged(1), c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1))
    session.do(c.Frozen("wait"), c.ControlLost(), c.ControlBack(), c.ClientBytes(1, b"y"))
    session.do(c.WatchersChanged(0))
    assert to_target(session.do(c.Thawed())) == b""
    assert to_target(session.do(c.WatchersChanged(1))) == b"y"


def test_too_much_held_data_ends_the_session() -> None:
    session = Session().shell()
    session.do(c.Frozen("order"))
    for _ in range(17):
        session.do(c.ClientBytes(1, bytes(1_000_000)))
    assert session.machine.end_reason == "overflow"


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=8), st.booleans()), max_size=40))
def test_however_often_input_is_held_all_of_it_arrives_in_order(steps: list[bytes | bool]) -> None:
    session = Session().live()
    session.do(c.ChannelRequested(1, ChannelKind.EXEC, "cat"), c.ChannelOpened(1))
    commands: list[c.Command] = []
    for step in steps:
        match step:
            case bool():
                commands += session.do(c.Frozen("wait") if step else c.Thawed())
            case _:
                commands += session.do(c.ClientBytes(1, step))
    commands += session.do(c.Thawed(), c.Ended(1, Side.CLIENT))
    assert to_target(commands) == b"".join(step for step in steps if isinstance(step, bytes))
    assert of(c.SendEnd, commands) == [c.SendEnd(1, Side.TARGET)]


def test_a_cut_drops_the_target_first_and_tells_why() -> None:
    commands = Session().shell().do(c.CutOrdered("unsafe"))
    assert kinds(commands) == [c.DropTarget, c.Record, c.Message, c.Close]
    assert commands[-1] == c.Close(
        "cut", "This session was ended by the plant: unsafe. 工厂结束了此会话。", None, broken=False
    )


def test_a_reason_that_is_no_code_is_told_but_not_used_as_one() -> None:
    close = Session().shell().do(c.PermitEnded("Grant revoked!"))[-1]
    assert close == c.Close(
        "permit_ended", "Your access has ended (Grant revoked!). 您的访问已结束。", None, broken=False
    )


def test_after_a_recorder_failure_nothing_is_sent_and_nothing_recorded() -> None:
    session = Session().shell()
    commands = session.do(c.RecorderFailed("disk"))
    assert kinds(commands) == [c.DropTarget, c.Message, c.Close]
    assert session.do(c.TargetBytes(1, b"x"), c.ClientBytes(1, b"x"), c.Ticked()) == []


def test_a_held_request_waits_for_its_answer() -> None:
    rules = permit_json()["rules"]
    assert isinstance(rules, dict)
    rule = {**rules["rules"][0], "action": "hold"}
    permit = SessionPermit.from_json({**permit_json(), "rules": {"policy_version": "1", "rules": [rule]}})
    session = Session(replace(permit, not_after_ms=PERMIT.not_after_ms)).live()
    (ask,) = session.do(c.ChannelRequested(1, ChannelKind.EXEC, "rm -rf /etc"))
    assert ask == c.AskHold(1, "linux.recursive-removal", "rm -rf /etc")
    assert of(c.OpenChannel, session.do(c.HoldDecided(1, True)))
    session.do(c.ChannelRequested(2, ChannelKind.EXEC, "rm -rf /etc"))
    assert of(c.Refuse, session.do(c.HoldDecided(2, False)))


def test_the_end_of_a_session_tells_its_unfinished_files_before_it_closes() -> None:
    session = Session().live()
    files = SftpStream
    session.do(c.ChannelRequested(1, ChannelKind.FILE_TRANSFER, "sftp", files=files), c.ChannelOpened(1))
    session.do(c.ClientBytes(1, INIT), c.TargetBytes(1, VERSION))
    session.do(c.ClientBytes(1, packet(Type.OPEN, 1, b"/tmp/x", PUT, 0)))
    session.do(c.TargetBytes(1, packet(Type.NAME, 2**32 - 1, 1, b"/tmp/x", b"", 0)))
    session.do(c.TargetBytes(1, packet(Type.HANDLE, 1, b"h")))
    commands = session.do(c.CutOrdered("unsafe"))
    assert kinds(commands)[0] is c.DropTarget
    (report,) = of(c.Report, commands)
    assert isinstance(report, c.Report)
    assert (report.params["path"], report.params["complete"]) == ("/tmp/x", False)
    assert isinstance(commands[-1], c.Close)


NUMBERS = st.integers(1, 3)
DATA = st.binary(max_size=20) | st.sampled_from(
    [b"rm -rf /srv/data\r", b"date\n", b"\x1b[A\r", b"exit\r", INIT, VERSION]
)
EVENTS = st.one_of(
    st.just(c.Admitted(PERMIT)),
    st.just(c.Leased(LEASE)),
    st.just(c.Dialed()),
    st.builds(
        c.ChannelRequested,
        NUMBERS,
        st.sampled_from(ChannelKind),
        st.sampled_from(["", "cat", "bash", "rm -rf /srv/data"]),
        st.sampled_from([None, TERMINAL]),
        files=st.sampled_from([None, SftpStream]),
    ),
    st.builds(c.ChannelOpened, NUMBERS),
    st.builds(c.ChannelFailed, NUMBERS, st.just("no")),
    st.builds(c.ClientBytes, NUMBERS, DATA),
    st.builds(c.ClientBytes, NUMBERS, DATA),
    st.builds(c.TargetBytes, NUMBERS, DATA, st.sampled_from(Stream)),
    st.builds(c.TargetBytes, NUMBERS, DATA, st.sampled_from(Stream)),
    st.builds(c.Ended, NUMBERS, st.sampled_from(Side)),
    st.builds(c.Resized, NUMBERS, st.integers(0, 300), st.integers(0, 100)),
    st.builds(c.Signalled, NUMBERS, st.just("INT")),
    st.builds(c.Broken, NUMBERS, st.just(5)),
    st.builds(c.TargetExited, NUMBERS, st.just(ExitState(status=1))),
    st.builds(c.ChannelClosed, NUMBERS, st.sampled_from(Side)),
    st.builds(c.TimerFired, NUMBERS, st.integers(1, 6)),
    st.builds(c.HoldDecided, NUMBERS, st.booleans()),
    st.sampled_from([c.Ticked(), c.Thawed(), c.ControlLost(), c.ControlBack(), c.Frozen("order")]),
    st.sampled_from([c.SideGone(Side.CLIENT), c.CutOrdered("x"), c.PermitEnded("y"), c.RecorderFailed("z")]),
)


@given(st.lists(EVENTS, max_size=40))
def test_no_byte_is_sent_that_was_not_recorded_directly_before(events: list[c.Event]) -> None:
    session = Session().live()
    closed = False
    at_us = 0
    for step, event in enumerate(events):
        session.now = later(step)
        before: c.Command | None = None
        for command in session.do(event):
            assert not closed
            if isinstance(command, c.Send):
                assert isinstance(before, c.Record)
                assert [(f.channel, f.data) for f in before.frames] == [(command.channel, command.data)]
                wanted = FrameKind.INPUT if command.side is Side.TARGET else None
                assert wanted is None or before.frames[0].kind is wanted
            if isinstance(command, c.Record):
                assert command.frames
                assert command.frames[0].at_us >= at_us
                at_us = command.frames[-1].at_us
            if isinstance(command, c.Close):
                closed = True
            before = command
    assert closed == (session.machine.phase is Phase.CLOSED)
    assert closed == (session.machine.end_reason is not None)


@given(st.lists(EVENTS, max_size=30))
def test_no_byte_of_the_engineer_and_no_command_reaches_the_target_of_a_frozen_session(events: list[c.Event]) -> None:
    session = Session().shell()
    session.do(c.Frozen("order"))
    for event in events:
        if isinstance(event, c.Thawed):
            continue
        for command in session.do(event):
            assert not isinstance(command, c.OpenChannel | c.Signal | c.Break)
            assert not isinstance(command, c.Send | c.SendEnd) or command.side is Side.CLIENT


def test_a_recorder_that_fails_ends_the_session_as_it_says() -> None:
    for event, broken in (
        (c.RecorderFailed("disk"), True),
        (c.RecorderFailed("full", "recording_full", is_whole=True), False),
        (c.RecorderFailed("full", "recording_full"), True),
    ):
        commands = Session().shell().do(event)
        (close,) = of(c.Close, commands)
        assert isinstance(close, c.Close)
        assert (close.reason, close.broken) == (event.code, broken)
        assert not of(c.Record, commands)


def test_a_recording_that_had_to_wait_says_how_long() -> None:
    (record,) = Session().shell().do(c.RecorderResumed(1500))
    assert isinstance(record, c.Record)
    assert record.frames[0].kind is FrameKind.NOTE
    assert b'"held_ms": 1500' in record.frames[0].data
