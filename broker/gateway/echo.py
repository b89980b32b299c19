"""Pure: did the screen show what an engineer typed at a terminal?

Every key is recorded masked before it is sent. When a line is entered and the screen has shown it, its keys are
recorded once more in clear; what was not shown stays masked and is flagged. In doubt it was not shown.
"""

import re
from dataclasses import dataclass
from typing import Final

MOST_KEPT_BYTES: Final = 16_384
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O])")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
# What abandons a line may end a prompt that hides its input: keys before and behind it are two matters.
_ABANDONS: Final = re.compile(rb"[\x03\x1a\x1c]")


@dataclass(frozen=True, slots=True)
class Shown:
    """These keys were on the screen."""

    keys: bytes


@dataclass(frozen=True, slots=True)
class Hidden:
    """So many printable characters were typed and not shown."""

    characters: int


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as it stands when it is entered: what was typed, as far as that is known, and what the screen shows."""

    typed: str
    is_certain: bool
    shown: str


class EchoWatch:
    """The keys of one terminal since the last answer."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._has_more = False  # more came than is kept: nothing of it is told in clear

    def keys(self, data: bytes, shown: str) -> list[Shown | Hidden]:
        """Keys that went to the target; `shown` is what stands on the line before they came."""
        found: list[Shown | Hidden] = []
        while (match := _ABANDONS.search(data)) is not None:
            self._keep(data[: match.start()])
            found += self._answer(is_shown=_is_within(printable(bytes(self._keys)), shown), behind=match.group())
            data = data[match.end() :]
        self._keep(data)
        return found

    def entered(self, line: ShownLine, behind: bytes) -> list[Shown | Hidden]:
        """The line was sent on with the key `behind`."""
        return self._answer(is_shown=self._was_shown(line), behind=behind)

    def _keep(self, data: bytes) -> None:
        room = MOST_KEPT_BYTES - len(self._keys)
        self._has_more |= len(data) > room
        self._keys += data[:room]

    def _was_shown(self, line: ShownLine) -> bool:
        text = printable(bytes(self._keys))
        typed, shown = line.typed.rstrip(), line.shown.rstrip()
        if line.is_certain and typed:
            # A beginning on the screen is enough: the rest of a slow echo is on its way. Stars are no beginning.
            return shown.startswith(typed) or bool(shown and typed.startswith(shown))
        return _is_within(text, shown)

    def _answer(self, *, is_shown: bool, behind: bytes) -> list[Shown | Hidden]:
        keys, more = bytes(self._keys), self._has_more
        self._keys.clear()
        self._has_more = False
        count = len(printable(keys))
        if is_shown and not more:
            return [Shown(keys + behind)]
        return [Hidden(count)] if count or more else [Shown(keys + behind)]


def printable(keys: bytes) -> str:
    """The characters among keys that a screen would show."""
    return _CONTROLS.sub("", _ESCAPES.sub("", keys.decode("utf-8", "replace")))


def _is_within(text: str, shown: str) -> bool:
    """Whether the characters stand in `shown` in this order; completion may have added others."""
    rest = iter(shown)
    return all(char in rest for char in text)
