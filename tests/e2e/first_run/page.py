"""The page `docs/first-run.*.md` as a reader takes it: the commands to type, and the words to find in the console."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
LANGUAGES: Final = ("en", "zh-CN")
_BLOCK: Final = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOLD: Final = re.compile(r"\*\*(.+?)\*\*")
_COMMENT: Final = re.compile(r"\s+# .*$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """The page in one language."""

    language: str
    text: str

    def part(self, heading: str) -> str:
        """What stands under a heading that begins so, up to the next one of its kind."""
        found = re.search(
            rf"^{re.escape(heading)}.*?(?=^{heading.split()[0]} |\Z)", self.text, re.MULTILINE | re.DOTALL
        )
        assert found is not None, f"{self.language}: no heading {heading!r}"
        return found[0]

    def blocks(self, step: int) -> list[str]:
        """The blocks of commands of a step of the second way, as they are printed."""
        return _BLOCK.findall(self.part(f"### {step}."))

    def commands(self) -> list[str]:
        """Every block of the page without the comments behind its commands."""
        return [_COMMENT.sub("", block) for block in _BLOCK.findall(self.text)]

    def bold(self) -> list[str]:
        """What the page prints in bold below the headings of the second way: the console's own words."""
        by_hand = "".join(self.part(f"### {step}.") for step in range(4, 10))
        return [words.rstrip("…") for words in _BOLD.findall(_BLOCK.sub("", by_hand))]


def page(language: str) -> Page:
    """The page in a language."""
    return Page(language, (ROOT / "docs" / f"first-run.{language}.md").read_text(encoding="utf-8"))


def console_words(language: str) -> Iterator[str]:
    """Every text of the console in a language."""
    for path in sorted((ROOT / "web" / "src").glob(f"*/texts.{language}.json")):
        yield from json.loads(path.read_text(encoding="utf-8")).values()
