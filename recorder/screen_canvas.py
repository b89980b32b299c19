"""Writing on a screen: printing, scrolling, erasing and moving cells, as ECMA-48 and xterm do it. Pure."""

from typing import Final

from recorder.screen_page import MOST_COLUMNS, Cursor, Page, Row, bounded, cells_of, split_wide
from recorder.screen_pen import DEFAULT_PEN, Pen

_LINES: Final = dict(zip("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True))


class Canvas:
    """A page with its cursor, margins and tab stops; `Screen` reads the sequences that work on them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = bounded(columns, rows)
        self._main = Page(self._blank_rows(self.rows))
        self._reset()

    def _reset(self) -> None:
        self.cursor = Cursor()
        self._top, self._bottom = 0, self.rows - 1
        self._wraps = True
        self._inserts = False
        self._tabs = set(range(0, MOST_COLUMNS, 8))
        self._last = ""

    # -- printing

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
            split_wide(row, cursor.column)
            if end < self.columns:
                split_wide(row, end)
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
        split_wide(row, cursor.column)
        if self._inserts:
            self._make_room(row, width, cursor.pen)
        if cursor.column + width < self.columns:
            split_wide(row, cursor.column + width)
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

    def _repeat(self, count: int) -> None:
        if self._last:
            self._print(self._last * min(count, self.columns * self.rows))

    def _tab(self, count: int) -> None:
        for _ in range(min(count, self.columns)):
            later = [stop for stop in self._tabs if self.cursor.column < stop < self.columns]
            self.cursor.column = min(later, default=self.columns - 1)

    # -- moving and scrolling

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

    def _move(self, rows: int, columns: int) -> None:
        cursor = self.cursor
        top = self._top if cursor.row >= self._top else 0
        bottom = self._bottom if cursor.row <= self._bottom else self.rows - 1
        cursor.row = max(top, min(cursor.row + rows, bottom))
        cursor.column, cursor.wraps = max(0, min(cursor.column + columns, self.columns - 1)), False

    def _blank(self, row: int, start: int, end: int) -> None:
        cells, pen = self._main.rows[row], self.cursor.pen.only_background()
        split_wide(cells, start)
        if end < len(cells):
            split_wide(cells, end)
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
        split_wide(row, cursor.column)
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
        split_wide(row, cursor.column)
        count = min(count, self.columns - cursor.column)
        split_wide(row, cursor.column + count)
        del row[cursor.column : cursor.column + count]
        row += [(" ", cursor.pen.only_background())] * (self.columns - len(row))
        cursor.wraps = False
