"""Which language `sally` speaks, and its sentences in it. Standard library only and light: the ssh helper imports it.

English stands where it is said; `words_zh` has the Chinese for each sentence, and is read only when it is wanted. The
agent answers each question in the language of whoever asks. What the site itself says (the detail of a refusal, a
reason, a name) is passed on as it came.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from enum import Enum


class Language(Enum):
    """The languages of the client."""

    ENGLISH = "en"
    CHINESE = "zh-CN"


_asked: ContextVar[Language | None] = ContextVar("language", default=None)


def of_environment(environ: Mapping[str, str]) -> Language:
    """`SALLY_LANG`, else the first of LC_ALL, LC_MESSAGES and LANG that is set (POSIX): `zh…` is Chinese."""
    for name in ("SALLY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name, ""):
            return Language.CHINESE if value.lower().startswith("zh") else Language.ENGLISH
    return Language.ENGLISH


def spoken() -> Language:
    """The language now: that of the question which is being answered, else the environment's."""
    return _asked.get() or of_environment(os.environ)


@contextlib.contextmanager
def speaking(name: object) -> Iterator[None]:
    """Inside, this thread speaks the named language; an unknown name changes nothing."""
    known = next((language for language in Language if language.value == name), None)
    token = _asked.set(known or _asked.get())
    try:
        yield
    finally:
        _asked.reset(token)


def tr(english: str, /, **values: object) -> str:
    """The sentence in the language spoken now, with its values put in as `str.format` does.

    A sentence without a translation stays English; the tests find it.
    """
    sentence = english
    if spoken() is Language.CHINESE:
        from spa_knock.client.words_zh import SENTENCES

        sentence = SENTENCES.get(english, english)
    return sentence.format(**values) if values else sentence


def term(word: str) -> str:
    """A word of a closed vocabulary (a state, the name of a check) for people; an unknown one stays as it is."""
    if spoken() is not Language.CHINESE:
        return word
    from spa_knock.client.words_zh import TERMS

    return TERMS.get(word, word)
