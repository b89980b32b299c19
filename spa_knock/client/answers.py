"""Reading what people type - durations, moments, secrets from files - and laying out what they get to see."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from spa_knock.client.errors import ClientError
from spa_knock.client.language import tr

_DURATION = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?", re.ASCII)
_MOST_SECRET_CHARACTERS = 1024


def read_duration(text: str) -> timedelta:
    """`90m`, `2h`, `1h30m`, `1d`: a positive length. Raises ClientError."""
    found = _DURATION.fullmatch(text.strip().lower())
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes)
    if not length:
        raise ClientError(
            "usage", tr("This is not a length of time"), f"{text!r}", tr("Write it like 90m, 2h or 1h30m")
        )
    return length


def read_moment(text: str) -> datetime:
    """An RFC 3339 time with its zone, as in 2026-11-20T09:00:00+08:00. Raises ClientError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ClientError(
            "usage",
            tr("This is not a moment"),
            f"{text!r}",
            tr("Write it with its zone, like 2026-11-20T09:00:00+08:00"),
        )
    return found


class SecretInput:
    """Passwords and codes from files; `-` is standard input, of which each secret takes one line."""

    def read(self, path: str, what: str) -> str:
        """The first line, without its line break. Raises ClientError."""
        try:
            if path == "-":
                line = sys.stdin.readline(_MOST_SECRET_CHARACTERS + 2)
            else:
                with Path(path).open(encoding="utf-8") as file:
                    line = file.readline(_MOST_SECRET_CHARACTERS + 2)
        except (OSError, UnicodeDecodeError) as error:
            raise ClientError(
                "usage", tr("The {what} cannot be read", what=what), f"{path}: {type(error).__name__}"
            ) from None
        secret = line.rstrip("\r\n")
        if not secret or len(secret) > _MOST_SECRET_CHARACTERS:
            raise ClientError(
                "usage",
                tr("The {what} cannot be read", what=what),
                tr("{path} does not begin with a line that holds it", path=path),
            )
        return secret


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Left-aligned columns, two spaces between them; Chinese characters count as two columns (pure)."""
    cells = [list(heads), *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(heads))]
    return ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def printable(text: str) -> str:
    """Text from the site in one line, without anything that could steer a terminal (pure)."""
    return "".join(one if one.isprintable() else " " for one in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def padded(text: str, width: int) -> str:
    """The text and spaces up to this many columns (pure)."""
    return text + " " * (width - _width(text))
