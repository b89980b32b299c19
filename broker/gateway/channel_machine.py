"""Pure: one channel of a live session: what it may ask, its bytes through the gate or the file stream, its ends.

Every `Send` is made together with the `Record` of the same bytes, here and nowhere else (`_pass_on`).
"""

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from broker.gateway import contract as c
from broker.gateway.channel_telling import Shared, Telling
from broker.gateway.channel_words import (
    WAITS_FOR_APPROVAL,
    blocked_line,
    both,
    greeting,
    not_permitted,
    refused_file,
    transfer_ended,
)
from broker.gateway.channels import ChannelKind, ExitState, Side, Stream
from broker.gateway.echo import Hidden, Shown
from broker.gateway.file_stream import FileRefused, FileStream, FileTransferred, FileTurn
from broker.gateway.input_gate import Blocked, Entered, Forward, GateMode, Held, InputGate, Step, Wait
from broker.policy.command_rules import CommandAction, CommandContext, judge_command, reads_commands
from broker.policy.file_rules import FILE_CHANNELS, FileRules
from recorder.frames import Frame, FrameKind

PAUSE_BYTES: Final = 65_536
STATUS_REFUSED: Final = 126
STATUS_FAILED: Final = 255
_PIECE_BYTES: Final = 262_144  # a recording takes no batch above 1 MiB


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
    _tell: Telling = field(init=False)
    _files: FileStream | None = None
    _asked: bool = False
    _opened: bool = False
    _approved: bool = False
    _paused: set[Side] = field(default_factory=set)
    _client_ended: bool = False
    _exit: ExitState | None = None
    _late_size: c.Resized | None = None
    _from_client: list[bytes | None] = field(default_factory=list)  # None: the engineer's side ends here
    _kept: bytearray = field(default_factory=bytearray)  # judged and let through, but the session was frozen by then
    _delayed: bool = False  # asked for while the session was frozen
    _decision: bool | None = None  # a hold was decided while the session was frozen

    def __post_init__(self) -> None:
        self._tell = Telling(self.number, self.shared)
        request = self.request
        mode = GateMode.OPEN
        if request.terminal is not None:
            mode = GateMode.TERMINAL
        elif request.kind is ChannelKind.SHELL or reads_commands(request.text):
            mode = GateMode.LINES
        width = request.terminal.width if request.terminal is not None else 80
        self._gate = InputGate(mode, self.shared.permit.rules, width)

    # -- opening

    def start(self, now: c.Moment) -> list[c.Command]:
        """The target is connected: judge the request and pass it on."""
        request, permit = self.request, self.shared.permit
        if self._asked:
            return []
        if request.kind is ChannelKind.FILE_TRANSFER:
            if request.files is None or not FILE_CHANNELS & permit.channels:
                return self._refuse(not_permitted(request.kind), now)
            self._files = request.files(FileRules(permit.channels, permit.rules))
            self.request = request = replace(request, terminal=None)  # it would change the bytes
        elif request.kind.value not in permit.channels:
            return self._refuse(not_permitted(request.kind), now)
        if self.shared.frozen:
            self._delayed = True
            return self.say(self.shared.held_because, now)
        if request.kind is ChannelKind.EXEC and not self._approved:
            verdict = judge_command(permit.rules, request.text, CommandContext())
            if verdict.action is CommandAction.BLOCK:
                return self._refuse_command(verdict.rule_id or "", verdict.message, now)
            if verdict.action is CommandAction.HOLD:
                return [c.AskHold(self.number, verdict.rule_id or "", request.text)]
        self._asked = True
        frames: list[Frame] = []
        commands: list[c.Command] = [self._tell.report("session.channel.opened", kind=request.kind.value)]
        if request.terminal is not None:
            frames.append(
                self._tell.frame(FrameKind.RESIZE, _size(request.terminal.width, request.terminal.height), now)
            )
        if request.kind is ChannelKind.SHELL:
            frames.append(self._tell.frame(FrameKind.SHELL, b"", now))
        elif self._files is not None:
            frames.append(self._tell.frame(FrameKind.SUBSYSTEM, request.text.encode(), now))
        else:
            frames.append(self._tell.frame(FrameKind.EXEC, request.text.encode(), now))
            commands.append(self._tell.report("session.command.entered", text=request.text))
        if request.kind is ChannelKind.SHELL and request.terminal is not None:
            minutes = max((self.shared.ends_wall_ms - now.wall_ms) // 60_000, 0)
            commands += self.say(greeting(permit.account, permit.target_name, minutes), now)
        opening = c.OpenChannel(self.number, request.kind, request.text, request.terminal, request.environment)
        return [c.Record(tuple(frames)), *commands, opening]

    def opened(self, now: c.Moment) -> list[c.Command]:
        self._opened = True
        late, self._late_size = self._late_size, None
        resized = self.resized(late, now) if late is not None else []
        return [*resized, *self.drain(now)]

    def failed(self, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        text = both(f"The target refused this request: {message}", "目标拒绝了此请求。")
        return [*self._tell.note("refused", now, message=text), c.Refuse(self.number, text, STATUS_FAILED)]

    def _refuse(self, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        note = self._tell.note("refused", now, channel=self.request.kind.value, message=message)
        return [*note, c.Refuse(self.number, message, STATUS_REFUSED)]

    def _refuse_command(self, rule_id: str, message: str, now: c.Moment) -> list[c.Command]:
        self.over = True
        self.exit_status = STATUS_REFUSED
        text = self.request.text
        return [
            *self._tell.note("blocked", now, rule_id=rule_id, text=text, message=message),
            self._tell.report("session.command.blocked", rule_id=rule_id, text=text),
            c.Refuse(self.number, blocked_line(rule_id, message), STATUS_REFUSED),
        ]

    # -- bytes

    def client_bytes(self, data: bytes, now: c.Moment) -> list[c.Command]:
        if not self._opened or self.shared.frozen:
            self._from_client.append(data)
            self.queued_bytes += len(data)
            return self._pause()
        return self._judged(data, now)

    def target_bytes(self, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        if self._files is not None and stream is Stream.OUTPUT:
            return self._turn(self._files.target(data), now)
        shown = self._pass_on(Side.CLIENT, data, stream, now)
        return [*shown, *self._steps(self._gate.target(data), now)]

    def timer(self, token: int, now: c.Moment) -> list[c.Command]:
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
        """What comes from the engineer waits; what the target sends goes on."""
        return self._stop(Side.CLIENT)

    def drain(self, now: c.Moment) -> list[c.Command]:
        """Lets go what waited for the channel to open or the session to thaw."""
        if self.shared.frozen or not self._opened:
            return self._resume()
        waiting, kept = self._from_client, bytes(self._kept)
        self._from_client, self._kept, self.queued_bytes = [], bytearray(), 0
        commands = self._pass_on(Side.TARGET, kept, Stream.OUTPUT, now)
        if self._decision is not None:
            allowed, self._decision = self._decision, None
            commands += self.decided(now, allowed=allowed)
        for keys in waiting:
            if self.over:
                break
            commands += self.ended(Side.CLIENT, now) if keys is None else self._judged(keys, now)
        return [*commands, *self._ends(now)]

    def thaw(self, now: c.Moment) -> list[c.Command]:
        """The session goes on: what was asked for meanwhile is opened, what was typed is judged and sent."""
        if self._delayed:
            self._delayed = False
            return self.start(now)
        return self.drain(now)

    @property
    def _is_drained(self) -> bool:
        return self._gate.drained if self._files is None else self._files.drained

    @property
    def _is_full(self) -> bool:
        waiting = self._gate.waiting_bytes if self._files is None else self._files.waiting_bytes
        return self.queued_bytes + waiting >= PAUSE_BYTES

    def _pause(self) -> list[c.Command]:
        # Never the target's side: what waits here may wait for what the target says.
        return self._stop(Side.CLIENT) if self._is_full else []

    def _stop(self, *sides: Side) -> list[c.Command]:
        stopped = [side for side in sides if side not in self._paused]
        self._paused.update(stopped)
        return [c.Flow(self.number, side, open=False) for side in stopped]

    def _resume(self) -> list[c.Command]:
        if self._is_full or self.shared.frozen or self.over:
            return []
        paused, self._paused = self._paused, set()
        return [c.Flow(self.number, side, open=True) for side in Side if side in paused]

    def _pass_on(self, to: Side, data: bytes, stream: Stream, now: c.Moment) -> list[c.Command]:
        if to is Side.TARGET and self.shared.frozen:  # also what was judged before the session froze
            self._kept += data
            self.queued_bytes += len(data)
            return []
        # At a terminal nobody knows yet whether the screen shows it: masked now, and told in clear once it was shown.
        kind = (
            FrameKind.MASKED_INPUT if self._gate.mode is GateMode.TERMINAL and self._files is None else FrameKind.INPUT
        )
        if to is Side.CLIENT:
            kind = FrameKind.OUTPUT if stream is Stream.OUTPUT else FrameKind.ERROR_OUTPUT
        commands: list[c.Command] = []
        for at in range(0, len(data), _PIECE_BYTES):
            piece = data[at : at + _PIECE_BYTES]
            commands.append(c.Record((self._tell.frame(kind, piece, now),)))
            commands.append(c.Send(self.number, to, piece, stream))
        return commands

    def _judged(self, data: bytes, now: c.Moment) -> list[c.Command]:
        if self._files is not None:
            return self._turn(self._files.client(data), now)
        return self._steps(self._gate.client(data), now)

    def _turn(self, turn: FileTurn, now: c.Moment) -> list[c.Command]:
        """What a file stream lets through; facts stand before the bytes that tell a side of them."""
        commands = self._facts(turn, now)
        commands += self._pass_on(Side.CLIENT, turn.to_client, Stream.OUTPUT, now)
        commands += self._pass_on(Side.TARGET, turn.to_target, Stream.OUTPUT, now)
        if turn.broken:
            commands += self.finish(now)
            commands += self.say(transfer_ended(turn.broken), now)
            commands += self._give_up()
        return [*commands, *self._ends(now)]

    def _facts(self, turn: FileTurn, now: c.Moment) -> list[c.Command]:
        commands: list[c.Command] = []
        for fact in turn.facts:
            match fact:
                case FileTransferred():
                    commands += self._tell.noted(fact.note(), now)
                    report = c.Report("session.file.transferred", {"channel": self.number, **fact.params()})
                    commands.append(report)
                case FileRefused(rule_id, message, text):
                    commands += self._tell.note("blocked", now, rule_id=rule_id, text=text, message=message)
                    commands.append(self._tell.report("session.command.blocked", rule_id=rule_id, text=text))
                    commands += self.say(refused_file(rule_id, text, message), now)
                case _:
                    assert_never(fact)
        return commands

    def finish(self, now: c.Moment) -> list[c.Command]:
        """The channel or its session is over: tells the file transfers that were broken off."""
        return self._facts(self._files.end(), now) if self._files is not None else []

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
                        commands += self._tell.note("command", now, text=text)
                    commands.append(self._tell.report("session.command.entered", text=text))
                case Held(rule_id, text):
                    commands += self.say(WAITS_FOR_APPROVAL, now)
                    commands.append(c.AskHold(self.number, rule_id, text))
                case Blocked():
                    commands += self._blocked(step, now)
                case Shown(keys):
                    commands.append(c.Record((self._tell.frame(FrameKind.ECHOED_INPUT, keys, now),)))
                case Hidden(characters):
                    text = f"{characters} characters were typed and not shown"
                    commands += self._tell.note("hidden_input", now, text=text, characters=characters)
                case _:
                    assert_never(step)
        return [*commands, *self._ends(now)]

    def _ends(self, now: c.Moment) -> list[c.Command]:
        if self.over:
            return []
        commands: list[c.Command] = []
        if self._client_ended and self._is_drained and not self.shared.frozen:
            self._client_ended = False
            commands.append(c.Record((self._tell.frame(FrameKind.EOF, b"input", now),)))
            commands.append(c.SendEnd(self.number, Side.TARGET))
        return [*commands, *(self._pause() or self._resume())]

    def _give_up(self) -> list[c.Command]:
        self.over = True
        self.exit_status = STATUS_REFUSED
        state = ExitState(status=STATUS_REFUSED)
        return [c.CloseTargetChannel(self.number), c.EndChannel(self.number, state)]

    def _blocked(self, step: Blocked, now: c.Moment) -> list[c.Command]:
        commands = [
            *self._tell.note(
                "blocked",
                now,
                rule_id=step.rule_id,
                text=step.text,
                message=step.message,
                dropped_bytes=step.dropped_bytes,
            ),
            self._tell.report("session.command.blocked", rule_id=step.rule_id, text=step.text),
            *self.say(blocked_line(step.rule_id, step.message, step.dropped_bytes), now),
        ]
        if self._gate.mode is GateMode.LINES:
            # Without a terminal nothing can be cancelled in the shell: it gets no further line.
            commands += self._give_up()
        return commands

    # -- ends and side messages

    def ended(self, side: Side, now: c.Moment) -> list[c.Command]:
        """One side sends no more."""
        if side is Side.TARGET:
            return [c.Record((self._tell.frame(FrameKind.EOF, b"", now),)), c.SendEnd(self.number, Side.CLIENT)]
        if not self._opened or self.shared.frozen:
            self._from_client.append(None)
            return []
        self._client_ended = True
        if self._files is not None:
            return self._ends(now)
        return self._steps(self._gate.client_end(), now)

    def exited(self, state: ExitState) -> None:
        self._exit = state

    def closed(self, side: Side, now: c.Moment) -> list[c.Command]:
        """One side closed the channel."""
        self.over = True
        broken_off = self.finish(now)
        if side is Side.CLIENT:
            return [*broken_off, c.CloseTargetChannel(self.number)] if self._asked else []
        state = self._exit or ExitState()
        self.exit_status = state.status
        words = str(state.status) if state.status is not None else state.signal or ""
        record = c.Record((self._tell.frame(FrameKind.EXIT, words.encode(), now),))
        return [*broken_off, record, c.EndChannel(self.number, state)]

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
        frame = self._tell.frame(FrameKind.RESIZE, _size(event.width, event.height), now)
        resize = c.Resize(self.number, event.width, event.height, event.pixel_width, event.pixel_height)
        return [c.Record((frame,)), resize]

    def pass_signal(self, what: str, command: c.Command, now: c.Moment) -> list[c.Command]:
        if not self._opened or self.shared.frozen:
            return []
        return [*self._tell.note("passed", now, asked=what), command]

    def say(self, words: str, now: c.Moment) -> list[c.Command]:
        """A line of our own for the engineer; the recording tells that it was shown."""
        return self._tell.say(words, now)


def _size(width: int, height: int) -> bytes:
    return f"{width}x{height}".encode()
