"""What stands on a terminal: a screen kept from output, and that screen as output again. Pure.

A replay begins anywhere from a keyframe: text which, written to an empty terminal of the same size, brings back cells,
colours, cursor, margins and modes. The sequences are those of ECMA-48 and of xterm that programs use (ctlseqs).
Not kept: scrolled-off lines, titles, the reflow of long lines when the width changes, pictures.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from recorder.screen_canvas import Canvas
from recorder.screen_page import Cursor, Page, bounded, fitted
from recorder.screen_pen import DEFAULT_PEN
from recorder.screen_text import charsets_text, cursor_on, painted

_LONGEST_ESCAPE: Final = 65_536
_TOKEN: Final = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f\x80-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<csi>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b[\]PX^_](?:[^\x07\x1b\x18\x1a]|\x1b(?!\\))*(?:\x07|\x1b\\|[\x18\x1a])"
    r"|\x1b(?P<set>[()*+])(?P<charset>.)"
    r"|\x1b[#%](?P<hash>.)"
    r"|\x1b(?P<escape>[0-OQ-WYZ\\`-~])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x9a\x9c-\x9f])",
    re.DOTALL,
)
_KEPT_MODES: Final = frozenset({"1", "5", "9", "1000", "1002", "1003", "1004", "1005", "1006", "1015", "2004"})


class Screen(Canvas):
    """A terminal's screen. `feed` takes text in pieces; an unfinished sequence waits for its rest."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__(columns, rows)
        self._other: Page | None = None  # the normal page while a full-screen program has the other one
        self._rest = ""

    def _reset(self) -> None:
        super()._reset()
        self._modes: set[str] = set()
        self.shows_cursor = True
        self._keypad = False

    # -- reading it

    @property
    def is_between(self) -> bool:
        """Whether nothing waits for the rest of a sequence."""
        return not self._rest

    @property
    def lines(self) -> list[str]:
        """The rows as text, without the blanks behind."""
        return ["".join(char for char, _ in row).rstrip() for row in self._main.rows]

    # -- feeding it

    def feed(self, text: str) -> None:
        """Output of the program, decoded."""
        text, self._rest = self._rest + text, ""
        at, end = 0, len(text)
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                if end - at < _LONGEST_ESCAPE:
                    self._rest = text[at:]
                    return
                at += 1
                continue
            at = match.end()
            kind = match.lastgroup
            if kind == "text":
                self._print(match["text"])
            elif kind == "final":
                self._sequence(match["csi"], match["between"], match["final"])
            elif kind == "control":
                self._control(match["control"])
            elif kind == "escape":
                self._escape(match["escape"])
            elif kind == "charset":
                place = "()*+".index(match["set"])
                if place < 2:
                    sets = list(self.cursor.charsets)
                    sets[place] = match["charset"]
                    self.cursor.charsets = (sets[0], sets[1])
            elif kind == "hash" and match["hash"] == "8":
                self._main.rows = [[("E", DEFAULT_PEN)] * self.columns for _ in range(self.rows)]
                self._place(0, 0)

    def resize(self, columns: int, rows: int) -> None:
        """The window changed. Rows that do not fit any more leave at the top, as far as the cursor does not follow."""
        columns, rows = bounded(columns, rows)
        for page in (self._main, self._other):
            if page is not None:
                over = len(page.rows) - rows
                if over > 0 and page is self._main:
                    below = len(page.rows) - 1 - self.cursor.row
                    above = max(over - below, 0)
                    page.rows = page.rows[above : above + rows]
                    self.cursor.row -= above
                else:
                    page.rows = page.rows[:rows]
                page.rows = [fitted(row, columns) for row in page.rows]
                page.rows += [[(" ", DEFAULT_PEN)] * columns for _ in range(rows - len(page.rows))]
                page.saved.row, page.saved.column = min(page.saved.row, rows - 1), min(page.saved.column, columns - 1)
        self.columns, self.rows = columns, rows
        self._top, self._bottom = 0, rows - 1
        cursor = self.cursor
        cursor.row, cursor.column, cursor.wraps = min(cursor.row, rows - 1), min(cursor.column, columns - 1), False

    def _control(self, char: str) -> None:
        cursor = self.cursor
        match char:
            case "\r":
                cursor.column, cursor.wraps = 0, False
            case "\n" | "\x0b" | "\x0c" | "\x84":
                cursor.wraps = False
                self._line_feed()
            case "\b":
                cursor.column, cursor.wraps = max(cursor.column - 1, 0), False
            case "\t":
                self._tab(1)
            case "\x0e" | "\x0f":
                cursor.shift = 1 if char == "\x0e" else 0
            case "\x85" | "\x88" | "\x8d":
                self._escape(chr(ord(char) - 0x40))
            case _:
                pass

    def _escape(self, char: str) -> None:
        match char:
            case "7":
                self._main.saved = replace(self.cursor)
            case "8":
                self.cursor = replace(self._main.saved)
            case "D":
                self._line_feed()
            case "E":
                self.cursor.column, self.cursor.wraps = 0, False
                self._line_feed()
            case "M":
                if self.cursor.row == self._top:
                    self._scroll(-1)
                else:
                    self.cursor.row = max(self.cursor.row - 1, 0)
                self.cursor.wraps = False
            case "H":
                self._tabs.add(self.cursor.column)
            case "c":
                self._main, self._other = Page(self._blank_rows(self.rows)), None
                self._reset()
            case "=" | ">":
                self._keypad = char == "="
            case _:
                pass

    # -- control sequences

    def _sequence(self, parameters: str, between: str, final: str) -> None:
        if parameters[:1] in ("<", "=", ">", "?"):
            if parameters[0] == "?" and final in "hl" and not between:
                for mode in parameters[1:].split(";")[:16]:
                    self._private_mode(mode, is_on=final == "h")
            elif parameters[0] == "?" and final in "JK" and not between:
                self._sequence(parameters[1:], "", final)
            return
        if between:
            if between == "!" and final == "p":
                rows, tabs = self._main.saved, self._tabs
                pen_place = (self.cursor.row, self.cursor.column)
                self._reset()
                self._main.saved, self._tabs = Cursor(), tabs
                self.cursor.row, self.cursor.column = pen_place
                del rows
            return
        if final == "m":
            self.cursor.pen = self.cursor.pen.changed(parameters)
            return
        numbers = [int(part) if part.isdigit() else 0 for part in parameters[:256].replace(":", ";").split(";")]
        act = _ACTS.get(final)
        if act is not None:
            act(self, [min(number, 65_535) for number in numbers])

    def _private_mode(self, mode: str, *, is_on: bool) -> None:
        match mode:
            case "6":
                self.cursor.origin = is_on
                self._place(0, 0)
            case "7":
                self._wraps = is_on
            case "25":
                self.shows_cursor = is_on
            case "47" | "1047":
                self._switch(is_on=is_on, saves=False)
            case "1048":
                self._escape("7" if is_on else "8")
            case "1049":
                self._switch(is_on=is_on, saves=True)
            case _ if mode in _KEPT_MODES:
                (self._modes.add if is_on else self._modes.discard)(mode)

    def _switch(self, *, is_on: bool, saves: bool) -> None:
        if is_on and self._other is None:
            if saves:
                self._main.saved = replace(self.cursor)
            self._other = self._main
            self._main = Page(self._blank_rows(self.rows), replace(self._other.saved))
        elif not is_on and self._other is not None:
            self._main, self._other = self._other, None
            if saves:
                self.cursor = replace(self._main.saved)

    def _margins(self, numbers: list[int]) -> None:
        top = max(numbers[0], 1) - 1
        bottom = (numbers[1] if len(numbers) > 1 and numbers[1] else self.rows) - 1
        bottom = min(bottom, self.rows - 1)
        if top < bottom:
            self._top, self._bottom = top, bottom
            self._place(0, 0)

    def _clear_tabs(self, numbers: list[int]) -> None:
        if numbers[0] == 3:
            self._tabs.clear()
        elif numbers[0] == 0:
            self._tabs.discard(self.cursor.column)

    def _modes_set(self, numbers: list[int], *, is_on: bool) -> None:
        if 4 in numbers:
            self._inserts = is_on

    # -- as text again

    def keyframe(self) -> str:
        """Text that brings an empty terminal of this size to this state."""
        parts = ["\x1b[!p\x1b[2J"]
        if self._other is not None:
            parts += [painted(self._other.rows), cursor_on(self._other.rows, self._other.saved)]
            parts += ["\x1b[?1049h\x1b[?6l", charsets_text(Cursor())]
        parts.append(painted(self._main.rows))
        saved = self._main.saved
        if saved != Cursor() or self._other is not None:  # a page that is opened takes over what the other one saved
            parts += [cursor_on(self._main.rows, saved), "\x1b7", "\x1b[?6l"]
        if (self._top, self._bottom) != (0, self.rows - 1):
            parts.append(f"\x1b[{self._top + 1};{self._bottom + 1}r")
        parts += [f"\x1b[?{mode}h" for mode in sorted(self._modes)]
        if self._keypad:
            parts.append("\x1b=")
        parts.append(cursor_on(self._main.rows, self.cursor, self._top))
        if self._inserts:
            parts.append("\x1b[4h")
        if not self._wraps:
            parts.append("\x1b[?7l")
        if not self.shows_cursor:
            parts.append("\x1b[?25l")
        return "".join(parts)


