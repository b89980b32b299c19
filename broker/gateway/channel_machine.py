"""Pure: one channel of a live session: what it may ask, its bytes through the gate, its ends.

Every `Send` is made together with the `Record` of the same bytes, here and nowhere else (`_pass_on`).
"""

import json
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, assert_never

from broker.gateway import contract as c
from broker.gateway.contract import Side, Stream
from broker.gateway.input_gate import Blocked, Entered, Forward, GateMode, Held, InputGate, Step, Wait
from broker.gateway.permits import SessionPermit
from broker.policy.command_rules import CommandAction, CommandContext, judge_command, reads_commands
from recorder.frames import Frame, FrameKind

PAUSE_BYTES: Final = 65_536
STATUS_REFUSED: Final = 126
STATUS_FAILED: Final = 255
_FROZEN_RETRY_MS: Final = 500
_PIECE_BYTES: Final = 262_144  # a recording takes no batch above 1 MiB
_REPORTED_CHARS: Final = 2_000  # an event is bounded; the recording holds the whole text


class _End(Enum):
    """What may wait behind queued bytes."""

    SIDE = auto()
    CHANNEL = auto()


@dataclass(slots=True)
class Shared:
    """What all channels of a session see of it."""

    permit: SessionPermit
    started_us: int
    ends_wall_ms: int = 0
    frozen: bool = False
    recording: bool = True

    def elapsed_us(self, now: c.Moment) -> int:
        """The recording's clock."""
        return max(now.boot_us - self.started_us, 0)


