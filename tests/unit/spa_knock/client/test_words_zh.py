"""Both languages of the client are complete: each sentence of the code has its Chinese, with the same values."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from spa_knock.client.cli import app
from spa_knock.client.doctor import State
from spa_knock.client.receipt_commands import receipts_app
from spa_knock.client.silence import Likelihood
from spa_knock.client.words_zh import SENTENCES, TERMS
from spa_knock.wire.receipt import REFUSALS

FOLDER = Path(__file__).parents[4] / "spa_knock" / "client"
MODULES = {path.name: ast.parse(path.read_text()) for path in sorted(FOLDER.glob("*.py"))}
SAID_FROM = {
    "ClientError": 1,
    "Finding": 2,
    "Cause": 2,
    "InviteError": 0,
    "CertificateError": 0,
    "FieldError": 0,
    "OtherRecording": 0,
    "say": 0,
}
"""From which argument on these calls hold words for people."""


def named(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def calls() -> Iterator[tuple[str, ast.Call]]:
    for name, module in MODULES.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                yield name, node


def commands() -> set[str]:
    registered = (*app.registered_commands, *receipts_app.registered_commands)
    return {command.callback.__doc__ or "" for command in registered if command.callback is not None}


def sentences() -> dict[str, str]:
    """Each sentence that is asked for, and where; those of the commands' help besides."""
    found = dict.fromkeys(commands(), "cli.py")
    for name, call in calls():
        if named(call) == "tr" and isinstance(call.args[0], ast.Constant):
            found[str(call.args[0].value)] = name
    return found


def values(sentence: str) -> set[tuple[str, str | None, str | None]]:
    return {(name, spec, how) for _, name, spec, how in string.Formatter().parse(sentence) if name is not None}


def test_every_sentence_has_its_chinese_and_nothing_else_is_kept() -> None:
    assert {text: where for text, where in sentences().items() if text not in SENTENCES} == {}
    assert set(SENTENCES) - set(sentences()) == set()


@pytest.mark.parametrize("english", sorted(SENTENCES), ids=range(len(SENTENCES)))
def test_a_translation_holds_the_same_values_and_is_one(english: str) -> None:
    chinese = SENTENCES[english]
    assert values(chinese) == values(english)
    assert chinese.strip()
    assert chinese != english
    assert not chinese.isascii()


def test_sentences_are_asked_for_as_literals_so_that_none_can_be_missed() -> None:
    odd = [
        (name, call.lineno)
        for name, call in calls()
        if named(call) == "tr" and not isinstance(call.args[0], ast.Constant)
    ]
    assert [name for name, _ in odd] == ["cli.py"]  # the help of the commands, which are taken from their docstrings


def test_a_call_hands_over_exactly_the_values_of_its_sentence() -> None:
    for name, call in calls():
        if named(call) == "tr" and isinstance(call.args[0], ast.Constant):
            wanted = {value for value, _, _ in values(str(call.args[0].value))}
            assert {keyword.arg for keyword in call.keywords} == wanted, (name, call.lineno)


def bare_words(node: ast.AST) -> Iterator[str]:
    """Literal words outside of a translated sentence."""
    if isinstance(node, ast.Call) and named(node) in ("tr", "term"):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(one.isalpha() for one in node.value):
        yield node.value
    for child in ast.iter_child_nodes(node):
        is_for_people = not isinstance(node, ast.Call | ast.Subscript) and not isinstance(child, ast.Compare)
        if is_for_people and child is not getattr(node, "format_spec", None):
            yield from bare_words(child)


def test_no_error_check_or_line_is_said_past_the_translation() -> None:
    found = [
        (name, call.lineno, words)
        for name, call in calls()
        if named(call) in SAID_FROM
        for argument in call.args[SAID_FROM[named(call)] :]
        for words in bare_words(argument)
    ]
    assert found == []


def test_closed_vocabularies_are_complete() -> None:
    checks = {
        str(call.args[0].value)
        for _, call in calls()
        if named(call) in ("Finding", "_failure") and isinstance(call.args[0], ast.Constant)
    }
    words = checks | {one.value for one in State} | {one.value for one in Likelihood}
    assert (words | REFUSALS) - set(TERMS) == set()
