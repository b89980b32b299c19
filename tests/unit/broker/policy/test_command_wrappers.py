"""Wrappers: which programs a simple command amounts to."""

import pytest

from broker.policy.command_wrappers import inner_texts, shell_without_script, sort_arguments, unwrap
from broker.policy.word_expansion import Word


def words(text: str) -> list[Word]:
    return [Word(part) for part in text.split()]


@pytest.mark.parametrize(
    ("text", "innermost"),
    [
        ("sudo -u root -- a b", "a b"),
        ("env -i A=b nohup nice -n 5 a", "a"),
        ("timeout -s KILL 10 a b", "a b"),
        ("flock /run/lock a", "a"),
        ("find /x -name y -exec a {} ;", "a /x"),
        ("find /x /y -delete", "rm -r /x /y"),
        ("a sudo b", "a sudo b"),
    ],
)
def test_a_wrapper_is_looked_through(text: str, innermost: str) -> None:
    *_, (argv, from_input) = unwrap(words(text))
    assert " ".join(word.text for word in argv) == innermost
    assert not from_input


def test_xargs_takes_arguments_from_its_input() -> None:
    assert [from_input for _, from_input in unwrap(words("xargs -n 1 a b"))] == [False, True]


def test_options_may_follow_operands_until_two_dashes() -> None:
    options, operands = sort_arguments(words("a -r b --force -- -c"))
    assert options == ["-r", "--force"]
    assert [word.text for word in operands] == ["a", "b", "-c"]


@pytest.mark.parametrize(
    ("text", "inner"),
    [("sh -c a", ["a"]), ("su - x -lc a", ["a"]), ("eval a b", ["a b"]), ("trap a EXIT", ["a"]), ("env -S a", ["a"])],
)
def test_text_that_a_program_reads_as_commands_is_found(text: str, inner: list[str]) -> None:
    assert list(inner_texts(words(text))) == inner


@pytest.mark.parametrize(("text", "reads"), [("bash", True), ("sh -s", True), ("sh x.sh", False), ("sudo -i", True)])
def test_a_shell_without_a_script_reads_its_input(text: str, reads: bool) -> None:
    assert shell_without_script(words(text)) is reads
