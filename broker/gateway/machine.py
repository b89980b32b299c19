"""Pure: one live session as a machine, the same for every protocol.

`pending → live → closing → closed`. `handle(event, now)` answers with commands that must be carried out in their
order. What is always true: bytes are sent to a side only directly after a `Record` of exactly these bytes, nothing is
sent once the session closes or the recorder failed, and a session ends no later than its permit.
"""

import json
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, assert_never

from broker.gateway import contract as c
from broker.gateway.contract import Side, Stream
from broker.gateway.input_gate import Blocked, Entered, Forward, GateMode, Held, InputGate, Step, Wait
from broker.gateway.permits import SessionPermit
from broker.policy.command_rules import (
    CommandAction,
    CommandContext,
    judge_command,
    reads_commands,
)
from recorder.frames import Frame, FrameKind

MAX_CHANNELS: Final = 10
MAX_QUEUED_BYTES: Final = 4 * 1024 * 1024
PAUSE_BYTES: Final = 65_536
STATUS_REFUSED: Final = 126
STATUS_FAILED: Final = 255
_RENEW_BEFORE_MS: Final = 30_000
_FROZEN_RETRY_MS: Final = 500
_PIECE_BYTES: Final = 262_144  # a recording takes no batch above 1 MiB
_REASON: Final = re.compile(r"[a-z0-9._-]{1,64}")


class Phase(Enum):
    PENDING = auto()
    LIVE = auto()
    CLOSING = auto()
    CLOSED = auto()


class _Mark(Enum):
    """What waits behind queued bytes of the target."""

    END = auto()
    CLOSED = auto()


@dataclass(slots=True)
class _Channel:
    number: int
    request: c.ChannelRequested
    gate: InputGate
    opened: bool = False
    asked: bool = False
    exit: c.ExitState | None = None
    from_client: list[bytes | None] = field(default_factory=list)  # None = the end of that side
    from_target: list[tuple[bytes, Stream] | _Mark] = field(default_factory=list)
    queued_bytes: int = 0
    paused: bool = False
    client_ended: bool = False
    approved: bool = False
    decision: bool | None = None  # a hold was decided while the session was frozen