@dataclass(slots=True)
class ChannelMachine:
    """One channel. `over` says that the session may forget it; `exit_status` is then what the program ended with."""

    number: int
    request: c.ChannelRequested
    shared: Shared
    over: bool = False
    exit_status: int | None = None
    queued_bytes: int = 0
    _gate: InputGate = field(init=False)
    _asked: bool = False
    _opened: bool = False
    _approved: bool = False
    _paused: bool = False
    _client_ended: bool = False
    _exit: c.ExitState | None = None
    _late_size: c.Resized | None = None
    _from_client: list[bytes | _End] = field(default_factory=list)
    _from_target: list[tuple[bytes, Stream] | _End] = field(default_factory=list)
    _decision: bool | None = None  # a hold was decided while the session was frozen

    def __post_init__(self) -> None:
        request = self.request
        mode = GateMode.OPEN
        if request.terminal is not None:
            mode = GateMode.TERMINAL
        elif request.kind is c.ChannelKind.SHELL or reads_commands(request.text):
            mode = GateMode.LINES
        width = request.terminal.width if request.terminal is not None else 80
        self._gate = InputGate(mode, self.shared.permit.rules, width)

    # -- opening

    def start(self, now: c.Moment) -> list[c.Command]:
        """The target is connected: judge the request and pass it on."""
        request, permit = self.request, self.shared.permit
        if self._asked:
            return []
        if request.kind.value not in permit.channels:
            return self._refuse(_not_permitted(request.kind), now)
        if request.kind is c.ChannelKind.EXEC and not self._approved:
            verdict = judge_command(permit.rules, request.text, CommandContext())
            if verdict.action is CommandAction.BLOCK:
                return self._refuse_command(verdict.rule_id or "", verdict.message, now)
            if verdict.action is CommandAction.HOLD:
                return [c.AskHold(self.number, verdict.rule_id or "", request.text)]
        self._asked = True
        frames: list[Frame] = []
        commands: list[c.Command] = [self._report("session.channel.opened", kind=request.kind.value)]
        if request.terminal is not None:
            frames.append(self._frame(FrameKind.RESIZE, _size(request.terminal.width, request.terminal.height), now))
        if request.kind is c.ChannelKind.SHELL:
            frames.append(self._frame(FrameKind.SHELL, b"", now))
        else:
            frames.append(self._frame(FrameKind.EXEC, request.text.encode(), now))
            commands.append(self._report("session.command.entered", text=request.text))
        if request.kind is c.ChannelKind.SHELL and request.terminal is not None:
            minutes = max((self.shared.ends_wall_ms - now.wall_ms) // 60_000, 0)
            commands += self.say(f"{permit.account} on {permit.target_name}; recorded; ends in {minutes} min.", now)
        opening = c.OpenChannel(self.number, request.kind, request.text, request.terminal, request.environment)
        return [c.Record(tuple(frames)), *commands, opening]

    def opened(self, now: c.Moment) -> list[c.Command]:
        self._opened = True
        late, self._late_size = self._late_size, None
        resized = self.resized(late, now) if late is not None else []
        return [*resized, *self.drain(now)]

    def failed(self, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        text = f"The target refused this request: {message}"
        return [*self._note("refused", now, message=text), c.Refuse(self.number, text, STATUS_FAILED)]

    def _refuse(self, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        note = self._note("refused", now, channel=self.request.kind.value, message=message)
        return [*note, c.Refuse(self.number, message, STATUS_REFUSED)]

    def _refuse_command(self, rule_id: str, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        self.exit_status = STATUS_REFUSED
        text = self.request.text
        return [
            *self._note("blocked", now, rule_id=rule_id, text=text, message=message),
            self._report("session.command.blocked", rule_id=rule_id, text=text),
            c.Refuse(self.number, f"This command is blocked ({rule_id}): {message}.", STATUS_REFUSED),
        ]

    # -- bytes

    def client_bytes(self, data: bytes, now: c.Moment) -> list[c.Command]:
        if not self._opened or self.shared.frozen:
            self._from_client.append(data)
            self.queued_bytes += len(data)
            return self._pause()
        return self._steps(self._gate.client(data), now)

    def target_bytes(self, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        if self.shared.frozen:
            self._from_target.append((data, stream))
            self.queued_bytes += len(data)
            return self._pause()
        shown = self._pass_on(Side.CLIENT, data, stream, now)
        return [*shown, *self._steps(self._gate.target(data), now)]

    def timer(self, token: int, now: c.Moment) -> list[c.Command]:
        if self.shared.frozen:
            return [c.StartTimer(self.number, token, _FROZEN_RETRY_MS)]
        return self._steps(self._gate.timer(token), now)

    def decided(self, now: c.Moment, *, allowed: bool) -> list[c.Command]:
        """A person answered a hold: of the request itself, or of a line typed later."""
        if self._asked:
            if self.shared.frozen:
                self._decision = allowed
                return []
            return self._steps(self._gate.decide(allowed=allowed), now)
        if not allowed:
            return self._refuse_command("hold", "the command was not approved", now)
        self._approved = True
        return self.start(now)

    def freeze(self) -> list[c.Command]:
        if self._paused:
            return []
        self._paused = True
        return [c.Flow(self.number, Side.CLIENT, open=False), c.Flow(self.number, Side.TARGET, open=False)]

    def drain(self, now: c.Moment) -> list[c.Command]:
        """Lets go what waited for the channel to open or the session to thaw."""
        if self.shared.frozen or not self._opened:
            return self._resume()
        waiting, shown = self._from_client, self._from_target
        self._from_client, self._from_target, self.queued_bytes = [], [], 0
        commands: list[c.Command] = []
        if self._decision is not None:
            allowed, self._decision = self._decision, None
            commands += self.decided(now, allowed=allowed)
        for item in shown:
            match item:
                case _End.SIDE:
                    commands += self.ended(Side.TARGET, now)
                case _End.CHANNEL:
                    commands += self.closed(Side.TARGET, now)
                case (data, stream):
                    commands += self.target_bytes(data, stream, now)
        for keys in waiting:
            if self.over:
                break
            commands += (
                self.ended(Side.CLIENT, now) if isinstance(keys, _End) else self._steps(self._gate.client(keys), now)
            )
        return [*commands, *self._resume()]

    def _pause(self) -> list[c.Command]:
        return self.freeze() if self.queued_bytes + self._gate.waiting_bytes >= PAUSE_BYTES else []

    def _resume(self) -> list[c.Command]:
        waits = self.queued_bytes + self._gate.waiting_bytes >= PAUSE_BYTES
        if not self._paused or waits or self.shared.frozen or self.over:
            return []
        self._paused = False
        return [c.Flow(self.number, Side.CLIENT, open=True), c.Flow(self.number, Side.TARGET, open=True)]

    def _pass_on(self, to: Side, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        kind = FrameKind.INPUT
        if to is Side.CLIENT:
            kind = FrameKind.OUTPUT if stream is Stream.OUTPUT else FrameKind.ERROR_OUTPUT
        commands: list[c.Command] = []
        for at in range(0, len(data), _PIECE_BYTES):
            piece = data[at : at + _PIECE_BYTES]
            commands.append(c.Record((self._frame(kind, piece, now),)))
            commands.append(c.Send(self.number, to, piece, stream))
        return commands

    def _steps(self, steps: list[Step], now: c.Moment) -> list[c.Command]:
        commands: list[c.Command] = []
        for step in steps:
            match step:
                case Forward(data):
                    commands += self._pass_on(Side.TARGET, data, Stream.OUTPUT, now)
                case Wait(token, delay_ms):
                    commands.append(c.StartTimer(self.number, token, delay_ms))
                case Entered(text):
                    if text:
                        commands += self._note("command", now, text=text)
                    commands.append(self._report("session.command.entered", text=text))
                case Held(rule_id, text):
                    commands += self.say("This command waits for an approval at the plant.", now)
                    commands.append(c.AskHold(self.number, rule_id, text))
                case Blocked():
                    commands += self._blocked(step, now)
                case _:
                    assert_never(step)
        if self.over:
            return commands
        if self._client_ended and self._gate.drained:
            self._client_ended = False
            commands.append(c.Record((self._frame(FrameKind.EOF, b"input", now),)))
            commands.append(c.SendEnd(self.number, Side.TARGET))
        return [*commands, *(self._pause() or self._resume())]

    def _blocked(self, step: Blocked, now: c.Moment) -> list[c.Command]:
        words = f"This command is blocked ({step.rule_id}): {step.message}."
        if step.dropped_bytes:
            words += " What was typed after it was dropped."
        commands = [
            *self._note(
                "blocked",
                now,
                rule_id=step.rule_id,
                text=step.text,
                message=step.message,
                dropped_bytes=step.dropped_bytes,
            ),
            self._report("session.command.blocked", rule_id=step.rule_id, text=step.text),
            *self.say(words, now),
        ]
        if self._gate.mode is GateMode.LINES:
            # Without a terminal nothing can be cancelled in the shell: it gets no further line.
            self.over = True
            self.exit_status = STATUS_REFUSED
            commands.append(c.CloseTargetChannel(self.number))
            commands.append(c.EndChannel(self.number, c.ExitState(status=STATUS_REFUSED)))
        return commands

    # -- ends and side messages

    def ended(self, side: Side, now: c.Moment) -> list[c.Command]:
        """One side sends no more."""
        if side is Side.TARGET:
            if self.shared.frozen:
                self._from_target.append(_End.SIDE)
                return []
            return [c.Record((self._frame(FrameKind.EOF, b"", now),)), c.SendEnd(self.number, Side.CLIENT)]
        if not self._opened or self.shared.frozen:
            self._from_client.append(_End.SIDE)
            return []
        self._client_ended = True
        return self._steps(self._gate.client_end(), now)

    def exited(self, state: c.ExitState) -> None:
        self._exit = state

    def closed(self, side: Side, now: c.Moment) -> list[c.Command]:
        """One side closed the channel."""
        if side is Side.TARGET and self.shared.frozen:
            self._from_target.append(_End.CHANNEL)
            return []
        self.over = True
        if side is Side.CLIENT:
            return [c.CloseTargetChannel(self.number)] if self._asked else []
        state = self._exit or c.ExitState()
        self.exit_status = state.status
        words = str(state.status) if state.status is not None else state.signal or ""
        return [c.Record((self._frame(FrameKind.EXIT, words.encode(), now),)), c.EndChannel(self.number, state)]

    def resized(self, event: c.Resized, now: c.Moment) -> list[c.Command]:
        self._gate.resize(event.width)
        if not self._asked and self.request.terminal is not None:
            size = {name: getattr(event, name) for name in ("width", "height", "pixel_width", "pixel_height")}
            self.request = replace(self.request, terminal=replace(self.request.terminal, **size))
            return []
        if not self._asked or self.request.terminal is None:
            return []
        if not self._opened:
            self._late_size = event  # the request is on its way to the target with the old size
            return []
        frame = self._frame(FrameKind.RESIZE, _size(event.width, event.height), now)
        resize = c.Resize(self.number, event.width, event.height, event.pixel_width, event.pixel_height)
        return [c.Record((frame,)), resize]

    def pass_signal(self, what: str, command: c.Command, now: c.Moment) -> list[c.Command]:
        if not self._opened or self.shared.frozen:
            return []
        return [*self._note("passed", now, asked=what), command]

    def say(self, words: str, now: c.Moment) -> list[c.Command]:
        """A line of our own for the engineer; the recording tells that it was shown."""
        shown = f"Sallyport: {words}"
        return [*self._note("message", now, text=shown), c.Message(self.number, shown)]

    def _frame(self, kind: FrameKind, data: bytes, now: c.Moment) -> Frame:
        return Frame(kind, self.number, self.shared.elapsed_us(now), data)

    def _note(self, what: str, now: c.Moment, **params: str | int) -> list[c.Command]:
        if not self.shared.recording:
            return []
        data = json.dumps({"kind": what, **params}, ensure_ascii=False).encode()
        return [c.Record((self._frame(FrameKind.NOTE, data, now),))]

    def _report(self, code: str, **params: str) -> c.Command:
        bounded = {name: value[:_REPORTED_CHARS] for name, value in params.items()}
        return c.Report(code, {"channel": self.number, **bounded})


def _size(width: int, height: int) -> bytes:
    return f"{width}x{height}".encode()


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
