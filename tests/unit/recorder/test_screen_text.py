"""A page as output again: colours, places, long lines, and the cursor that waits behind the last column."""

from recorder.screen_page import Cursor, Row, Saved
from recorder.screen_pen import DEFAULT_PEN
from recorder.screen_text import charsets_text, cursor_on, painted, saved_text, tabs_text

RED = DEFAULT_PEN.changed("31")


def row(text: str, *, wrapped: bool = False) -> Row:
    return Row([(char, DEFAULT_PEN) for char in text], wrapped=wrapped)


def test_rows_are_painted_without_the_blanks_behind_and_not_the_empty_ones_at_the_end() -> None:
    assert painted([row("ab  "), row("    "), Row([("c", RED), *row("   ")]), row("    ")]) == (
        f"\x1b[mab\r\n\r\n{RED.text()}c\x1b[m"
    )


def test_a_row_whose_line_goes_on_is_printed_to_its_end_and_the_next_one_begins_without_colour() -> None:
    assert painted([Row([("a", RED), (" ", RED)], wrapped=True), row("b ")]) == f"\x1b[m{RED.text()}a \x1b[m \rb\x1b[m"
    assert painted([row("ab", wrapped=True), row("  "), row("  ")]) == "\x1b[mab \r\x1b[m"


def test_more_rows_than_the_page_has_are_painted_to_the_last_one() -> None:
    assert painted([row("a"), row(" ")], is_whole=True) == "\x1b[ma\r\n\x1b[m"


def test_a_cursor_is_placed_with_its_pen() -> None:
    assert cursor_on(row("abcd"), Cursor(row=1, column=2, pen=RED)) == f"\x1b[2;3H{RED.text()}"


def test_a_cursor_that_waits_behind_the_last_column_prints_its_character_once_more() -> None:
    placed = cursor_on(row("abcd"), Cursor(column=4))
    assert placed.startswith("\x1b[1;4H")
    assert "d" in placed.removeprefix("\x1b[1;4H")


def test_origin_mode_counts_rows_from_the_margin() -> None:
    assert cursor_on(row("ab"), Cursor(row=3, origin=True), 2).startswith("\x1b[2;1H")


def test_what_was_saved_is_saved_again_with_its_modes() -> None:
    assert saved_text(Saved()) == ""
    found = saved_text(Saved(1, 2, RED, origin=True, autowrap=False))
    assert found == f"\x1b[?7l\x1b[?6h\x1b[2;3H{RED.text()}\x1b7\x1b[?7h\x1b[?6l\x1b[m"


def test_tab_stops_and_character_sets_are_set_again() -> None:
    assert tabs_text({9, 3}) == "\x1b[3g\x1b[4G\x1bH\x1b[10G\x1bH"
    assert charsets_text(["0", "B"], 1) == "\x1b(0\x1b)B\x0e"
    assert charsets_text(["B", "B"], 0) == "\x1b(B\x1b)B\x0f"
