"""Pure: what may be a command on a line as the screen shows it, with its prompt and whatever else stands there."""

import re
from typing import Final

_PROMPT_END: Final = re.compile(r"[$#%>\]❯➜:]\s+")
_SEARCH: Final = re.compile(r"(?:reverse-i-search|i-search|bck-i-search|fwd-i-search)[)_`'].*?['_:] ?:? ?")
_MOST_MARKS: Final = 16


def readings(line: str) -> list[str]:
    """What may be a command on a shown line: all of it, and what follows each mark that may end a prompt."""
    found = [line]
    found += [line[match.end() :] for match in _PROMPT_END.finditer(line)][:_MOST_MARKS]
    if match := _SEARCH.search(line):
        found.append(line[match.end() :])
    return found


def readings_from_before(line: str, typed: str) -> list[str]:
    """The shown line that ends with `typed`, read from everywhere in front of it: that is mostly a prompt, but a shell
    may hold text there which was not typed since the last Enter. Marks inside the typed text are none of a prompt.
    """
    before = line.removesuffix(typed.rstrip())
    return [rest + typed for rest in readings(before) if rest.strip()]
