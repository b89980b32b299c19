"""What stands on a terminal: a screen kept from output, and that screen as output again. Pure.

A replay begins anywhere from a keyframe: text which, written to an empty terminal of the same size, brings back cells,
colours, cursor, margins and modes. The sequences are those of ECMA-48 and of xterm that programs use (ctlseqs).
Not kept: scrolled-off lines, titles, the reflow of long lines when the width changes, pictures.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from unicodedata import category, east_asian_width

from recorder.screen_pen import DEFAULT_PEN, Pen

MOST_COLUMNS: Final = 500
MOST_ROWS: Final = 200
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
_LINES: Final = dict(zip("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True))
_KEPT_MODES: Final = frozenset({"1", "5", "9", "1000", "1002", "1003", "1004", "1005", "1006", "1015", "2004"})

Cell = tuple[str, Pen]
Row = list[Cell]


@lru_cache(maxsize=65_536)
def cells_of(char: str) -> int:
    """How many cells a character takes: 0 for what joins the one before, 2 for wide ones."""
    if char.isascii():
        return 1
    if category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(char) in ("W", "F") else 1


@dataclass(slots=True)
class Cursor:
    """Where and how the next character is written. `wraps`: it stands behind the last column and goes to a new line."""

    row: int = 0
    column: int = 0
    pen: Pen = DEFAULT_PEN
    wraps: bool = False
    origin: bool = False
    charsets: tuple[str, str] = ("B", "B")
    shift: int = 0


@dataclass(slots=True)
class Page:
    """One of the two pages: the normal one and that of full-screen programs."""

    rows: list[Row]
    saved: Cursor = field(default_factory=Cursor)


class Screen:
    """A terminal's screen. `feed` takes text in pieces; an unfinished sequence waits for its rest."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = _bounded(columns, rows)
        self._main = Page(self._blank_rows(self.rows))
        self._other: Page | None = None  # the normal page while a full-screen program has the other one
        self._reset()
        self._rest = ""

    def _reset(self) -> None:
        self.cursor = Cursor()
        self._top, self._bottom = 0, self.rows - 1
        self._modes: set[str] = set()
        self.shows_cursor = True
        self._wraps = True
        self._inserts = False
        self._keypad = False
        self._tabs = set(range(0, MOST_COLUMNS, 8))
        self._last = ""

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
        columns, rows = _bounded(columns, rows)
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
                page.rows = [_fitted(row, columns) for row in page.rows]
                page.rows += [[(" ", DEFAULT_PEN)] * columns for _ in range(rows - len(page.rows))]
                page.saved.row, page.saved.column = min(page.saved.row, rows - 1), min(page.saved.column, columns - 1)
        self.columns, self.rows = columns, rows
        self._top, self._bottom = 0, rows - 1
        cursor = self.cursor
        cursor.row, cursor.column, cursor.wraps = min(cursor.row, rows - 1), min(cursor.column, columns - 1), False

    def _print(self, text: str) -> None:
        cursor = self.cursor
        if cursor.charsets[cursor.shift] == "0":
            text = "".join(_LINES.get(char, char) for char in text)
        self._last = text[-1]
        if text.isascii() and not self._inserts:
            self._print_narrow(text)
            return
        for char in text:
            width = cells_of(char)
            if width == 0:
                self._join(char)
            else:
                self._put(char, width)

    def _print_narrow(self, text: str) -> None:
        """Text whose every character takes one cell, a row at a time."""
        cursor, pen, at = self.cursor, self.cursor.pen, 0
        while at < len(text):
            self._wrap_if_due()
            room = self.columns - cursor.column
            piece = text[at : at + room]
            at += len(piece)
            if not self._wraps and at < len(text):  # the rest overwrites the last cell
                piece, at = piece[:-1] + text[-1], len(text)
            row, end = self._main.rows[cursor.row], cursor.column + len(piece)
            self._split_wide(row, cursor.column)
            if end < self.columns:
                self._split_wide(row, end)
            row[cursor.column : end] = [(char, pen) for char in piece]
            cursor.column = min(end, self.columns - 1)
            cursor.wraps = end >= self.columns and self._wraps

    def _put(self, char: str, width: int) -> None:
        cursor = self.cursor
        self._wrap_if_due()
        if cursor.column + width > self.columns:
            if width > self.columns or not self._wraps:
                return
            cursor.column = 0
            self._line_feed()
        row = self._main.rows[cursor.row]
        self._split_wide(row, cursor.column)
        if self._inserts:
            self._make_room(row, width, cursor.pen)
        if cursor.column + width < self.columns:
            self._split_wide(row, cursor.column + width)
        row[cursor.column] = (char, cursor.pen)
        if width == 2:
            row[cursor.column + 1] = ("", cursor.pen)
        end = cursor.column + width
        cursor.column, cursor.wraps = min(end, self.columns - 1), end >= self.columns and self._wraps

    def _wrap_if_due(self) -> None:
        if self.cursor.wraps:
            self.cursor.wraps, self.cursor.column = False, 0
            self._line_feed()

    def _join(self, char: str) -> None:
        row = self._main.rows[self.cursor.row]
        at = self.cursor.column if self.cursor.wraps else self.cursor.column - 1
        if at > 0 and row[at][0] == "":
            at -= 1
        if at >= 0 and len(row[at][0]) < 8:
            row[at] = (row[at][0] + char, row[at][1])

    def _split_wide(self, row: Row, at: int) -> None:
        """Half a wide character is none: when a write begins in one, both halves become blanks."""
        if 0 < at < len(row) and row[at][0] == "":
            row[at - 1], row[at] = (" ", row[at - 1][1]), (" ", row[at][1])

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

    def _tab(self, count: int) -> None:
        for _ in range(min(count, self.columns)):
            later = [stop for stop in self._tabs if self.cursor.column < stop < self.columns]
            self.cursor.column = min(later, default=self.columns - 1)

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

    def _line_feed(self) -> None:
        if self.cursor.row == self._bottom:
            self._scroll(1)
        elif self.cursor.row < self.rows - 1:
            self.cursor.row += 1

    def _scroll(self, count: int, top: int | None = None) -> None:
        """Moves the rows between the margins up (or down, when negative)."""
        first, rows = self._top if top is None else top, self._main.rows
        height = self._bottom + 1 - first
        count = max(-height, min(count, height))
        blank = self._blank_rows(abs(count))
        if count > 0:
            rows[first : self._bottom + 1] = rows[first + count : self._bottom + 1] + blank
        elif count < 0:
            rows[first : self._bottom + 1] = blank + rows[first : self._bottom + 1 + count]

    def _blank_rows(self, count: int) -> list[Row]:
        pen = self.cursor.pen.only_background() if hasattr(self, "cursor") else DEFAULT_PEN
        return [[(" ", pen)] * self.columns for _ in range(count)]

    def _place(self, row: int, column: int) -> None:
        cursor = self.cursor
        top, bottom = (self._top, self._bottom) if cursor.origin else (0, self.rows - 1)
        cursor.row = max(top, min(row + (top if cursor.origin else 0), bottom))
        cursor.column, cursor.wraps = max(0, min(column, self.columns - 1)), False

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

    def _move(self, rows: int, columns: int) -> None:
        cursor = self.cursor
        top = self._top if cursor.row >= self._top else 0
        bottom = self._bottom if cursor.row <= self._bottom else self.rows - 1
        cursor.row = max(top, min(cursor.row + rows, bottom))
        cursor.column, cursor.wraps = max(0, min(cursor.column + columns, self.columns - 1)), False

    def _blank(self, row: int, start: int, end: int) -> None:
        cells, pen = self._main.rows[row], self.cursor.pen.only_background()
        self._split_wide(cells, start)
        if end < len(cells):
            self._split_wide(cells, end)
        cells[start:end] = [(" ", pen)] * max(end - start, 0)

    def _erase_display(self, numbers: list[int]) -> None:
        cursor = self.cursor
        match numbers[0]:
            case 0:
                self._blank(cursor.row, cursor.column, self.columns)
                for row in range(cursor.row + 1, self.rows):
                    self._blank(row, 0, self.columns)
            case 1:
                for row in range(cursor.row):
                    self._blank(row, 0, self.columns)
                self._blank(cursor.row, 0, cursor.column + 1)
            case 2:
                for row in range(self.rows):
                    self._blank(row, 0, self.columns)
            case _:
                pass
        cursor.wraps = False

    def _erase_line(self, numbers: list[int]) -> None:
        cursor = self.cursor
        start, end = {0: (cursor.column, self.columns), 1: (0, cursor.column + 1), 2: (0, self.columns)}.get(
            numbers[0], (0, 0)
        )
        self._blank(cursor.row, start, end)
        cursor.wraps = False

    def _insert_lines(self, count: int) -> None:
        if self._top <= self.cursor.row <= self._bottom:
            self._scroll(-count, self.cursor.row)
            self.cursor.column, self.cursor.wraps = 0, False

    def _insert_cells(self, count: int) -> None:
        cursor, row = self.cursor, self._main.rows[self.cursor.row]
        self._split_wide(row, cursor.column)
        count = min(count, self.columns - cursor.column)
        self._make_room(row, count, cursor.pen.only_background())
        cursor.wraps = False

    def _make_room(self, row: Row, count: int, pen: Pen) -> None:
        """Moves what stands from the cursor on; when half of a wide character leaves, its other half does too."""
        row[self.cursor.column : self.cursor.column] = [(" ", pen)] * count
        del row[self.columns :]
        if cells_of(row[-1][0][:1] or " ") == 2:
            row[-1] = (" ", row[-1][1])

    def _delete_cells(self, count: int) -> None:
        cursor, row = self.cursor, self._main.rows[self.cursor.row]
        self._split_wide(row, cursor.column)
        count = min(count, self.columns - cursor.column)
        self._split_wide(row, cursor.column + count)
        del row[cursor.column : cursor.column + count]
        row += [(" ", cursor.pen.only_background())] * (self.columns - len(row))
        cursor.wraps = False

    def _margins(self, numbers: list[int]) -> None:
        top = max(numbers[0], 1) - 1
        bottom = (numbers[1] if len(numbers) > 1 and numbers[1] else self.rows) - 1
        bottom = min(bottom, self.rows - 1)
        if top < bottom:
            self._top, self._bottom = top, bottom
            self._place(0, 0)

    def _repeat(self, count: int) -> None:
        if self._last:
            self._print(self._last * min(count, self.columns * self.rows))

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
            parts += [_painted(self._other.rows), _cursor_on(self._other.rows, self._other.saved)]
            parts += ["\x1b[?1049h\x1b[?6l", _charsets_text(Cursor())]
        parts.append(_painted(self._main.rows))
        saved = self._main.saved
        if saved != Cursor() or self._other is not None:  # a page that is opened takes over what the other one saved
            parts += [_cursor_on(self._main.rows, saved), "\x1b7", "\x1b[?6l"]
        if (self._top, self._bottom) != (0, self.rows - 1):
            parts.append(f"\x1b[{self._top + 1};{self._bottom + 1}r")
        parts += [f"\x1b[?{mode}h" for mode in sorted(self._modes)]
        if self._keypad:
            parts.append("\x1b=")
        parts.append(_cursor_on(self._main.rows, self.cursor, self._top))
        if self._inserts:
            parts.append("\x1b[4h")
        if not self._wraps:
            parts.append("\x1b[?7l")
        if not self.shows_cursor:
            parts.append("\x1b[?25l")
        return "".join(parts)


