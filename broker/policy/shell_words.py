"""Pure: reads a line of POSIX shell (with the usual bash additions) into the simple commands that it would start.

Quotes, escapes, `$'…'`, comma braces and variables set on the same line are expanded; every command of a list,
pipeline, subshell and substitution is found. What depends on the target's state (other variables, functions, aliases,
history) is not known here: such a part of a word reads as `UNKNOWN`, and the judge decides what that means.
"""

import re
from dataclasses import dataclass
from typing import Final

from broker.policy.word_expansion import (
    EXPANDED,
    PLAIN,
    QUOTED,
    UNKNOWN,
    Char,
    IncompleteText,
    UnreadableText,
    Word,
    ansi_c,
    expand_braces,
    split_words,
)

MAX_TEXT_CHARS: Final = 65_536
_MAX_DEPTH: Final = 24
_MAX_COMMANDS: Final = 2_000

_RESERVED: Final = frozenset(
    ("if", "then", "else", "elif", "fi", "while", "until", "do", "done", "{", "}", "!", "time", "in", "esac", "coproc")
)
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REDIRECTION: Final = re.compile(r"&>>|&>|<<<|<<-|<<|<>|<&|>>|>&|>\||[<>]")
_CONTROL: Final = re.compile(r"&&|\|\||\|&|;;&|;;|;&|[;&|()]")


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A program with its arguments; `piped` = reads the command before it; `here_text` = its here-documents."""

    words: tuple[Word, ...]
    piped: bool = False
    here_text: str = ""


def read_commands(text: str) -> list[SimpleCommand]:
    """Every simple command in `text`, substitutions included, in an order near to the one they run in.

    Raises IncompleteText when a shell would ask for another line, UnreadableText when the text cannot be read.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise UnreadableText("longer than the limit")
    found: list[SimpleCommand] = []
    _Reader(text, found, {"IFS": " \t\n"}, 0).commands(closing=False)
    return found


