"""Pure: holds back what an engineer sends until the command in it has been judged.

Three ways: `OPEN` passes everything (a program's input is data), `LINES` judges each line of a shell without a
terminal before any byte of it is sent, `TERMINAL` lets keys through so that they echo, and holds every Enter (CR, LF,
^O; ^D with text on the line) until the verdict. One Enter is one decision: what follows it in the same packet waits.
The typed keys and the screen are both judged where they disagree, and a block by either is a block.

A shell may take no notice of an interrupt. So after a block nothing goes out until the shell has gone on to a new line,
and while it has not, what was typed before an interrupt is judged once more with the line that follows it.

A line is what the screen shows of it, not only what was typed since the last Enter: a shell may have left that Enter
alone (`^V`, a key that is not bound, a paste in brackets) or have put text on the line itself.

Limits, on purpose said here: what the target's shell makes of a line (aliases, history expansion such as `!rm`),
programs that read their own commands, and lines that were neither echoed nor typed plainly are not seen. A new line
from something in the background looks like the shell's own.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from broker.gateway.echo import EchoWatch, Hidden, Shown, ShownLine
from broker.gateway.line_readings import readings, readings_from_before
from broker.gateway.screen_line import ScreenLine
from broker.gateway.typed_line import TypedLine
from broker.policy.command_rules import (
    UNREADABLE_RULE_ID,
    CommandAction,
    CommandContext,
    CommandRules,
    CommandVerdict,
    judge_command,
    judge_unreadable,
)

QUIET_MS: Final = 60
LIMIT_MS: Final = 1_000
CANCEL_MS: Final = 200
MOST_CANCELS: Final = 3
MAX_LINE_BYTES: Final = 65_536
MAX_UNFINISHED_CHARS: Final = 4_096
_MOST_BEGINNINGS_CHARS: Final = 32_768  # all of them are judged at every Enter
_DECISIONS: Final = re.compile(rb"[\r\n\x0f\x04]")
_CANCEL: Final = b"\x03"
_ABANDONS: Final = re.compile(rb"[\x03\x1a\x1c]")
_ALLOWED: Final = CommandVerdict(CommandAction.ALLOW)


class GateMode(Enum):
    OPEN = auto()
    LINES = auto()
    TERMINAL = auto()


@dataclass(frozen=True, slots=True)
class Forward:
    """Bytes that may go to the target now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Call `timer(token)` after this time; an older token has no effect."""

    token: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Entered:
    """A command that was let through; the text is empty when it was not echoed (it may be a password)."""

    text: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A command that was not sent; `dropped_bytes` were queued behind it and are gone."""

    rule_id: str
    message: str
    text: str
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """A command that waits for a person: answer with `decide`."""

    rule_id: str
    text: str


Step = Forward | Wait | Entered | Blocked | Held | Shown | Hidden


