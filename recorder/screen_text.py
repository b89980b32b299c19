"""A page of a screen as terminal output again: what a keyframe is put together from. Pure."""

from collections.abc import Iterable, Sequence

from recorder.screen_page import BLANK, Cursor, Row, Saved
from recorder.screen_pen import DEFAULT_PEN

_PLAIN = "\x1b[m"


def painted(rows: Sequence[Row], *, is_whole: bool = False) -> str:
    """Rows one below the other from the home position of an empty page on, with the usual pen before and after.

    A row that goes on in the next one is printed to its end, so that the terminal goes on there by itself.
    `is_whole`: to the last row also when that is empty, because more rows than the page has scroll off at its top.
    """
    parts: list[str] = [_PLAIN]
    pen, goes_on, ends_at = DEFAULT_PEN, False, len(rows) if is_whole else _used(rows)
    for number, row in enumerate(rows[:ends_at]):
        if number:
            if pen is not DEFAULT_PEN:
                parts.append(_PLAIN)  # the row that begins gets the pen's colours
                pen = DEFAULT_PEN
            parts.append(" \r" if goes_on else "\r\n")
        for char, of in row if row.wrapped else row[: _length(row)]:
            if of is not pen and of != pen:
                parts.append(of.text())
                pen = of
            parts.append(char)
        goes_on = row.wrapped
    parts.append(_PLAIN)
    return "".join(parts)


def _used(rows: Sequence[Row]) -> int:
    end = len(rows)
    while end and not _length(rows[end - 1]) and not (end > 1 and rows[end - 2].wrapped):
        end -= 1
    return end


def _length(row: Row) -> int:
    end = len(row)
    while end and row[end - 1] == BLANK:
        end -= 1
    return end


def cursor_on(row: Row, cursor: Cursor, top: int = 0) -> str:
    """Brings the cursor to its place in a row that stands already. `top`: the first row of its margins."""
    line = max(cursor.row - top, 0) if cursor.origin else cursor.row
    if cursor.column < len(row):
        return f"\x1b[{line + 1};{cursor.column + 1}H{cursor.pen.text()}"
    # Only printing into the last column makes a cursor that waits behind it: its character is printed once more.
    start = len(row) - (2 if row[-1][0] == "" else 1)
    char, pen = row[start]
    return f"\x1b[{line + 1};{start + 1}H{pen.text()}{char}{cursor.pen.text()}"


def saved_text(saved: Saved) -> str:
    """Saves this, where nothing was saved yet and the margins are not set."""
    if saved == Saved():
        return ""
    before = ("" if saved.autowrap else "\x1b[?7l") + ("\x1b[?6h" if saved.origin else "")
    after = ("" if saved.autowrap else "\x1b[?7h") + ("\x1b[?6l" if saved.origin else "")
    return f"{before}\x1b[{saved.row + 1};{saved.column + 1}H{saved.pen.text()}\x1b7{after}{_PLAIN}"


def tabs_text(tabs: Iterable[int]) -> str:
    """Sets exactly these tab stops."""
    return "\x1b[3g" + "".join(f"\x1b[{stop + 1}G\x1bH" for stop in sorted(tabs))


def charsets_text(charsets: Sequence[str], shift: int) -> str:
    return f"\x1b({charsets[0]}\x1b){charsets[1]}" + ("\x0e" if shift else "\x0f")
