"""How characters look, from and to SGR."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.screen_pen import DEFAULT_PEN, Pen


@pytest.mark.parametrize(
    ("parameters", "pen"),
    [
        ("", DEFAULT_PEN),
        ("1;31", Pen(frozenset({"1"}), front="31")),
        ("38;5;196;4", Pen(frozenset({"4"}), front="38;5;196")),
        ("48;2;1;2;300", Pen(back="48;2;1;2;255")),
        ("38:2::1:2:3", Pen(front="38;2;1;2;3")),
        ("38:5:7", Pen(front="38;5;7")),
        ("4:3", DEFAULT_PEN),  # the player knows no kinds of underline
        ("1;2", Pen(frozenset({"2"}))),
        ("1;21", DEFAULT_PEN),
        ("8;53", DEFAULT_PEN),
        ("1;22;7", Pen(frozenset({"7"}))),
        ("31;39;44;49", DEFAULT_PEN),
        ("38;9;1", Pen(frozenset({"9", "1"}))),  # no kind of colour: what follows it stands for itself
        ("99999;x", DEFAULT_PEN),
    ],
)
def test_parameters_become_a_pen(parameters: str, pen: Pen) -> None:
    assert DEFAULT_PEN.changed(parameters) == pen


@given(st.lists(st.sampled_from(["0", "1", "4", "7", "22", "31", "97", "48;5;3", "38;2;1;2;3", "39", "49"])))
def test_a_pens_own_text_sets_it_whatever_was_before(parts: list[str]) -> None:
    pen = DEFAULT_PEN.changed(";".join(parts))
    assert Pen(frozenset({"5"}), "31", "41").changed(pen.text()[2:-1]) == pen