class InputGate:
    """The gate of one channel. Every method returns the steps to take, in order."""

    def __init__(self, mode: GateMode, rules: CommandRules, width: int = 80) -> None:
        self.mode = mode
        self._rules = rules
        self._typed = TypedLine()
        self._screen = ScreenLine(width)
        self._echo = EchoWatch()
        self._queue = bytearray()
        self._enter: bytes | None = None  # the key that waits for its verdict
        self._held: CommandVerdict | None = None
        self._held_line = ""
        self._quiet_token = self._limit_token = 0
        self._tokens = 0
        self._cancel_token = self._cancels_left = 0
        self._cancelling = False
        self._leftover = ""  # typed before an interrupt: it still stands on the line if the shell took no notice
        self._prompt = 0
        self._echo_due = False  # a key went out whose effect only the screen can show, and nothing came back yet
        self._unfinished: list[str] = []  # commands that may go on, each begun on another line; the likely one first
        self._pasted = ""  # lines of a paste that a shell with bracketed paste holds as one text until the last Enter
        self._lost_start = False  # an unfinished command grew too long to be joined: what cannot be read is not let by
        self._cwd: str | None = None
        self._ended = False

    @property
    def waiting_bytes(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return self._enter is not None

    def client(self, data: bytes) -> list[Step]:
        """Bytes from the engineer."""
        if self.mode is GateMode.OPEN:
            return [Forward(data)]
        self._queue += data
        return self._run()

    def client_end(self) -> list[Step]:
        """The engineer's side ends: a last line without an end is judged too. The end is sent on once `drained`."""
        self._ended = True
        if self.mode is GateMode.LINES and self._queue and not self.busy:
            return self._line(bytes(self._queue))
        return []

    @property
    def drained(self) -> bool:
        """Whether nothing waits any more, so that an end of the engineer's side may follow."""
        return not self._queue and not self.busy

    def target(self, data: bytes) -> list[Step]:
        """Bytes that the engineer was shown."""
        if self.mode is not GateMode.TERMINAL:
            return []
        self._screen.feed(data)
        self._echo_due = False
        if b"\n" in data and self._typed.empty:
            self._cancelling, self._leftover = False, ""
        if self._enter is None:
            return self._run()
        if self._held is not None:
            return []
        if self._agrees():
            return [*self._verdict(), *self._run()]
        self._quiet_token = self._next_token()
        return [Wait(self._quiet_token, QUIET_MS)]

    def timer(self, token: int) -> list[Step]:
        """A wait is over."""
        if token == self._cancel_token and self._cancelling:
            if self._cancels_left > 0:
                return self._cancel()
            self._cancelling = False
            return self._run()
        if self._enter is None or self._held is not None:
            return []
        if token == self._limit_token or (token == self._quiet_token and not self._echo_due):
            return [*self._verdict(), *self._run()]
        return []

    def decide(self, *, allowed: bool) -> list[Step]:
        """The answer to `Held`. What was approved is sent only if the line still reads the same."""
        held, enter = self._held, self._enter
        if held is None or enter is None:
            return []
        self._held = None
        if allowed and (self.mode is GateMode.LINES or self._screen.text == self._held_line):
            return [*self._pass(enter, self._screen_text()), *self._run()]
        message = "the command was not approved" if not allowed else "the line changed while it was waiting"
        return self._block(held.rule_id or "", message, self._screen_text())

    def resize(self, width: int) -> None:
        self._screen.resize(width)

    def _run(self) -> list[Step]:
        steps: list[Step] = []
        while self._queue and self._enter is None and not self._cancelling:
            more = self._next_line() if self.mode is GateMode.LINES else self._next_keys()
            if not more:
                break
            steps += more
        return steps

    # -- a shell without a terminal

    def _next_line(self) -> list[Step]:
        end = self._queue.find(b"\n")
        if end < 0 and len(self._queue) < MAX_LINE_BYTES and not self._ended:
            return []
        return self._line(bytes(self._queue[: end + 1 if end >= 0 else len(self._queue)]))

    def _line(self, line: bytes) -> list[Step]:
        del self._queue[: len(line)]
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        self._enter = line
        self._typed.reset()
        self._typed.feed(text.encode())
        if not line.endswith(b"\n") and not self._ended:  # its rest could not be judged together with it
            return self._block(UNREADABLE_RULE_ID, f"a line is longer than {MAX_LINE_BYTES} bytes", text)
        return self._conclude([text], sure=True, shown=text)

    # -- a shell on a terminal

    def _next_keys(self) -> list[Step]:
        match = _DECISIONS.search(self._queue)
        keys = bytes(self._queue[: match.start()]) if match else bytes(self._queue)
        del self._queue[: len(keys)]
        steps: list[Step] = []
        if keys:
            if self._typed.empty:
                self._prompt = self._screen.position
            self._type(keys)
            self._echo_due = True
            if self._typed.empty and _CANCEL in keys:
                self._forget_start()
            steps.append(Forward(keys))
            steps += self._echo.keys(keys, self._screen.text_from(self._prompt))
        if match is None:
            return steps
        enter = bytes(self._queue[:1])
        del self._queue[:1]
        if enter == b"\x04" and self._typed.empty:
            self._forget_start()
            return [*steps, Forward(enter), *self._echoed(enter)]
        self._enter = enter
        if self._agrees():
            return [*steps, *self._verdict()]
        self._quiet_token, self._limit_token = self._next_token(), self._next_token()
        if self._typed.certain:
            self._echo_due = False  # the typed text is known: the wait is only a courtesy to a slow echo
        return [*steps, Wait(self._quiet_token, QUIET_MS), Wait(self._limit_token, LIMIT_MS)]

    def _type(self, keys: bytes) -> None:
        start = 0
        for abandons in _ABANDONS.finditer(keys):
            self._typed.feed(keys[start : abandons.start()])
            self._leave_behind(self._pasted + self._typed.text)
            self._pasted = ""
            start = abandons.start()
        self._typed.feed(keys[start:])

    def _leave_behind(self, text: str) -> None:
        if len(self._leftover) + len(text) <= MAX_LINE_BYTES:
            self._leftover += text

    def _forget_start(self) -> None:
        self._unfinished, self._lost_start = [], False

    def _next_token(self) -> int:
        self._tokens += 1
        return self._tokens

    def _agrees(self) -> bool:
        """Whether typed and shown line are the same, so that nothing more needs to be waited for."""
        if not self._typed.certain:
            return False
        if self._typed.empty:
            return True
        typed = self._typed.text.rstrip()
        # A shell may show a suggestion or a second prompt behind the cursor: that is no part of the line.
        return bool(typed) and (
            self._screen.text.endswith(typed) or (self._typed.at_end and self._screen.text_before.endswith(typed))
        )

    def _screen_text(self) -> str:
        return self._screen.text_from(self._prompt) if self.mode is GateMode.TERMINAL else self._typed.text

    def _verdict(self) -> list[Step]:
        shown, typed = self._screen.text_from(self._prompt), self._typed.text
        if self._typed.certain and not self._typed.empty:
            if self._agrees():
                shows_it = self._screen.text.endswith(typed.rstrip())
                line = self._screen.text if shows_it else self._screen.text_before
                return self._conclude([typed, *readings_from_before(line, typed)], sure=True, shown=typed)
            # Not echoed (a password, or a terminal that hides): judged, but its text is told to nobody.
            return self._conclude([typed, shown, *readings(self._screen.text)], sure=True, shown="")
        if self._typed.empty:
            return self._conclude(["", *readings(self._screen.text)], sure=True, shown="")
        texts = [shown, *readings(self._screen.text)]
        if not shown.startswith(typed[: self._typed.certain_length]):
            texts.append(typed)
        return self._conclude(texts, sure=False, shown=shown)

    def _conclude(self, texts: list[str], *, sure: bool, shown: str) -> list[Step]:
        """Judges every reading of the line; the first is the one that the line is taken for. `sure` = it is known."""
        enter = self._enter
        if enter is None:
            return []
        verdict, held_text = _ALLOWED, ""
        strict = self.mode is GateMode.LINES and self._ended
        main = self._judge(texts[0], continues=not strict)
        if self._leftover:
            texts = [*texts, self._leftover + texts[0], *readings(self._screen.text)]
        line = texts[0]
        if self._pasted and self._typed.edited:
            why = "pasted lines were edited; press Ctrl-C and paste anew"
            verdict = judge_unreadable(self._rules, "\n".join((self._pasted + line, *texts, self._screen.text)), why)
            if verdict.action is CommandAction.BLOCK:
                return self._block(verdict.rule_id or "", verdict.message, line)
        if self._unfinished:
            texts = [*(start + "\n" + line for start in self._unfinished), *texts]
            main = self._judge(texts[0], continues=not strict)
        beginnings = {start + "\n" + line for start in self._unfinished} | {line}
        unfinished: list[str] = []
        for text in dict.fromkeys(texts):
            one = self._judge(text, continues=not strict)
            if one.incomplete and text in beginnings:
                unfinished.append(text)
            if one.action is CommandAction.BLOCK:
                return self._block(one.rule_id or "", one.message, text)
            if one.action is CommandAction.HOLD and verdict.action is CommandAction.ALLOW:
                verdict, held_text = one, text
        self._lost_start |= any(len(text) > MAX_UNFINISHED_CHARS for text in unfinished)
        self._lost_start |= sum(map(len, unfinished)) > _MOST_BEGINNINGS_CHARS
        self._unfinished = [] if self._lost_start else unfinished
        self._cwd = main.cwd if sure else None  # followed only along lines that are known
        if verdict.action is CommandAction.HOLD:
            self._held, self._held_line = verdict, self._screen.text
            return [Held(verdict.rule_id or "", held_text)]
        return self._pass(enter, shown)

    def _judge(self, text: str, *, continues: bool) -> CommandVerdict:
        if self._lost_start:
            return judge_unreadable(self._rules, text, "it began too far back; press Ctrl-C to begin anew")
        return judge_command(self._rules, text, CommandContext(cwd=self._cwd, continues=continues))

    def _pass(self, enter: bytes, shown: str) -> list[Step]:
        self._enter = None
        echoed = self._echoed(enter)
        if enter == b"\x04":
            self._typed.delete_forward()
        else:
            if self._typed.pasting:
                self._pasted = (self._pasted + self._typed.text + "\n")[-MAX_LINE_BYTES:]
            else:
                self._pasted = ""
            self._typed.reset(certain=enter != b"\x0f")
            self._leftover = ""
        self._echo_due = enter == b"\x0f"
        steps: list[Step] = [Forward(enter), *echoed]
        if shown.strip():
            steps.append(Entered(shown.strip()))
        return steps

    def _block(self, rule_id: str, message: str, text: str) -> list[Step]:
        dropped = len(self._queue)
        self._queue.clear()
        self._enter = None
        self._forget_start()
        echoed = self._echoed(b"")
        self._leave_behind(self._pasted + (self._typed.text if self._typed.certain else text))
        self._pasted = ""
        self._typed.reset()
        blocked = Blocked(rule_id, message, text.strip(), dropped)
        if self.mode is GateMode.LINES:
            self._leftover = ""
            return [blocked]
        self._cancels_left, self._cancelling = MOST_CANCELS, True
        return [*echoed, blocked, *self._cancel()]

    def _echoed(self, behind: bytes) -> list[Step]:
        if self.mode is not GateMode.TERMINAL:
            return []
        shown = self._screen.text_from(self._prompt)
        if self._typed.certain and self._agrees():
            shown = self._typed.text
        return [*self._echo.entered(ShownLine(self._typed.text, self._typed.certain, shown), behind)]

    def _cancel(self) -> list[Step]:
        """Interrupt the line; again, while the shell has not gone on to a new one.

        A shell that is interrupted between two of its waits (seen with bash 5.2) takes no notice of it.
        """
        self._cancels_left -= 1
        self._cancel_token = self._next_token()
        return [Forward(_CANCEL), Wait(self._cancel_token, CANCEL_MS)]