class SessionMachine:
    """The decisions of one session. Holds no socket and reads no clock."""

    def __init__(self, now: c.Moment) -> None:
        self.phase = Phase.PENDING
        self.end_reason: str | None = None
        self._started_us = now.boot_us
        self._permit: SessionPermit | None = None
        self._ends_wall_ms = self._ends_boot_us = 0
        self._last_input_us = now.boot_us
        self._silent_since_us: int | None = None
        self._frozen: set[str] = set()
        self._channels: dict[int, _Channel] = {}
        self._connected = False
        self._renewal_asked = False
        self._recording = False
        self._exit_status: int | None = None

    def handle(self, event: c.Event, now: c.Moment) -> list[c.Command]:
        """The commands that follow from one event."""
        if self.phase in (Phase.CLOSING, Phase.CLOSED):
            return []
        match event:
            case c.Admitted(permit):
                return self._admitted(permit, now)
            case c.Leased(lease):
                return [c.Dial(lease)]
            case c.Dialed():
                return self._dialed(now)
            case c.OpeningFailed(code, message):
                return self._end(code, message, now)
            case c.ChannelRequested():
                return self._requested(event, now)
            case c.ChannelOpened(number):
                return self._opened(number, now)
            case c.ChannelFailed(number, message):
                return self._failed(number, message, now)
            case c.ClientBytes(number, data):
                return self._client_bytes(number, data, now)
            case c.TargetBytes(number, data, stream):
                return self._target_bytes(number, data, stream, now)
            case c.Ended(number, side):
                return self._side_ended(number, side, now)
            case c.Resized():
                return self._resized(event, now)
            case c.Signalled(number, name):
                return self._pass_on(number, f"signal {name}", c.Signal(number, name), now)
            case c.Broken(number, duration_ms):
                return self._pass_on(number, "break", c.Break(number, duration_ms), now)
            case c.TargetExited(number, exit_state):
                if (channel := self._channels.get(number)) is not None:
                    channel.exit = exit_state
                return []
            case c.ChannelClosed(number, side):
                return self._channel_closed(number, side, now)
            case c.SideGone(side, reason):
                if side is Side.CLIENT:
                    return self._end("client_left", "", now)
                return self._end("target_left", reason or "The target closed the connection.", now)
            case c.TimerFired(number, token):
                return self._timer(number, token, now)
            case c.HoldDecided(number, allowed):
                return self._hold_decided(number, allowed=allowed, now=now)
            case c.Ticked():
                return self._ticked(now)
            case c.Renewed(not_after_ms):
                self._renewal_asked = not_after_ms <= self._ends_wall_ms
                self._set_end(not_after_ms, now)
                return []
            case c.PermitEnded(reason):
                code = reason if _REASON.fullmatch(reason) else "permit_ended"
                return self._end(
                    code, f"Your access has ended ({reason})." if reason else "Your access has ended.", now
                )
            case c.CutOrdered(reason):
                return self._end("cut", "This session was ended by the plant" + (f": {reason}" if reason else "."), now)
            case c.Frozen(reason):
                return self._freeze(reason, now)
            case c.Thawed():
                return self._thaw("order", now)
            case c.ControlLost():
                if self._silent_since_us is None:
                    self._silent_since_us = now.boot_us
                return []
            case c.ControlBack():
                self._silent_since_us = None
                self._renewal_asked = False
                return self._thaw("control", now)
            case c.RecorderFailed(reason):
                self._recording = False
                return self._end("recorder_failed", f"The recording cannot be written ({reason}).", now)
            case _:
                assert_never(event)

    def elapsed_us(self, now: c.Moment) -> int:
        """The recording's clock."""
        return max(now.boot_us - self._started_us, 0)

    # -- opening

    def _admitted(self, permit: SessionPermit, now: c.Moment) -> list[c.Command]:
        if self._permit is not None:
            return []
        self._permit = permit
        self._recording = True
        self._set_end(permit.not_after_ms, now)
        if self._past_end(now):
            return self._end("expired", "Your access has ended.", now)
        return [c.AskLease()]

    def _dialed(self, now: c.Moment) -> list[c.Command]:
        self.phase = Phase.LIVE
        self._connected = True
        self._last_input_us = now.boot_us
        commands: list[c.Command] = []
        for channel in list(self._channels.values()):
            commands += self._start(channel, now)
        return commands

    def _requested(self, event: c.ChannelRequested, now: c.Moment) -> list[c.Command]:
        permit = self._permit
        if permit is None:
            return [c.Refuse(event.channel, "The session is not admitted.", STATUS_REFUSED)]
        if len(self._channels) >= MAX_CHANNELS:
            message = f"No more than {MAX_CHANNELS} channels at a time are possible in one session."
            return [c.Refuse(event.channel, message, STATUS_REFUSED)]
        mode = GateMode.OPEN
        if event.terminal is not None:
            mode = GateMode.TERMINAL
        elif event.kind is c.ChannelKind.SHELL or reads_commands(event.text):
            mode = GateMode.LINES
        width = event.terminal.width if event.terminal is not None else 80
        channel = _Channel(event.channel, event, InputGate(mode, permit.rules, width))
        self._channels[event.channel] = channel
        return self._start(channel, now) if self._connected else []

    def _start(self, channel: _Channel, now: c.Moment) -> list[c.Command]:
        request, permit = channel.request, self._permit
        if permit is None or channel.asked:
            return []
        if request.kind.value not in permit.channels:
            return self._refuse(channel, _not_permitted(request.kind), now)
        commands: list[c.Command] = []
        if request.kind is c.ChannelKind.EXEC and not channel.approved:
            verdict = judge_command(permit.rules, request.text, CommandContext())
            if verdict.action is CommandAction.BLOCK:
                return self._refuse_command(channel, verdict.rule_id or "", verdict.message, now)
            if verdict.action is CommandAction.HOLD:
                return [c.AskHold(channel.number, verdict.rule_id or "", request.text)]
        channel.asked = True
        frames: list[Frame] = []
        if request.terminal is not None:
            size = f"{request.terminal.width}x{request.terminal.height}"
            frames.append(self._frame(FrameKind.RESIZE, channel.number, size.encode(), now))
        if request.kind is c.ChannelKind.SHELL:
            frames.append(self._frame(FrameKind.SHELL, channel.number, b"", now))
        else:
            frames.append(self._frame(FrameKind.EXEC, channel.number, request.text.encode(), now))
            commands.append(self._report("session.command.entered", channel, text=request.text))
        if channel.gate.mode is not GateMode.TERMINAL and self._frozen:
            commands.append(c.Flow(channel.number, Side.CLIENT, open=False))
        if request.kind is c.ChannelKind.SHELL and request.terminal is not None:
            minutes = max((self._ends_wall_ms - now.wall_ms) // 60_000, 0)
            words = f"{permit.account} on {permit.target_name}; recorded; ends in {minutes} min."
            commands += self._say(channel, words, now)
        return [
            c.Record(tuple(frames)),
            self._report("session.channel.opened", channel, kind=request.kind.value),
            *commands,
            c.OpenChannel(channel.number, request.kind, request.text, request.terminal, request.environment),
        ]

    def _opened(self, number: int, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return [c.CloseTargetChannel(number)]  # the client left while the target was asked
        channel.opened = True
        return self._drain(channel, now)

    def _failed(self, number: int, message: str, now: c.Moment) -> list[c.Command]:
        channel = self._channels.pop(number, None)
        if channel is None:
            return []
        text = f"The target refused this request: {message}"
        return [*self._note(number, "refused", {"message": text}, now), c.Refuse(number, text, STATUS_FAILED)]

    def _refuse(self, channel: _Channel, message: str, now: c.Moment) -> list[c.Command]:
        self._channels.pop(channel.number, None)
        note = self._note(channel.number, "refused", {"kind": channel.request.kind.value, "message": message}, now)
        return [*note, c.Refuse(channel.number, message, STATUS_REFUSED)]

    def _refuse_command(self, channel: _Channel, rule_id: str, message: str, now: c.Moment) -> list[c.Command]:
        self._channels.pop(channel.number, None)
        text = channel.request.text
        params = {"rule_id": rule_id, "text": text, "message": message}
        return [
            *self._note(channel.number, "blocked", params, now),
            self._report("session.command.blocked", channel, rule_id=rule_id, text=text),
            c.Refuse(channel.number, f"This command is blocked ({rule_id}): {message}.", STATUS_REFUSED),
        ]

    # -- bytes

    def _client_bytes(self, number: int, data: bytes, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None or not data:
            return []
        self._last_input_us = now.boot_us
        if not channel.opened or self._frozen:
            channel.from_client.append(data)
            return self._queued(channel, len(data), now)
        return self._steps(channel, channel.gate.client(data), now)

    def _timer(self, number: int, token: int, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return []
        if self._frozen:
            return [c.StartTimer(number, token, _FROZEN_RETRY_MS)]
        return self._steps(channel, channel.gate.timer(token), now)

    def _target_bytes(self, number: int, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None or not data:
            return []
        if self._frozen:
            channel.from_target.append((data, stream))
            return self._queued(channel, len(data), now)
        return [*self._show(number, data, stream, now), *self._steps(channel, channel.gate.target(data), now)]

    def _show(self, number: int, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        kind = FrameKind.OUTPUT if stream is Stream.OUTPUT else FrameKind.ERROR_OUTPUT
        commands: list[c.Command] = []
        for piece in _pieces(data):
            commands.append(c.Record((self._frame(kind, number, piece, now),)))
            commands.append(c.Send(number, Side.CLIENT, piece, stream))
        return commands

    def _queued(self, channel: _Channel, added: int, now: c.Moment) -> list[c.Command]:
        channel.queued_bytes += added
        if sum(one.queued_bytes for one in self._channels.values()) > MAX_QUEUED_BYTES:
            return self._end("overflow", "Too much data was waiting while the session was held.", now)
        return self._pause(channel)

    def _pause(self, channel: _Channel) -> list[c.Command]:
        if channel.paused or channel.queued_bytes + channel.gate.waiting_bytes < PAUSE_BYTES:
            return []
        channel.paused = True
        return [c.Flow(channel.number, Side.CLIENT, open=False), c.Flow(channel.number, Side.TARGET, open=False)]

    def _drain(self, channel: _Channel, now: c.Moment) -> list[c.Command]:
        """Lets go what waited for the channel to open or the session to thaw."""
        if self._frozen or not channel.opened:
            return []
        waiting, shown = channel.from_client, channel.from_target
        channel.from_client, channel.from_target, channel.queued_bytes = [], [], 0
        commands: list[c.Command] = []
        if channel.decision is not None:
            allowed, channel.decision = channel.decision, None
            commands += self._hold_decided(channel.number, allowed=allowed, now=now)
        for shown_item in shown:
            match shown_item:
                case _Mark.END:
                    commands += self._side_ended(channel.number, Side.TARGET, now)
                case _Mark.CLOSED:
                    commands += self._channel_closed(channel.number, Side.TARGET, now)
                case (data, stream):
                    commands += self._target_bytes(channel.number, data, stream, now)
        for item in waiting:
            commands += (
                self._side_ended(channel.number, Side.CLIENT, now)
                if item is None
                else self._steps(channel, channel.gate.client(item), now)
            )
        return [*commands, *self._resume(channel)]

    def _resume(self, channel: _Channel) -> list[c.Command]:
        if not channel.paused or channel.queued_bytes + channel.gate.waiting_bytes >= PAUSE_BYTES or self._frozen:
            return []
        channel.paused = False
        return [c.Flow(channel.number, Side.CLIENT, open=True), c.Flow(channel.number, Side.TARGET, open=True)]

    def _steps(self, channel: _Channel, steps: list[Step], now: c.Moment) -> list[c.Command]:
        commands: list[c.Command] = []
        number = channel.number
        for step in steps:
            match step:
                case Forward(data):
                    for piece in _pieces(data):
                        commands.append(c.Record((self._frame(FrameKind.INPUT, number, piece, now),)))
                        commands.append(c.Send(number, Side.TARGET, piece))
                case Wait(token, delay_ms):
                    commands.append(c.StartTimer(number, token, delay_ms))
                case Entered(text):
                    commands.append(self._report("session.command.entered", channel, text=text))
                case Held(rule_id, text):
                    commands += self._say(channel, "This command waits for an approval at the plant.", now)
                    commands.append(c.AskHold(number, rule_id, text))
                case Blocked():
                    commands += self._blocked(channel, step, now)
                case _:
                    assert_never(step)
        if channel.client_ended and channel.gate.drained and number in self._channels:
            channel.client_ended = False
            commands += self._send_end(channel, now)
        commands += self._pause(channel) or self._resume(channel)
        return commands

    def _blocked(self, channel: _Channel, step: Blocked, now: c.Moment) -> list[c.Command]:
        params: dict[str, str | int] = {"rule_id": step.rule_id, "text": step.text, "message": step.message}
        if step.dropped_bytes:
            params["dropped_bytes"] = step.dropped_bytes
        words = f"This command is blocked ({step.rule_id}): {step.message}."
        if step.dropped_bytes:
            words += " What was typed after it was dropped."
        commands = [
            *self._note(channel.number, "blocked", params, now),
            self._report("session.command.blocked", channel, rule_id=step.rule_id, text=step.text),
            *self._say(channel, words, now),
        ]
        if channel.gate.mode is GateMode.LINES:
            # Without a terminal nothing can be cancelled in the shell: it gets no further line.
            self._channels.pop(channel.number, None)
            self._exit_status = STATUS_REFUSED
            commands += [
                c.CloseTargetChannel(channel.number),
                c.EndChannel(channel.number, c.ExitState(status=STATUS_REFUSED)),
            ]
        return commands

    def _hold_decided(self, number: int, *, allowed: bool, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return []
        if self._frozen and channel.asked:
            channel.decision = allowed
            return []
        if channel.asked:
            return self._steps(channel, channel.gate.decide(allowed=allowed), now)
        if not allowed:
            return self._refuse_command(channel, "hold", "the command was not approved", now)
        channel.approved = True
        return self._start(channel, now)

    # -- ends of channels

    def _side_ended(self, number: int, side: Side, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return []
        if side is Side.TARGET and self._frozen:
            channel.from_target.append(_Mark.END)
            return []
        if side is Side.TARGET:
            return [c.Record((self._frame(FrameKind.EOF, number, b"", now),)), c.SendEnd(number, Side.CLIENT)]
        if not channel.opened or self._frozen:
            channel.from_client.append(None)
            return []
        channel.client_ended = True
        return self._steps(channel, channel.gate.client_end(), now)

    def _send_end(self, channel: _Channel, now: c.Moment) -> list[c.Command]:
        frame = self._frame(FrameKind.EOF, channel.number, b"input", now)
        return [c.Record((frame,)), c.SendEnd(channel.number, Side.TARGET)]

    def _channel_closed(self, number: int, side: Side, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return []
        if side is Side.TARGET and self._frozen:
            channel.from_target.append(_Mark.CLOSED)
            return []
        self._channels.pop(number)
        if side is Side.CLIENT:
            return [c.CloseTargetChannel(number)] if channel.asked else []
        state = channel.exit or c.ExitState()
        self._exit_status = state.status
        ended = str(state.status) if state.status is not None else state.signal or ""
        return [c.Record((self._frame(FrameKind.EXIT, number, ended.encode(), now),)), c.EndChannel(number, state)]

    def _resized(self, event: c.Resized, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(event.channel)
        if channel is None:
            return []
        channel.gate.resize(event.width)
        frame = self._frame(FrameKind.RESIZE, event.channel, f"{event.width}x{event.height}".encode(), now)
        if not channel.opened:
            # The target learns the newest size with the request itself when that is still to come.
            return [c.Record((frame,))] if self._recording else []
        return [
            c.Record((frame,)),
            c.Resize(event.channel, event.width, event.height, event.pixel_width, event.pixel_height),
        ]

    def _pass_on(self, number: int, what: str, command: c.Command, now: c.Moment) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None or not channel.opened or self._frozen:
            return []
        return [*self._note(number, "passed", {"what": what}, now), command]

    # -- time, freezing, the end

    def _set_end(self, not_after_ms: int, now: c.Moment) -> None:
        """The earlier of two clocks ends a session, so that setting one of them gains nothing."""
        self._ends_wall_ms = not_after_ms
        self._ends_boot_us = now.boot_us + (not_after_ms - now.wall_ms) * 1000

    def _past_end(self, now: c.Moment) -> bool:
        return now.wall_ms >= self._ends_wall_ms or now.boot_us >= self._ends_boot_us

    def _ticked(self, now: c.Moment) -> list[c.Command]:
        permit = self._permit
        if permit is None:
            return []
        if self._past_end(now):
            return self._end("expired", "Your access time is over.", now)
        idle_us = now.boot_us - self._last_input_us
        if permit.idle_seconds and self.phase is Phase.LIVE and idle_us >= permit.idle_seconds * 1_000_000:
            return self._end("idle", "Nothing was typed for too long.", now)
        if self._silent_since_us is not None:
            silent_us = now.boot_us - self._silent_since_us
            if silent_us >= 2 * permit.autonomy_seconds * 1_000_000:
                return self._end("autonomy", "The broker's control has been away for too long.", now)
            if "watch" in permit.duties or silent_us >= permit.autonomy_seconds * 1_000_000:
                return self._freeze("control", now)
        elif not self._renewal_asked and self._ends_wall_ms - now.wall_ms <= _RENEW_BEFORE_MS:
            self._renewal_asked = True
            return [c.AskRenewal()]
        return []

    def _freeze(self, reason: str, now: c.Moment) -> list[c.Command]:
        cause = "control" if reason == "control" else "order"
        if cause in self._frozen:
            return []
        already = bool(self._frozen)
        self._frozen.add(cause)
        if already:
            return []
        words = "The session is held: the broker's control is away." if cause == "control" else "The session is held."
        commands: list[c.Command] = [c.Report("session.session.frozen", {"cause": cause})]
        for channel in self._channels.values():
            commands += self._say(channel, words, now)
            if not channel.paused:
                channel.paused = True
                commands.append(c.Flow(channel.number, Side.CLIENT, open=False))
                commands.append(c.Flow(channel.number, Side.TARGET, open=False))
        return commands

    def _thaw(self, cause: str, now: c.Moment) -> list[c.Command]:
        if cause not in self._frozen:
            return []
        self._frozen.discard(cause)
        if self._frozen:
            return []
        self._last_input_us = now.boot_us
        commands: list[c.Command] = [c.Report("session.session.thawed", {"cause": cause})]
        for channel in list(self._channels.values()):
            commands += self._say(channel, "The session goes on.", now)
            commands += self._drain(channel, now)
        return commands

    def _end(self, reason: str, words: str, now: c.Moment) -> list[c.Command]:
        self.phase = Phase.CLOSING
        self.end_reason = reason
        commands: list[c.Command] = [c.DropTarget()]
        if words:
            for channel in self._channels.values():
                commands += self._say(channel, words, now)
        self._channels.clear()
        self.phase = Phase.CLOSED
        broken = reason == "recorder_failed"
        return [*commands, c.Close(reason, words, self._exit_status, broken=broken)]

    # -- small parts

    def _frame(self, kind: FrameKind, channel: int, data: bytes, now: c.Moment) -> Frame:
        return Frame(kind, channel, self.elapsed_us(now), data)

    def _note(
        self, channel: int, what: str, params: dict[str, str | int] | dict[str, str], now: c.Moment
    ) -> list[c.Command]:
        if not self._recording:
            return []
        data = json.dumps({"note": what, **params}, ensure_ascii=False).encode()
        return [c.Record((self._frame(FrameKind.NOTE, channel, data, now),))]

    def _say(self, channel: _Channel, words: str, now: c.Moment) -> list[c.Command]:
        shown = f"Sallyport: {words}"
        return [*self._note(channel.number, "message", {"text": shown}, now), c.Message(channel.number, shown)]

    def _report(self, code: str, channel: _Channel, **params: str | int) -> c.Command:
        return c.Report(code, {"channel": channel.number, **params})


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)]


def _not_permitted(kind: c.ChannelKind) -> str:
    match kind:
        case c.ChannelKind.FILE_TRANSFER | c.ChannelKind.SUBSYSTEM:
            return "File transfer is not available in this release."
        case c.ChannelKind.SHELL:
            return "An interactive shell is not part of your access."
        case c.ChannelKind.EXEC:
            return "Running a command is not part of your access."
        case _:
            assert_never(kind)
