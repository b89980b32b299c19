"""One word: its braces, the words that an expansion splits it into, and `$'…'`."""

import pytest

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


def chars(text: str, kind: int = PLAIN) -> list[Char]:
    return [(char, kind) for char in text]


def braces(text: str, kind: int = PLAIN) -> list[str]:
    return ["".join(char for char, _ in word) for word in expand_braces(chars(text, kind))]


def test_unquoted_braces_with_a_comma_are_alternatives_in_order() -> None:
    assert braces("a{b,c{d,e}}f{,g}") == ["abf", "abfg", "acdf", "acdfg", "acef", "acefg"]
    assert braces("{b}{1..3}") == ["{b}{1..3}"]
    assert braces("{b,c}", QUOTED) == ["{b,c}"]


def test_alternatives_are_bounded() -> None:
    with pytest.raises(UnreadableText):
        braces("{a,b}" * 20)


def test_only_white_space_of_an_unquoted_expansion_splits() -> None:
    assert split_words([*chars("a"), *chars(" b", EXPANDED)], keep_empty=False) == [Word("a"), Word("b")]
    assert split_words(chars("a b", QUOTED), keep_empty=True) == [Word("a b")]
    assert split_words([], keep_empty=True) == [Word("")]
    assert split_words([], keep_empty=False) == []


def test_a_pattern_counts_only_unquoted() -> None:
    assert split_words(chars("a*"), keep_empty=False) == [Word("a*", glob=True)]
    assert split_words(chars("a*", QUOTED), keep_empty=False) == [Word("a*")]


@pytest.mark.parametrize(
    ("inside", "value"),
    [
        (r"a\tb", "a\tb"),
        (r"\x41\101\u00e9", "AAé"),
        (r"\'", "'"),
        (r"\q", r"\q"),
        (r"\UFFFFFFFF", UNKNOWN),
    ],
)
def test_codes_of_an_ansi_c_quote_are_read(inside: str, value: str) -> None:
    assert ansi_c(f"$'{inside}'z", 2) == (value, len(inside) + 3)


def test_an_ansi_c_quote_needs_its_end() -> None:
    with pytest.raises(IncompleteText):
        ansi_c("$'a", 2)
