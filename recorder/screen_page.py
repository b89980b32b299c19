"""The cells of a screen's page and where its cursor stands. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from unicodedata import category, east_asian_width

from recorder.screen_pen import DEFAULT_PEN, Pen

MOST_COLUMNS: Final = 500
MOST_ROWS: Final = 200
KEPT_ABOVE: Final = 100
"""How many rows that scrolled off the player keeps: when the window grows they come back."""

_MOST_ABOVE: Final = KEPT_ABOVE + KEPT_ABOVE // 10  # above this many the player drops the oldest down to `KEPT_ABOVE`
_MOST_BETWEEN: Final = 1_000

_WIDE_LATER: Final = frozenset(  # wide since Unicode 15 and 15.1, which the player knows and Python may not
    "\u2ffc\u2ffd\u2ffe\u2fff\u31ef\U0001b132\U0001b155\U0001f6dc\U0001fa75\U0001fa76\U0001fa77\U0001fa87\U0001fa88"
    "\U0001faad\U0001faae\U0001faaf\U0001fabb\U0001fabc\U0001fabd\U0001fabf\U0001face\U0001facf\U0001fada\U0001fadb"
    "\U0001fae8\U0001faf7\U0001faf8"
)

Cell = tuple[str, Pen]
BLANK: Final[Cell] = (" ", DEFAULT_PEN)


class Row(list[Cell]):
    """The cells of a row; the second half of a wide character is an empty text. `wrapped`: its line goes on below."""

    __slots__ = ("wrapped",)

    def __init__(self, cells: Iterable[Cell] = (), *, wrapped: bool = False) -> None:
        super().__init__(cells)
        self.wrapped = wrapped


@lru_cache(maxsize=65_536)
def cells_of(char: str) -> int:
    """How many cells a character takes on the player: 2 for wide ones, 1 for all others, also for marks that join."""
    if char in _WIDE_LATER or "\U00020000" <= char <= "\U0003fffd":
        return 2
    if char.isascii() or east_asian_width(char) not in ("W", "F"):
        return 1
    kind = category(char)
    return 1 if kind[0] == "M" or kind == "Cn" else 2


@dataclass(slots=True)
class Cursor:
    """Where and how the next character is written. It stands behind the last column (`column` is the width) when the
    next character goes to a new line."""

    row: int = 0
    column: int = 0
    pen: Pen = DEFAULT_PEN
    origin: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """What DECSC keeps of a cursor."""

    row: int = 0
    column: int = 0
    pen: Pen = DEFAULT_PEN
    origin: bool = False
    autowrap: bool = True

    def within(self, columns: int, rows: int) -> "Saved":
        """The same on a page of this size."""
        if self.row < rows and self.column < columns:
            return self
        return Saved(min(self.row, rows - 1), min(self.column, columns - 1), self.pen, self.origin, self.autowrap)


@dataclass(slots=True)
class Page:
    """One of the two pages: the normal one and that of full-screen programs. `above`: rows that scrolled off, oldest
    first."""

    rows: list[Row]
    above: list[Row] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return len(self.rows[0]), len(self.rows)

    def keep_above(self, rows: list[Row]) -> None:
        """These scrolled off the top."""
        self.above += rows
        if len(self.above) > _MOST_BETWEEN:
            del self.above[: -_MOST_ABOVE - 1]

    def trim_above(self) -> None:
        """After a piece of output, as the player does."""
        if len(self.above) > _MOST_ABOVE:
            del self.above[:-KEPT_ABOVE]


def blank_row(columns: int, pen: Pen = DEFAULT_PEN) -> Row:
    return Row([(" ", pen)] * columns)


def bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(1, min(columns or 80, MOST_COLUMNS)), max(1, min(rows or 24, MOST_ROWS))
