"""Pure: what a simple command amounts to: the programs that wrappers such as `sudo`, `xargs` and `find -exec` run.

`command_rules` applies rules to what is found here.
"""

import re
from collections.abc import Iterator
from typing import Final

from broker.policy.word_expansion import Word

MAX_DEPTH: Final = 8
_SHELLS: Final = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "rbash", "mksh"))

# Programs that run another one: options that take a value, and how many operands stand before the command.
_WRAPPERS: Final[dict[str, tuple[str, int]]] = {
    "sudo": ("-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir --chroot", 0),
    "doas": ("-u -C", 0),
    "env": ("-u -C --unset --chdir", 0),
    "nohup": ("", 0),
    "nice": ("-n --adjustment", 0),
    "ionice": ("-c -n -p --class --classdata", 0),
    "timeout": ("-s -k --signal --kill-after", 1),
    "stdbuf": ("-i -o -e", 0),
    "flock": ("-w -E --wait --timeout", 1),
    "chroot": ("", 1),
    "setsid": ("", 0),
    "command": ("", 0),
    "builtin": ("", 0),
    "exec": ("-a", 0),
    "time": ("-f -o", 0),
    "busybox": ("", 0),
    "watch": ("-n --interval", 0),
    "xargs": ("-I -n -L -P -d -a -s -E --replace --max-args --max-procs --delimiter --arg-file", 0),
}


def base_name(word: Word) -> str:
    return word.text.rsplit("/", 1)[-1]


def sort_arguments(words: list[Word]) -> tuple[list[str], list[Word]]:
    """Options and operands as GNU tools sort them: options may follow operands, `--` ends them."""
    options: list[str] = []
    for at, word in enumerate(words):
        if word.text == "--":
            rest = words[at + 1 :]
            return options, [w for w in words[:at] if not is_option(w)] + rest
        if is_option(word):
            options.append(word.text)
    return options, [word for word in words if not is_option(word)]


def is_option(word: Word) -> bool:
    return word.text.startswith("-") and word.text != "-"


def unwrap(words: list[Word], depth: int = 0) -> Iterator[tuple[list[Word], bool]]:
    """The commands that a simple command amounts to, each with whether its arguments also come from its input."""
    if not words or depth > MAX_DEPTH:
        return
    program = base_name(words[0])
    yield words, False
    if program in _WRAPPERS:
        takes_value, operands = _WRAPPERS[program]
        at = 1
        while at < len(words) and (is_option(words[at]) or re.match(r"[A-Za-z_]\w*=", words[at].text)):
            option = words[at].text
            at += 2 if option in takes_value.split() else 1
            if option == "--":
                break
        for argv, from_stdin in unwrap(words[at + operands :], depth + 1):
            yield argv, from_stdin or program == "xargs"
    elif program == "find":
        yield from _find_actions(words, depth)


def _find_actions(words: list[Word], depth: int) -> Iterator[tuple[list[Word], bool]]:
    at = 1
    while at < len(words) and words[at].text in ("-H", "-L", "-P"):
        at += 1
    roots: list[Word] = []
    while at < len(words) and not words[at].text.startswith(("-", "(", "!")):
        roots.append(words[at])
        at += 1
    while at < len(words):
        action = words[at].text
        at += 1
        if action == "-delete":
            yield [Word("rm"), Word("-r"), *roots], False
        elif action in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((i for i in range(at, len(words)) if words[i].text in (";", "+")), len(words))
            argv = [found for word in words[at:end] for found in (roots if word.text == "{}" else [word])]
            yield from unwrap(argv, depth + 1)
            at = end


def inner_texts(argv: list[Word]) -> Iterator[str]:
    """Arguments that a program reads as shell text."""
    program = base_name(argv[0]) if argv else ""
    if program in _SHELLS or program == "su":
        for at, word in enumerate(argv[1:], 1):
            if word.text.startswith("-") and not word.text.startswith("--") and "c" in word.text[1:]:
                following = [w for w in argv[at + 1 :] if not is_option(w)]
                if following:
                    yield following[0].text
                return
    elif program == "eval":
        yield " ".join(word.text for word in argv[1:])
    elif program == "trap":
        yield from (word.text for word in argv[1:2])
    elif program == "env":
        for at, word in enumerate(argv[1:], 1):
            if word.text in ("-S", "--split-string") and at + 1 < len(argv):
                yield " ".join(w.text for w in argv[at + 1 :])


def shell_without_script(argv: list[Word]) -> bool:
    program = base_name(argv[0]) if argv else ""
    if program in ("sudo", "doas", "su"):
        login = any(word.text in ("-i", "-s", "--login", "--shell", "-") for word in argv[1:])
        return (login or program == "su") and not any("c" in word.text for word in argv[1:] if is_option(word))
    if program not in _SHELLS:
        return False
    clusters = [word.text for word in argv[1:] if is_option(word) and not word.text.startswith("--")]
    operands = [word for word in argv[1:] if not is_option(word)]
    return not any("c" in c for c in clusters) and (not operands or any("s" in c for c in clusters))
