"""A page of a screen as terminal output again: what a keyframe is put together from. Pure."""

from dataclasses import replace

from recorder.screen_page import Cell, Cursor, Row
from recorder.screen_pen import DEFAULT_PEN, Pen


def painted(rows: list[Row]) -> str:
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


def cursor_on(rows: list[Row], cursor: Cursor, top: int = 0) -> str:
    """Brings the cursor to its place on a page that stands already."""
    if not cursor.wraps:
        return _cursor_text(cursor, top)
    # Only printing into the last column makes a cursor that waits there: its character is printed once more.
    row = rows[cursor.row]
    start = len(row) - (2 if row[-1][0] == "" else 1)
    char, pen = row[start]
    before = _cursor_text(replace(cursor, column=start, pen=pen, charsets=("B", "B"), shift=0), top)
    return f"{before}{char}{cursor.pen.text()}{charsets_text(cursor)}"


def _cursor_text(cursor: Cursor, top: int = 0) -> str:
    row = cursor.row - top if cursor.origin else cursor.row
    origin = "\x1b[?6h" if cursor.origin else ""
    return f"{origin}\x1b[{row + 1};{cursor.column + 1}H{cursor.pen.text()}{charsets_text(cursor)}"


def charsets_text(cursor: Cursor) -> str:
    return f"\x1b({cursor.charsets[0]}\x1b){cursor.charsets[1]}" + ("\x0e" if cursor.shift else "\x0f")
