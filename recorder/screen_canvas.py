"""Writing on a screen: printing, scrolling, erasing and moving cells, as the console's player does it. Pure.

ECMA-48 and xterm leave corners open (what an erase does to a cursor that waits behind the last column, what stands
where half a wide character was); a jump in a replay must show what playing shows, so the player decides them.
"""

import re
from typing import Final

from recorder.screen_page import Cell, Cursor, Page, Row, blank_row, bounded, cells_of

_LINES: Final = dict(zip("`abcdefghijklmnopqrstuvwxyz{|}~", "♦▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£⋅", strict=True))
_PIECE: Final = re.compile(r"[ -\x7f]+|[^ -\x7f]")


def usual_tabs(columns: int) -> set[int]:
    """Every eighth column."""
    return set(range(8, columns, 8))


class Canvas:
    """A page with its cursor, margins and tab stops; `Screen` reads the sequences that work on them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = bounded(columns, rows)
        self._covered: Page | None = None  # the normal page while a full-screen program has the other one
        self._reset()

    def _reset(self) -> None:
        self._page = Page([blank_row(self.columns) for _ in range(self.rows)])
        self._covered = None
        self.cursor = Cursor()
        self._top, self._bottom = 0, self.rows - 1
        self._autowrap = True
        self._inserts = False
        self._tabs = usual_tabs(self.columns)
        self._charsets, self._shift = ["B", "B"], 0

    @property
    def _blank(self) -> Cell:
        """What an erase leaves: it keeps the whole pen."""
        return " ", self.cursor.pen

    @property
    def _row(self) -> Row:
        return self._page.rows[self.cursor.row]

    # -- printing

    def _print(self, text: str) -> None:
        if self._charsets[self._shift] == "0":
            text = "".join(_LINES.get(char, char) for char in text)
        if text.isascii() and not self._inserts:
            self._print_narrow(text)
            return
        for piece in _PIECE.findall(text):
            if len(piece) > 1 and not self._inserts:
                self._print_narrow(piece)
            else:
                for char in piece:
                    self._put(char)

    def _print_narrow(self, text: str) -> None:
        """Text whose every character takes one cell, a row at a time."""
        cursor, pen, at = self.cursor, self.cursor.pen, 0
        while at < len(text):
            if cursor.column >= self.columns:
                if self._autowrap:
                    self._wrap()
                else:
                    cursor.column = self.columns - 1
            piece = text[at : at + self.columns - cursor.column]
            at += len(piece)
            if not self._autowrap and at < len(text):  # the rest overwrites the last cell
                piece, at = piece[:-1] + text[-1], len(text)
            row, start, end = self._row, cursor.column, cursor.column + len(piece)
            if row[start][0] == "":
                row[start - 1] = (" ", pen)
            if end < self.columns and row[end][0] == "":
                row[end] = (" ", pen)
            row[start:end] = [(char, pen) for char in piece]
            cursor.column = end if self._autowrap else min(end, self.columns - 1)

    def _put(self, char: str) -> None:
        cursor, width, used = self.cursor, cells_of(char), 0
        if width > self.columns:
            char, width = " ", 1
        if cursor.column < self.columns:
            if self._inserts:
                self._make_room(1)
            used = self._write(cursor.column, char, width)
        if used:
            cursor.column += used
            if cursor.column == self.columns and not self._autowrap:
                cursor.column -= 1
        elif self._autowrap:
            self._wrap()
            cursor.column = self._write(0, char, width)
        else:
            if not self._write(cursor.column - 1, char, width):
                self._write(cursor.column - 2, char, width)
            cursor.column = self.columns - 1

    def _write(self, at: int, char: str, width: int) -> int:
        """Puts a character into a cell, or two; how many it took, none when it does not fit in front of the edge.

        What is left of a wide character that it meets becomes blank.
        """
        row, blank = self._row, self._blank
        is_half, room = row[at][0] == "", self.columns - at
        if width == 1:
            if is_half:
                row[at - 1] = blank
            elif room > 1 and row[at + 1][0] == "":
                row[at + 1] = blank
            row[at] = (char, blank[1])
            return 1
        if room == 1:
            if not is_half:
                row[at] = blank
            return 0
        if is_half and room == 2:
            row[at + 1] = blank
            return 0
        if is_half:
            row[at - 1] = blank
        if room > 2 and row[at + 2][0] == "":
            row[at + 2] = blank
        row[at], row[at + 1] = (char, blank[1]), ("", blank[1])
        return 2

    def _wrap(self) -> None:
        """The line goes on in the next row."""
        cursor = self.cursor
        cursor.column = 0
        if cursor.row == self._bottom:
            self._row.wrapped = True
            self._scroll_up(self._top, self._bottom, 1)
        elif cursor.row < self.rows - 1:
            self._row.wrapped = True
            cursor.row += 1

    def _repeat(self, count: int) -> None:
        column = self.cursor.column
        if column > 0:
            char = self._row[column - 1][0] or " "
            self._print(char * min(count, self.columns * self.rows))

    def _tab(self, count: int) -> None:
        later = sorted(stop for stop in self._tabs if stop > self.cursor.column)
        self.cursor.column = min(later[count - 1], self.columns - 1) if count <= len(later) else self.columns - 1

    def _tab_back(self, count: int) -> None:
        before = sorted((stop for stop in self._tabs if stop < self.cursor.column), reverse=True)
        self.cursor.column = before[count - 1] if count <= len(before) else 0

    # -- moving and scrolling

    def _line_feed(self) -> None:
        if self.cursor.row == self._bottom:
            self._scroll_up(self._top, self._bottom, 1)
        elif self.cursor.row < self.rows - 1:
            self._stand(self.cursor.row + 1)

    def _stand(self, row: int) -> None:
        """In this row; a cursor that waited behind the last column does so no more."""
        self.cursor.row, self.cursor.column = row, min(self.cursor.column, self.columns - 1)

    def _scroll_up(self, first: int, last: int, count: int) -> None:
        """Moves these rows up. What leaves at the top of the page is kept above it."""
        rows, count = self._page.rows, min(count, last + 1 - first)
        if last < self.rows - 1:
            rows[last].wrapped = False
        if first > 0:
            rows[first - 1].wrapped = False
        elif self._covered is None:
            self._page.keep_above(rows[:count])
        rows[first : last + 1] = rows[first + count : last + 1] + self._blank_rows(count)

    def _scroll_down(self, first: int, last: int, count: int) -> None:
        rows, count = self._page.rows, min(count, last + 1 - first)
        rows[first : last + 1] = self._blank_rows(count) + rows[first : last + 1 - count]
        if first > 0:
            rows[first - 1].wrapped = False
        rows[last].wrapped = False

    def _blank_rows(self, count: int) -> list[Row]:
        return [blank_row(self.columns, self.cursor.pen) for _ in range(count)]

    def _place(self, row: int, column: int) -> None:
        self._to_column(column)
        self._to_row(row)

    def _to_column(self, column: int) -> None:
        self.cursor.column = max(0, min(column, self.columns - 1))

    def _to_row(self, row: int) -> None:
        top, bottom = (self._top, self._bottom) if self.cursor.origin else (0, self.rows - 1)
        self._stand(max(top, min(top + row, bottom)))

    def _move(self, rows: int, columns: int) -> None:
        """Up and down not across the margin that lies in the way."""
        cursor = self.cursor
        top = self._top if cursor.row >= self._top else 0
        bottom = self._bottom if cursor.row <= self._bottom else self.rows - 1
        self._stand(max(top, min(cursor.row + rows, bottom)))
        cursor.column = max(0, min(cursor.column + columns, self.columns - 1))

    # -- erasing, inserting and deleting

    def _clear(self, row: Row, start: int, end: int) -> None:
        """Blanks from `start` up to `end`; nothing when `start` is behind the last column."""
        if start >= self.columns:
            return
        if row[start][0] == "":
            row[start - 1] = self._blank
        row[start:end] = [self._blank] * (end - start)
        if end < self.columns and row[end][0] == "":
            row[end] = self._blank

    def _clear_rows(self, first: int, end: int) -> None:
        self._page.rows[first:end] = self._blank_rows(end - first)

    def _erase_display(self, numbers: list[int]) -> None:
        cursor = self.cursor
        match numbers[0]:
            case 0:
                self._erase_line([0])
                self._clear_rows(cursor.row + 1, self.rows)
            case 1:
                self._erase_line([1])
                self._clear_rows(0, cursor.row)
            case 2:
                self._clear_rows(0, self.rows)
            case _:
                pass

    def _erase_line(self, numbers: list[int]) -> None:
        row, column = self._row, self.cursor.column
        match numbers[0]:
            case 0:
                self._clear(row, column, self.columns)
                row.wrapped = False
            case 1:
                self._clear(row, 0, min(column + 1, self.columns))
            case 2:
                self._clear(row, 0, self.columns)
                row.wrapped = False
            case _:
                pass

    def _erase_cells(self, count: int) -> None:
        row, end = self._row, min(self.cursor.column + count, self.columns)
        self._clear(row, self.cursor.column, end)
        if end == self.columns:
            row.wrapped = False

    def _insert_lines(self, count: int) -> None:
        self._scroll_down(self.cursor.row, self._last_to_move, count)

    def _delete_lines(self, count: int) -> None:
        self._scroll_up(self.cursor.row, self._last_to_move, count)

    @property
    def _last_to_move(self) -> int:
        return self._bottom if self.cursor.row <= self._bottom else self.rows - 1

    def _insert_cells(self, count: int) -> None:
        cursor = self.cursor
        cursor.column = min(cursor.column, self.columns - 1)
        self._make_room(min(count, self.columns - cursor.column))

    def _make_room(self, count: int) -> None:
        """Moves what stands from the cursor on; when half of a wide character leaves, its other half does too."""
        row, at, blank = self._row, self.cursor.column, self._blank
        if row[at][0] == "":
            row[at - 1] = row[at] = blank
        splits = row[self.columns - count][0] == ""
        row[at:at] = [blank] * count
        del row[self.columns :]
        if splits:
            row[-1] = blank

    def _delete_cells(self, count: int) -> None:
        cursor, row, blank = self.cursor, self._row, self._blank
        at = cursor.column = min(cursor.column, self.columns - 1)
        if row[at][0] == "":
            row[at - 1] = blank
        del row[at : at + count]
        if at < len(row) and row[at][0] == "":
            row[at] = blank
        row += [blank] * (self.columns - len(row))
        row.wrapped = False