class _Reader:
    def __init__(self, text: str, found: list[SimpleCommand], variables: dict[str, str], depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise UnreadableText("nested too deeply")
        self.text, self.at, self.found, self.variables, self.depth = text, 0, found, variables, depth

    def commands(self, *, closing: bool) -> None:
        """Reads to the end of the text, or to the `)` that closes this substitution."""
        words: list[Word] = []
        bodies: list[str] = []
        piped, parens = False, 0

        def finish(*, pipe: bool = False) -> None:
            nonlocal words, bodies, piped
            self._add(words, bodies, piped=piped)
            words, bodies, piped = [], [], pipe

        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "\n":
                self.at += 1
                finish()
            elif char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text.startswith(("<(", ">("), self.at):
                words += self._word()
            elif redirection := _REDIRECTION.match(self.text, self.at):
                self._redirect(redirection.group(), bodies)
            elif control := _CONTROL.match(self.text, self.at):
                self.at = control.end()
                mark = control.group()
                finish(pipe=mark in ("|", "|&"))
                if mark == "(":
                    parens += 1
                elif mark == ")":
                    if parens == 0 and closing:
                        return
                    parens = max(0, parens - 1)
            else:
                start = self.at
                more = self._word()
                raw = self.text[start : self.at]
                if raw.isdigit() and self.text[self.at : self.at + 1] in ("<", ">"):
                    continue
                if not words and raw in _RESERVED:
                    continue
                if not words and (assigned := _ASSIGNMENT.match(raw)) and len(more) <= 1:
                    value = more[0].text[assigned.end() :] if more else ""
                    self.variables[assigned.group(1)] = value
                    continue
                words += more
        if closing:
            raise IncompleteText("a substitution is not closed")
        finish()

    def _add(self, words: list[Word], bodies: list[str], *, piped: bool) -> None:
        if not words:
            return
        if words[0].text == "for" and len(words) > 3 and words[2].text == "in":
            self.variables[words[1].text] = " ".join(word.text for word in words[3:])
            return
        if words[0].text in ("function", "case", "select"):
            return
        if len(self.found) >= _MAX_COMMANDS:
            raise UnreadableText("too many commands")
        self.found.append(SimpleCommand(tuple(words), piped, "\n".join(bodies)))

    def _redirect(self, mark: str, bodies: list[str]) -> None:
        self.at += len(mark)
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        start = self.at
        target = self._word()
        if mark == "<<<":
            bodies.append(" ".join(word.text for word in target))
        elif mark in ("<<", "<<-"):
            if not target:
                raise UnreadableText("a here-document without a delimiter")
            literal = any(quote in self.text[start : self.at] for quote in "'\"\\")
            body = self._here_document(target[0].text, tabs=mark == "<<-")
            bodies.append(body)
            if not literal:
                inner = _Reader(body.replace('"', "'") + '"', self.found, dict(self.variables), self.depth + 1)
                inner._double_quoted([])

    def _here_document(self, delimiter: str, *, tabs: bool) -> str:
        """Takes the body out of the text at once: it starts on the line after this one (behind earlier bodies)."""
        line_end = self.text.find("\n", self.at)
        if line_end < 0:
            raise IncompleteText("a here-document is not closed")
        body: list[str] = []
        at = line_end + 1
        while at <= len(self.text):
            end = self.text.find("\n", at)
            line = self.text[at : end if end >= 0 else len(self.text)]
            shown = line.lstrip("\t") if tabs else line
            if shown == delimiter:
                rest = self.text[end:] if end >= 0 else ""
                self.text = self.text[:line_end] + rest
                return "\n".join(body)
            body.append(shown)
            if end < 0:
                break
            at = end + 1
        raise IncompleteText("a here-document is not closed")

    def _word(self) -> list[Word]:
        chars: list[Char] = []
        quoted = False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n;&|()":
                break
            if char in "<>":
                if not self.text.startswith("(", self.at + 1):
                    break
                self.at += 2
                self._nested()
                chars.append((UNKNOWN, QUOTED))
            elif char == "\\":
                if self.at + 1 >= len(self.text):
                    raise IncompleteText("ends with a backslash")
                if self.text[self.at + 1] != "\n":
                    chars.append((self.text[self.at + 1], QUOTED))
                self.at += 2
            elif char == "'":
                chars += [(c, QUOTED) for c in self._until_quote()]
                quoted = True
            elif char == '"':
                self.at += 1
                self._double_quoted(chars)
                quoted = True
            elif char in "$`":
                quoted |= self._expansion(chars, EXPANDED)
            else:
                chars.append((char, PLAIN))
                self.at += 1
        return [word for braces in expand_braces(chars) for word in split_words(braces, keep_empty=quoted)]

    def _until_quote(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise IncompleteText("a quote is not closed")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        return inside

    def _double_quoted(self, chars: list[Char]) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                if self.text[self.at + 1] != "\n":
                    chars.append((self.text[self.at + 1], QUOTED))
                self.at += 2
            elif char in "$`":
                self._expansion(chars, QUOTED)
            else:
                chars.append((char, QUOTED))
                self.at += 1
        raise IncompleteText("a quote is not closed")

    def _expansion(self, chars: list[Char], kind: int) -> bool:
        """Reads what starts with `$` or a backquote; says whether it was a quote (`$'…'`, `$"…"`)."""
        text = self.text
        if text[self.at] == "`":
            self._backquoted()
            chars.append((UNKNOWN, kind))
            return False
        following = text[self.at + 1 : self.at + 2]
        if following == "'" and kind == EXPANDED:
            self.at += 1
            chars += [(c, QUOTED) for c in self._ansi_quoted()]
            return True
        if following == '"' and kind == EXPANDED:
            self.at += 2
            self._double_quoted(chars)
            return True
        if following == "(":
            if not self._arithmetic():
                self.at += 2
                self._nested()
            chars.append((UNKNOWN, kind))
        elif following == "{":
            self._parameter(chars, kind)
        elif name := _NAME.match(text, self.at + 1):
            self.at = name.end()
            chars += self._value(name.group(), kind)
        elif following and following in "@*#?-$!0123456789_":
            self.at += 2
            chars.append((UNKNOWN, kind))
        else:
            chars.append(("$", QUOTED))
            self.at += 1
        return False

    def _value(self, name: str, kind: int) -> list[Char]:
        value = self.variables.get(name)
        return [(UNKNOWN, kind)] if value is None else [(c, kind) for c in value]

    def _parameter(self, chars: list[Char], kind: int) -> None:
        self.at += 2
        if (name := _NAME.match(self.text, self.at)) and self.text.startswith("}", name.end()):
            self.at = name.end() + 1
            chars += self._value(name.group(), kind)
            return
        depth = 1
        inside: list[Char] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                self.at += 2
            elif char in "$`":
                self._expansion(inside, QUOTED)
            else:
                depth += (char == "{") - (char == "}")
                self.at += 1
                if depth == 0:
                    chars.append((UNKNOWN, kind))
                    return
        raise IncompleteText("a parameter expansion is not closed")

    def _arithmetic(self) -> bool:
        """Reads `$((…))`, of which only the nested substitutions matter; False = it is `$( (…) … )`, a substitution."""
        if not self.text.startswith("$((", self.at):
            return False
        start, mark, depth = self.at, len(self.found), 2
        self.at += 3
        while self.at < len(self.text) and depth:
            char = self.text[self.at]
            if char in "$`":
                self._expansion([], QUOTED)
            else:
                depth += (char == "(") - (char == ")")
                self.at += 1
        if depth:
            raise IncompleteText("an arithmetic expansion is not closed")
        if self.text[self.at - 2 : self.at] == "))":
            return True
        self.at = start
        del self.found[mark:]
        return False

    def _nested(self) -> None:
        inner = _Reader(self.text, self.found, dict(self.variables), self.depth + 1)
        inner.at = self.at
        inner.commands(closing=True)
        self.text, self.at = inner.text, inner.at

    def _backquoted(self) -> None:
        inside: list[str] = []
        at = self.at + 1
        while at < len(self.text):
            char = self.text[at]
            if char == "`":
                self.at = at + 1
                inner = _Reader("".join(inside), self.found, dict(self.variables), self.depth + 1)
                inner.commands(closing=False)
                return
            if char == "\\" and self.text[at + 1 : at + 2] in ("`", "\\", "$"):
                at += 1
            inside.append(self.text[at])
            at += 1
        raise IncompleteText("a backquote is not closed")

    def _ansi_quoted(self) -> str:
        value, self.at = ansi_c(self.text, self.at + 1)
        return value
