"""Pure: what an engineer has typed on the present line, kept from the keys alone.

Knows the keys that every shell editor shares (printable text, erase, word and line kill, cursor movement). A key
whose effect only the target knows (history, completion, search, yank, an unknown escape) makes the line *uncertain*:
from then on until Enter only the screen can tell what stands there.
"""

import codecs
import re
from typing import Final

MAX_LINE_CHARS: Final = 65_536
_CSI: Final = re.compile(r"\x1b\[([0-9;:<=>?]*)([ -/]*)([@-~])")
_SILENT_FINALS: Final = frozenset("RcnIO")  # answers of the terminal itself: position, attributes, status, focus


class TypedLine:
    """The line under the cursor as typed; `certain` says whether it can be trusted to be what the target holds."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._chars: list[str] = []
        self._cursor = 0
        self._escape = ""
        self.certain = True
        self.pasting = False  # between the brackets of a paste
        self.edited = False  # another key than text was typed since the line began
        self.certain_length = 0  # how much of the text was typed before the line became uncertain

    @property
    def text(self) -> str:
        return "".join(self._chars)

    @property
    def at_end(self) -> bool:
        return self._cursor == len(self._chars)

    @property
    def empty(self) -> bool:
        return not self._chars and self.certain and not self._escape

    def reset(self, *, certain: bool = True) -> None:
        """A new line begins; not certain = something may already stand on it (^O fetches the next line of history)."""
        self._chars, self._cursor, self._escape = [], 0, ""
        self.certain, self.certain_length = certain, 0
        self.edited = False

    def feed(self, data: bytes) -> None:
        """Keys that went to the target, without the Enter that ends a line."""
        for char in self._decoder.decode(data):
            if self._escape:
                self._in_escape(char)
            elif char == "\x1b":
                self._escape = char
            elif char >= " " and char != "\x7f":
                self._insert(char)
            else:
                self._control(char)

    def delete_forward(self) -> None:
        del self._chars[self._cursor : self._cursor + 1]

    def _insert(self, char: str) -> None:
        if len(self._chars) >= MAX_LINE_CHARS:
            self._doubt()
            return
        self._chars.insert(self._cursor, char)
        self._cursor += 1

    def _doubt(self) -> None:
        self.edited = True
        if self.certain:
            self.certain, self.certain_length = False, len(self._chars)

    def _control(self, char: str) -> None:
        self.edited = True
        match char:
            case "\x08" | "\x7f":
                if self._cursor:
                    self._cursor -= 1
                    self.delete_forward()
            case "\x15":  # ^U: readline kills to the start, a plain terminal the whole line
                if self._cursor < len(self._chars):
                    self._doubt()
                del self._chars[: self._cursor]
                self._cursor = 0
            case "\x17":  # ^W
                before = self.text[: self._cursor]
                kept = len(re.sub(r"\S*\s*$", "", before)) if before.strip() else 0
                del self._chars[kept : self._cursor]
                self._cursor = kept
            case "\x0b":  # ^K
                del self._chars[self._cursor :]
            case "\x01":  # ^A
                self._cursor = 0
            case "\x05":  # ^E
                self._cursor = len(self._chars)
            case "\x02":  # ^B
                self._move(-1)
            case "\x06":  # ^F
                self._move(1)
            case "\x03" | "\x1a" | "\x1c":  # ^C ^Z ^\ abandon the line
                self.reset()
            case "\x0c" | "\x00" | "\x11" | "\x13":  # ^L redraws; NUL, ^Q and ^S are flow or nothing
                pass
            case _:
                self._doubt()

    def _move(self, by: int) -> None:
        self._cursor = min(max(self._cursor + by, 0), len(self._chars))

    def _in_escape(self, char: str) -> None:
        self._escape += char
        if len(self._escape) > 64:
            self._escape = ""
            self._doubt()
        elif self._escape == "\x1bO" or self._escape.startswith("\x1b["):
            if (match := _CSI.fullmatch(self._escape)) is not None:
                self._escape = ""
                self._key(match[1], match[3])
            elif ord(char) < 0x20:
                self._escape = ""
                self._doubt()
        elif self._escape.startswith("\x1bO"):
            self._escape = ""
            self._key("", char)
        elif self._escape.startswith("\x1b]"):  # an answer of the terminal, up to BEL or ST
            if char == "\x07" or self._escape.endswith("\x1b\\"):
                self._escape = ""
        else:
            self._escape = ""
            self._doubt()

    def _key(self, parameters: str, final: str) -> None:
        if (parameters, final) in (("200", "~"), ("201", "~")):  # what is pasted between them is typed text
            self.pasting = parameters == "200"
            return
        self.edited |= final not in _SILENT_FINALS
        match (parameters, final):
            case ("", "C"):
                self._move(1)
            case ("", "D"):
                self._move(-1)
            case ("", "H") | ("1" | "7", "~"):
                self._cursor = 0
            case ("", "F") | ("4" | "8", "~"):
                self._cursor = len(self._chars)
            case ("3", "~"):
                self.delete_forward()
            case (_, final) if final in _SILENT_FINALS:
                pass
            case _:
                self._doubt()
