"""The cells of a screen's page and where its cursor stands. Pure."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from unicodedata import category, east_asian_width

from recorder.screen_pen import DEFAULT_PEN, Pen

MOST_COLUMNS: Final = 500
MOST_ROWS: Final = 200

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


def bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(1, min(columns or 80, MOST_COLUMNS)), max(1, min(rows or 24, MOST_ROWS))


def fitted(row: Row, columns: int) -> Row:
    if len(row) > columns:
        row = row[:columns]
        if cells_of(row[-1][0][:1] or " ") == 2:
            row[-1] = (" ", row[-1][1])
    return row + [(" ", DEFAULT_PEN)] * (columns - len(row))


def split_wide(row: Row, at: int) -> None:
    """Half a wide character is none: when a write begins in one, both halves become blanks."""
    if 0 < at < len(row) and row[at][0] == "":
        row[at - 1], row[at] = (" ", row[at - 1][1]), (" ", row[at][1])