def _first(numbers: list[int]) -> int:
    return max(numbers[0], 1)


_ACTS: Final[dict[str, Callable[[Screen, list[int]], None]]] = {
    "A": lambda one, n: one._move(-_first(n), 0),
    "B": lambda one, n: one._move(_first(n), 0),
    "e": lambda one, n: one._move(_first(n), 0),
    "C": lambda one, n: one._move(0, _first(n)),
    "a": lambda one, n: one._move(0, _first(n)),
    "D": lambda one, n: one._move(0, -_first(n)),
    "E": lambda one, n: one._move(_first(n), -one.columns),
    "F": lambda one, n: one._move(-_first(n), -one.columns),
    "G": lambda one, n: one._move(0, _first(n) - 1 - one.cursor.column),
    "`": lambda one, n: one._move(0, _first(n) - 1 - one.cursor.column),
    "H": lambda one, n: one._place(_first(n) - 1, (n[1] if len(n) > 1 else 1) - 1),
    "f": lambda one, n: one._place(_first(n) - 1, (n[1] if len(n) > 1 else 1) - 1),
    "d": lambda one, n: one._place(_first(n) - 1, one.cursor.column),
    "J": Screen._erase_display,
    "K": Screen._erase_line,
    "L": lambda one, n: one._insert_lines(_first(n)),
    "M": lambda one, n: one._insert_lines(-_first(n)),
    "@": lambda one, n: one._insert_cells(_first(n)),
    "P": lambda one, n: one._delete_cells(_first(n)),
    "X": lambda one, n: one._blank(one.cursor.row, one.cursor.column, min(one.cursor.column + _first(n), one.columns)),
    "S": lambda one, n: one._scroll(_first(n)),
    "T": lambda one, n: one._scroll(-_first(n)),
    "b": lambda one, n: one._repeat(_first(n)),
    "g": Screen._clear_tabs,
    "h": lambda one, n: one._modes_set(n, is_on=True),
    "l": lambda one, n: one._modes_set(n, is_on=False),
    "I": lambda one, n: one._tab(_first(n)),
    "r": Screen._margins,
    "s": lambda one, n: one._escape("7"),
    "u": lambda one, n: one._escape("8"),
}