def _bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(1, min(columns or 80, MOST_COLUMNS)), max(1, min(rows or 24, MOST_ROWS))


def _fitted(row: Row, columns: int) -> Row:
    if len(row) > columns:
        row = row[:columns]
        if cells_of(row[-1][0][:1] or " ") == 2:
            row[-1] = (" ", row[-1][1])
    return row + [(" ", DEFAULT_PEN)] * (columns - len(row))


def _painted(rows: list[Row]) -> str:
    parts: list[str] = []
    blank: Cell = (" ", DEFAULT_PEN)
    for number, row in enumerate(rows, 1):
        end = len(row)
        while end and row[end - 1] == blank:
            end -= 1
        if not end:
            continue
        parts.append(f"\x1b[{number}H")
        pen: Pen | None = None
        for char, of in row[:end]:
            if of is not pen and of != pen:
                parts.append(of.text())
                pen = of
            parts.append(char)
    parts.append("\x1b[m")
    return "".join(parts)


def _cursor_on(rows: list[Row], cursor: Cursor, top: int = 0) -> str:
    """Brings the cursor to its place on a page that stands already."""
    if not cursor.wraps:
        return _cursor_text(cursor, top)
    # Only printing into the last column makes a cursor that waits there: its character is printed once more.
    row = rows[cursor.row]
    start = len(row) - (2 if row[-1][0] == "" else 1)
    char, pen = row[start]
    before = _cursor_text(replace(cursor, column=start, pen=pen, charsets=("B", "B"), shift=0), top)
    return f"{before}{char}{cursor.pen.text()}{_charsets_text(cursor)}"


def _cursor_text(cursor: Cursor, top: int = 0) -> str:
    row = cursor.row - top if cursor.origin else cursor.row
    origin = "\x1b[?6h" if cursor.origin else ""
    return f"{origin}\x1b[{row + 1};{cursor.column + 1}H{cursor.pen.text()}{_charsets_text(cursor)}"


def _charsets_text(cursor: Cursor) -> str:
    return f"\x1b({cursor.charsets[0]}\x1b){cursor.charsets[1]}" + ("\x0e" if cursor.shift else "\x0f")


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
