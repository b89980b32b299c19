"""The shell reader: words, expansions and where commands hide."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy.shell_words import read_commands
from broker.policy.word_expansion import UNKNOWN, IncompleteText, UnreadableText


def argvs(text: str) -> list[list[str]]:
    return [[word.text for word in command.words] for command in read_commands(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a b  c", [["a", "b", "c"]]),
        ("a 'b c' \"d e\"", [["a", "b c", "d e"]]),
        ("a '' \"\"", [["a", "", ""]]),
        ("a\\ b", [["a b"]]),
        ('a "\\$x \\n"', [["a", "$x \\n"]]),
        ("a;b&&c||d|e&f\ng", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"]]),
        ("a >x 2>&1 <y b", [["a", "b"]]),
        ("a # b", [["a"]]),
        ("a b#c", [["a", "b#c"]]),
        ("x=1 a $x", [["a", "1"]]),
        ("x='b c'; a $x \"$x\"", [["a", "b", "c", "b c"]]),
        ("a ${y}", [["a", UNKNOWN]]),
        ("a ${y:-$(b)}", [["b"], ["a", UNKNOWN]]),
        ("a{b,c{d,e}}f", [["abf", "acdf", "acef"]]),
        ("a {b} {1..3}", [["a", "{b}", "{1..3}"]]),
        ("$'a\\tb\\x41\\101\\u00e9'", [["a\tbAAé"]]),
        ("while a; do b; done", [["a"], ["b"]]),
        ("a $", [["a", "$"]]),
    ],
)
def test_words_are_read_as_a_shell_reads_them(text: str, expected: list[list[str]]) -> None:
    assert argvs(text) == expected


def test_a_pipe_and_a_here_string_are_told() -> None:
    first, second = read_commands("a | b <<< 'c d'")
    assert not first.piped
    assert second.piped
    assert second.here_text == "c d"


@pytest.mark.parametrize("text", ["a '", 'a "', "a \\", "a $(b", "a `b", "a ${b", "cat <<E\nx", "a $((1", "a $'b"])
def test_an_unfinished_text_is_told_apart(text: str) -> None:
    with pytest.raises(IncompleteText):
        read_commands(text)


@pytest.mark.parametrize("text", ["a" * 70_000, "$(" * 50, "{a,b}" * 30, "a;" * 3_000, "a << ;"])
def test_sizes_are_bounded(text: str) -> None:
    with pytest.raises(UnreadableText):
        read_commands(text)


@given(st.text(alphabet="ab '\"\\$(){},;|&<>`*\n#=\0\t", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UnreadableText):
        read_commands(text)
