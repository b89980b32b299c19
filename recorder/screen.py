"""What stands on a terminal: a screen kept from output, and that screen as output again. Pure.

A replay begins anywhere from a keyframe: text which, written to an empty terminal of the same size, brings back cells,
colours, cursor, margins, tab stops and modes. The sequences are those of ECMA-48 and of xterm that programs use
(ctlseqs), with the meaning that the console's player gives them. Not kept: titles, pictures.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from recorder.screen_canvas import Canvas, usual_tabs
from recorder.screen_page import Page, Row, Saved, bounded
from recorder.screen_pen import DEFAULT_PEN
from recorder.screen_reflow import resized
from recorder.screen_text import charsets_text, cursor_on, painted, saved_text, tabs_text

_LONGEST_ESCAPE: Final = 65_536
_TOKEN: Final = re.compile(
    r"(?P<text>[^\x00-\x1f\x80-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<csi>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b[\]PX^_](?:[^\x07\x1b\x18\x1a]|\x1b(?!\\))*(?:\x07|\x1b\\|[\x18\x1a])"
    r"|\x1b(?P<set>[()*+])(?P<charset>.)"
    r"|\x1b[#%](?P<hash>.)"
    r"|\x1b(?P<escape>[0-OQ-WYZ\\`-~])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x80-\x9a\x9c-\x9f])",
    re.DOTALL,
)
_KEPT_MODES: Final = frozenset({"1", "5", "9", "1000", "1002", "1003", "1004", "1005", "1006", "1015", "2004"})


class Screen(Canvas):
    """A terminal's screen. `feed` takes text in pieces; an unfinished sequence waits for its rest."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__(columns, rows)
        self._rest = ""

    def _reset(self) -> None:
        super()._reset()
        self._saved = self._other_saved = Saved()
        self._modes: set[str] = set()
        self.shows_cursor = True
        self._keypad = self._line_feed_returns = False

    # -- reading it

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.columns, self.rows

    @property
    def is_between(self) -> bool:
        """Whether nothing waits for the rest of a sequence."""
        return not self._rest

    @property
    def is_covering(self) -> bool:
        """Whether a full-screen program has its own page over the normal one."""
        return self._covered is not None

    @property
    def covers_another_size(self) -> bool:
        """Whether that normal page has still the size of an earlier window."""
        return self._covered is not None and self._covered.size != self.size

    @property
    def lines(self) -> list[str]:
        """The rows as text, without the blanks behind."""
        return ["".join(char for char, _ in row).rstrip() for row in self._page.rows]

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
                    break
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
                    self._charsets[place] = match["charset"]
            elif kind == "hash" and match["hash"] == "8":
                for row in self._page.rows:
                    row[:] = [("E", DEFAULT_PEN)] * self.columns
        self._page.trim_above()

    def resize(self, columns: int, rows: int) -> None:
        """The window changed. A page that is covered follows when it is seen again."""
        columns, rows = bounded(columns, rows)
        if (columns, rows) == self.size:
            return
        if columns < self.columns:
            self._tabs = {stop for stop in self._tabs if stop < columns}
        elif columns > self.columns:  # a stop at the old width itself stays without one: so does the player
            self._tabs.update(range(self.columns // 8 * 8 + 8, columns, 8))
        if rows != self.rows:
            self._top, self._bottom = 0, rows - 1
        self.columns, self.rows = columns, rows
        self._fit()
        self._page.trim_above()

    def _fit(self) -> None:
        """Brings the page that is seen to the window's size."""
        cursor = self.cursor
        if self._page.size != self.size:
            self._page, cursor.row, cursor.column = resized(self._page, cursor.row, cursor.column, self.size)
            if self.is_covering:
                self._page.above.clear()
        self._saved = self._saved.within(*self.size)

    def _control(self, char: str) -> None:
        cursor = self.cursor
        match char:
            case "\r":
                cursor.column = 0
            case "\n" | "\x0b" | "\x0c" | "\x84":
                self._escape("D")
            case "\b":
                self._move(0, -1)
            case "\t":
                self._tab(1)
            case "\x0e" | "\x0f":
                self._shift = 1 if char == "\x0e" else 0
            case "\x85" | "\x88" | "\x8d":
                self._escape(chr(ord(char) - 0x40))
            case _:
                pass

    def _escape(self, char: str) -> None:
        cursor = self.cursor
        match char:
            case "7":
                column = min(cursor.column, self.columns - 1)
                self._saved = Saved(cursor.row, column, cursor.pen, cursor.origin, self._autowrap)
            case "8":
                saved = self._saved
                cursor.row, cursor.column, cursor.pen, cursor.origin = saved.row, saved.column, saved.pen, saved.origin
                self._autowrap = saved.autowrap
            case "D":
                self._line_feed()
                if self._line_feed_returns:
                    cursor.column = 0
            case "E":
                self._line_feed()
                cursor.column = 0
            case "M":
                if cursor.row == self._top:
                    self._scroll_down(self._top, self._bottom, 1)
                elif cursor.row > 0:
                    self._to_row(cursor.row - 1)
            case "H":
                if 0 < cursor.column < self.columns:
                    self._tabs.add(cursor.column)
            case "c":
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
            return
        if between:
            if between == "!" and final == "p":
                self._soft_reset()
            return
        if final == "m":
            self.cursor.pen = self.cursor.pen.changed(parameters)
            return
        parts = [part.partition(":")[0] for part in parameters[:256].split(";")]
        act = _ACTS.get(final)
        if act is not None:
            act(self, [min(int(part), 65_535) if part.isdigit() else 0 for part in parts])

    def _soft_reset(self) -> None:
        cursor = self.cursor
        cursor.pen, cursor.origin = DEFAULT_PEN, False
        self._top, self._bottom = 0, self.rows - 1
        self._charsets, self._shift = ["B", "B"], 0
        self._saved = Saved()
        self.shows_cursor, self._inserts, self._keypad = True, False, False
        self._modes.clear()

    def _private_mode(self, mode: str, *, is_on: bool) -> None:
        match mode:
            case "6":
                self.cursor.origin = is_on
                self._place(0, 0)
            case "7":
                self._autowrap = is_on
            case "25":
                self.shows_cursor = is_on
            case "47" | "1047":
                self._switch(is_on=is_on)
                self._fit()
            case "1048":
                self._escape("7" if is_on else "8")
            case "1049":
                if is_on:
                    self._escape("7")
                self._switch(is_on=is_on)
                if not is_on:
                    self._escape("8")
                self._fit()
            case _ if mode in _KEPT_MODES:
                (self._modes.add if is_on else self._modes.discard)(mode)

    def _switch(self, *, is_on: bool) -> None:
        """To the page of full-screen programs, or back. Each has its own saved cursor."""
        if is_on == self.is_covering:
            return
        self._saved, self._other_saved = self._other_saved, self._saved
        if self._covered is None:
            self._covered, self._page = self._page, Page(self._blank_rows(self.rows))
        else:
            self._page, self._covered = self._covered, None

    def _margins(self, numbers: list[int]) -> None:
        top = max(numbers[0], 1) - 1
        bottom = (numbers[1] if len(numbers) > 1 and numbers[1] else self.rows) - 1
        if top < bottom < self.rows:
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
        if 20 in numbers:
            self._line_feed_returns = is_on

    # -- as text again

    def keyframe(self, *, with_above: bool = False) -> str:
        """Text that brings an empty terminal of this size to this state.

        `with_above`: also what scrolled off as far as the player keeps it, for the case that the window changes later.
        """
        normal, saved = self._page, self._saved
        if self._covered is not None:
            normal, saved = self._uncovered()
        parts = ["\x1b[!p\x1b[2J\x1b[H"]
        if with_above and normal.above:
            parts.append(painted([*normal.above, *normal.rows], is_whole=True))
        else:
            parts.append(painted(normal.rows))
        if self._tabs != usual_tabs(self.columns):
            parts.append(tabs_text(self._tabs))
        parts.append(saved_text(saved))
        if self.is_covering or self._other_saved != Saved():
            parts.append("\x1b[?1047h")
            if self.is_covering:
                parts += ["\x1b[H", painted(self._page.rows), saved_text(self._saved)]
            else:
                parts += [saved_text(self._other_saved), "\x1b[?1047l"]
        parts += [f"\x1b[?{mode}h" for mode in sorted(self._modes)]
        if self._keypad:
            parts.append("\x1b=")
        if self.cursor.origin:
            parts.append("\x1b[?6h")
        if (self._top, self._bottom) != (0, self.rows - 1):
            parts.append(f"\x1b[{self._top + 1};{self._bottom + 1}r")
        parts.append(cursor_on(self._row, self.cursor, self._top))
        parts.append(charsets_text(self._charsets, self._shift))
        if self._inserts:
            parts.append("\x1b[4h")
        if self._line_feed_returns:
            parts.append("\x1b[20h")
        if not self._autowrap:
            parts.append("\x1b[?7l")
        if not self.shows_cursor:
            parts.append("\x1b[?25l")
        return "".join(parts)

    def _uncovered(self) -> tuple[Page, Saved]:
        """The normal page and its saved cursor as they stand when the full-screen program ends now."""
        page, saved = self._covered or self._page, self._other_saved
        if page.size == self.size:
            return page, saved
        copy = Page([_copied(row) for row in page.rows], [_copied(row) for row in page.above])
        found, row, column = resized(copy, saved.row, saved.column, self.size)
        return found, replace(saved, row=row, column=column)


def _copied(row: Row) -> Row:
    return Row(row, wrapped=row.wrapped)


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
    "G": lambda one, n: one._to_column(_first(n) - 1),
    "`": lambda one, n: one._to_column(_first(n) - 1),
    "H": lambda one, n: one._place(_first(n) - 1, (n[1] if len(n) > 1 else 1) - 1),
    "f": lambda one, n: one._place(_first(n) - 1, (n[1] if len(n) > 1 else 1) - 1),
    "d": lambda one, n: one._to_row(_first(n) - 1),
    "J": Screen._erase_display,
    "K": Screen._erase_line,
    "L": lambda one, n: one._insert_lines(_first(n)),
    "M": lambda one, n: one._delete_lines(_first(n)),
    "@": lambda one, n: one._insert_cells(_first(n)),
    "P": lambda one, n: one._delete_cells(_first(n)),
    "X": lambda one, n: one._erase_cells(_first(n)),
    "S": lambda one, n: one._scroll_up(one._top, one._bottom, _first(n)),
    "T": lambda one, n: one._scroll_down(one._top, one._bottom, _first(n)),
    "b": lambda one, n: one._repeat(_first(n)),
    "g": Screen._clear_tabs,
    "h": lambda one, n: one._modes_set(n, is_on=True),
    "l": lambda one, n: one._modes_set(n, is_on=False),
    "I": lambda one, n: one._tab(_first(n)),
    "Z": lambda one, n: one._tab_back(_first(n)),
    "r": Screen._margins,
    "s": lambda one, n: one._escape("7"),
    "u": lambda one, n: one._escape("8"),
}
