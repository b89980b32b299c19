"""Pure: the line that stands under the cursor on the engineer's screen, kept from the target's output.

A deliberately small terminal: one logical line that may wrap over several rows, with cursor movement, erase, insert and
delete. It answers one question — what does the prompt line read now? — and does not paint a screen. Limits: a program
that draws a full screen, hides its text or lies about it makes the answer wrong; the typed keys are judged besides.
"""

import codecs
import re
from typing import Final
from unicodedata import category, east_asian_width

MAX_CELLS: Final = 65_536
_BULK_BYTES: Final = 4_096
_TOKENS: Final = re.compile(
    r"[^\x00-\x1f\x7f\x9b]+"
    r"|(?:\x1b\[|\x9b)([0-9;:<=>?]*)[ -/]*([@-~])"
    r"|\x1b[\]PX^_](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\)"
    r"|\x1b[()*+#%][\x20-\x7e]"
    r"|\x1b[\x30-\x4f\x51-\x57\x59\x5a\x5c\x60-\x7e]"
    r"|[\x00-\x1a\x1c-\x1f\x7f]",
    re.DOTALL,
)
_MAX_ESCAPE_CHARS: Final = 4_096


class ScreenLine:
    """The logical line under the cursor; `position` is the cursor's offset in it, `width` the terminal's columns."""

    def __init__(self, width: int) -> None:
        self._width = max(width, 1)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._cells: list[str] = []
        self._wrapped = False  # the cursor waits behind the last column: the next character goes to the next row
        self.position = 0

    @property
    def text(self) -> str:
        return "".join(self._cells).rstrip()

    @property
    def text_before(self) -> str:
        """What stands left of the cursor."""
        return "".join(self._cells[: self.position]).rstrip()

    def text_from(self, position: int) -> str:
        return "".join(self._cells[position:]).rstrip()

    def resize(self, width: int) -> None:
        self._width = max(width, 1)

    def feed(self, data: bytes) -> None:
        """Output that was shown. Of bulk output only the tail is read: what scrolled away is no prompt line."""
        if len(data) > _BULK_BYTES:
            at = data.rfind(b"\n", 0, len(data) - _BULK_BYTES // 2)
            if at >= 0:
                self._rest = ""
                self._decoder.reset()
                self._new_line()
                data = data[at + 1 :]
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at = 0
        while at < len(text):
            match = _TOKENS.match(text, at)
            if match is None:
                if len(text) - at <= _MAX_ESCAPE_CHARS:
                    self._rest = text[at:]  # an escape sequence that is not complete yet
                    return
                at += 1  # too long to be one: what follows is text again, so that it cannot hide anything
                continue
            at = match.end()
            part = match.group()
            if match[2]:
                self._control_sequence(match[1], match[2])
            elif part[0] >= " " and part[0] != "\x7f":
                self._print(part)
            else:
                self._control(part)

    def _print(self, text: str) -> None:
        for char in text:
            if category(char) in ("Mn", "Me", "Cf"):
                continue
            wide = not char.isascii() and east_asian_width(char) in ("W", "F")
            cells = [char, ""] if wide else [char]
            end = self.position + len(cells)
            if end > MAX_CELLS:
                return
            if len(self._cells) < self.position:
                self._cells += [" "] * (self.position - len(self._cells))
            self._cells[self.position : end] = cells
            self.position = end
            self._wrapped = self.position % self._width == 0

    def _control(self, part: str) -> None:
        if part == "\r":
            start = self._row_start()
            self.position, self._wrapped = start, False
        elif part in ("\n", "\x0b", "\x0c"):
            column = self.position - self._row_start()
            below = self._row_start() + self._width
            if below < len(self._cells):
                self.position = below + column
            else:
                self._new_line(column)
            self._wrapped = False
        elif part == "\b":
            if self.position > self._row_start():
                self.position -= 1
            self._wrapped = False
        elif part == "\t":
            self.position += 8 - (self.position - self._row_start()) % 8
        elif part in ("\x1bc", "\x1bE"):
            self._new_line()

    def _new_line(self, column: int = 0) -> None:
        self._cells, self.position, self._wrapped = [], column, False

    def _row_start(self) -> int:
        if self._wrapped and self.position:
            return self.position - self._width
        return self.position - self.position % self._width

    def _control_sequence(self, parameters: str, final: str) -> None:
        if parameters[:1] in ("?", ">", "<", "="):
            if final in "hl" and parameters in ("?1049", "?47", "?1047"):
                self._new_line()
            return
        numbers = [int(part) if part.isdigit() else 0 for part in parameters[:64].split(";")]
        count = min(max(numbers[0], 1), MAX_CELLS)
        start = self._row_start()
        cells = self._cells
        match final:
            case "C" | "a":
                self.position = min(self.position + count, start + self._width - 1)
            case "D":
                self.position = max(self.position - count, start)
            case "G" | "`":
                self.position = start + min(count, self._width) - 1
            case "A":
                self.position = max(self.position - count * self._width, self.position - start)
            case "B" | "e":
                if self.position + count * self._width < len(cells) + self._width:
                    self.position += count * self._width
            case "H" | "f":
                self._new_line(min(numbers[1] - 1, self._width - 1) if len(numbers) > 1 and numbers[1] > 0 else 0)
            case "K" | "J":
                self._erase(numbers[0], start, rows=final == "J")
            case "P":
                del cells[self.position : self.position + count]
            case "@":
                if self.position < len(cells) and len(cells) + count <= MAX_CELLS:
                    cells[self.position : self.position] = [" "] * count
            case "X":
                for at in range(self.position, min(self.position + count, len(cells))):
                    cells[at] = " "
            case _:
                return
        self._wrapped = False

    def _erase(self, mode: int, start: int, *, rows: bool) -> None:
        cells = self._cells
        if mode == 0:
            end = len(cells) if rows else min(start + self._width, len(cells))
            self._blank(self.position, end)
        elif mode == 1:
            self._blank(0 if rows else start, min(self.position + 1, len(cells)))
        elif rows:
            self._new_line(self.position - start)
        else:
            self._blank(start, min(start + self._width, len(cells)))

    def _blank(self, start: int, end: int) -> None:
        if end >= len(self._cells):
            del self._cells[start:]
        else:
            self._cells[start:end] = [" "] * max(end - start, 0)
