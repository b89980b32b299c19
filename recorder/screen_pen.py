"""How characters look: the parameters of SGR (ECMA-48 section 8.3.117, and xterm's colours) as a value. Pure.

Only those that the player shows, with its meaning: 21 ends bold, and a style with a subparameter (`4:3`) is none.
"""

from dataclasses import dataclass, replace
from typing import Final

_ON: Final = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5", 7: "7", 9: "9"}
_OFF: Final = {
    1: ("2",),
    2: ("1",),
    21: ("1", "2"),
    22: ("1", "2"),
    23: ("3",),
    24: ("4",),
    25: ("5",),
    27: ("7",),
    29: ("9",),
}
_MOST_PARTS: Final = 64


@dataclass(frozen=True, slots=True)
class Pen:
    """`styles` are the SGR parameters that are on; `front` and `back` those of the colours, empty: the terminal's."""

    styles: frozenset[str] = frozenset()
    front: str = ""
    back: str = ""

    def text(self) -> str:
        """The sequence that sets exactly this."""
        return f"\x1b[{';'.join(['0', *sorted(self.styles), *filter(None, (self.front, self.back))])}m"

    def changed(self, parameters: str) -> "Pen":
        """After `CSI parameters m`. What is not known changes nothing."""
        parts = parameters.split(";")[:_MOST_PARTS]
        pen, at = self, 0
        while at < len(parts):
            part = parts[at]
            at += 1
            if ":" in part:
                pen = pen._with_colons(part)
                continue
            number = int(part) if part.isdigit() else 0
            if number in (38, 48):
                used, colour = _extended(parts[at:])
                at += used
                if colour:
                    pen = pen._coloured(number, colour)
            else:
                pen = pen._with(number)
        return pen

    def _with(self, number: int) -> "Pen":
        if number == 0:
            return DEFAULT_PEN
        if number in _ON or number in _OFF:
            styles = self.styles.difference(_OFF.get(number, ()))
            return replace(self, styles=styles | {_ON[number]} if number in _ON else styles)
        if 30 <= number <= 37 or 90 <= number <= 97:
            return replace(self, front=str(number))
        if 40 <= number <= 47 or 100 <= number <= 107:
            return replace(self, back=str(number))
        if number == 39:
            return replace(self, front="")
        if number == 49:
            return replace(self, back="")
        return self

    def _coloured(self, number: int, colour: str) -> "Pen":
        text = f"{number};{colour}"
        return replace(self, front=text) if number == 38 else replace(self, back=text)

    def _with_colons(self, part: str) -> "Pen":
        fields = part.split(":")
        if fields[0] in ("38", "48") and len(fields) >= 3:
            values = [one for one in fields[2:] if one] if fields[1] == "2" else fields[2:3]
            used, colour = _extended([fields[1], *values[-3:]])
            if used and colour:
                return self._coloured(int(fields[0]), colour)
        return self


def _extended(parts: list[str]) -> tuple[int, str]:
    """How many parameters a colour takes behind 38 or 48, and its text; empty when it is none."""
    if parts[:1] == ["5"] and len(parts) >= 2:
        return 2, f"5;{min(int(parts[1]), 255)}" if parts[1].isdigit() else ""
    if parts[:1] == ["2"] and len(parts) >= 4:
        good = all(one.isdigit() for one in parts[1:4])
        return 4, "2;" + ";".join(str(min(int(one), 255)) for one in parts[1:4]) if good else ""
    return 0, ""


DEFAULT_PEN: Final = Pen()
