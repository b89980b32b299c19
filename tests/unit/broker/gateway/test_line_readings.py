"""Readings of a shown line."""

import pytest

from broker.gateway.line_readings import readings, readings_from_before


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("plc# id", "id"),
        ("me@plc:/srv$ id", "id"),
        ("(reverse-i-search)`rm': rm -rf x", "rm -rf x"),
        ("a: b: id", "id"),
        ("id", "id"),
    ],
)
def test_a_command_is_read_behind_each_mark_that_may_end_a_prompt(line: str, command: str) -> None:
    assert command in readings(line)
    assert line in readings(line)


def test_many_marks_are_bounded() -> None:
    assert len(readings("$ " * 1_000)) < 20


def test_what_stands_in_front_of_typed_text_is_read_with_it() -> None:
    assert "rm -rf data" in readings_from_before("plc# rm -rf data", "ta")
    assert readings_from_before("plc# rm -rf data", "rm -rf data ") == ["plc# rm -rf data "]


def test_marks_inside_the_typed_text_end_no_prompt() -> None:
    assert "rm x'" not in readings_from_before("plc# git commit -m 'docs: rm x'", "git commit -m 'docs: rm x'")
