"""Pure: one word of a shell line after its quotes were read: brace alternatives, word splitting, `$'…'`.

`shell_words` reads the line; what stands here knows characters and whether they were quoted, nothing of commands.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

UNKNOWN: Final = "\0"  # stands in Word.text for a part that only the target knows
_MAX_BRACE_WORDS: Final = 256
_ESCAPES: Final = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True)) | {char: char for char in "\\'\"?"}
_CODED: Final = re.compile(r"([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})")


class UnreadableText(ValueError):
    """The text is no shell line that this reader understands, or it is too large or too deep."""


class IncompleteText(UnreadableText):
    """The text ends inside a quote, substitution or here-document or after a backslash: a shell would ask for more."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word after static expansion; `glob` says that an unquoted `*`, `?` or `[` is in it."""

    text: str
    glob: bool = False

    @property
    def known(self) -> bool:
        return UNKNOWN not in self.text


# A character of a word under construction: plain, quoted, or brought by an unquoted expansion (which may split words).
PLAIN, QUOTED, EXPANDED = 0, 1, 2
Char = tuple[str, int]


def ansi_c(text: str, at: int) -> tuple[str, int]:
    """The value of `$'…'` whose inside begins at `at`, and where the text goes on behind it.

    Raises IncompleteText when the quote is not closed.
    """
    out: list[str] = []
    while at < len(text):
        char = text[at]
        if char == "'":
            return "".join(out), at + 1
        if char != "\\":
            out.append(char)
            at += 1
        elif coded := _CODED.match(text, at + 1):
            octal, *hexes = coded.groups()
            code = int(octal, 8) & 0xFF if octal else int(next(h for h in hexes if h), 16)
            out.append(chr(code) if code <= 0x10FFFF else UNKNOWN)
            at = coded.end()
        else:
            following = text[at + 1 : at + 2]
            out.append(_ESCAPES.get(following, "\\" + following))
            at += 2
    raise IncompleteText("a quote is not closed")


def split_words(chars: Iterable[Char], *, keep_empty: bool) -> list[Word]:
    """Splits where an unquoted expansion brought white space; a word that is empty and was not quoted vanishes."""
    words: list[Word] = []
    current: list[str] = []
    glob = started = False
    for char, kind in chars:
        if kind == EXPANDED and char in " \t\n":
            if started:
                words.append(Word("".join(current), glob))
            current, glob, started = [], False, False
            continue
        started = True
        current.append(char)
        glob |= kind != QUOTED and char in "*?["
    if started or (keep_empty and not words):
        words.append(Word("".join(current), glob))
    return words


def expand_braces(chars: list[Char]) -> list[list[Char]]:
    """`a{b,c}d` → `abd acd`; only unquoted braces with an unquoted comma count; sequences (`{1..9}`) stay."""
    done: list[list[Char]] = []
    waiting = [chars]
    while waiting:
        word = waiting.pop()
        parts = _first_brace(word)
        if parts is None:
            done.append(word)
        else:
            before, choices, after = parts
            waiting += [before + choice + after for choice in reversed(choices)]
        if len(done) + len(waiting) > _MAX_BRACE_WORDS:
            raise UnreadableText("too many brace alternatives")
    return done


def _first_brace(word: list[Char]) -> tuple[list[Char], list[list[Char]], list[Char]] | None:
    for start, item in enumerate(word):
        if item != ("{", PLAIN):
            continue
        depth, commas = 0, [start]
        for at in range(start, len(word)):
            if word[at] == ("{", PLAIN):
                depth += 1
            elif word[at] == (",", PLAIN) and depth == 1:
                commas.append(at)
            elif word[at] == ("}", PLAIN):
                depth -= 1
                if depth == 0:
                    if len(commas) == 1:
                        break
                    cuts = [*commas, at]
                    choices = [word[left + 1 : right] for left, right in pairwise(cuts)]
                    return word[:start], choices, word[at + 1 :]
    return None
