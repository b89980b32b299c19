"""The screen: what stands on it, and that its keyframe brings it back."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from recorder.screen import Screen
from recorder.screen_page import Page, Row
from tests.examples import examples


def after(text: str, columns: int = 10, rows: int = 4) -> Screen:
    screen = Screen(columns, rows)
    screen.feed(text)
    return screen


def state(screen: Screen) -> tuple[object, ...]:
    """Everything that decides how it goes on."""
    return (
        (standing(screen._page), screen._covered and standing(screen._covered), screen._saved, screen._other_saved),
        (screen.cursor, screen._top, screen._bottom, screen._tabs, screen._charsets, screen._shift, screen._modes),
        (screen.shows_cursor, screen._autowrap, screen._inserts, screen._keypad, screen._line_feed_returns),
    )


def standing(page: Page) -> list[tuple[Row, bool]]:
    return [(row, row.wrapped) for row in page.rows]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("abc\r\ndef", ["abc", "def"]),
        ("0123456789X", ["0123456789", "X"]),
        ("0123456789\rX", ["X123456789"]),  # the cursor that waits behind the last column has not wrapped
        ("a\tb", ["a       b"]),
        ("abc\b\bX", ["aXc"]),
        ("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]),
        ("\x1b[2;3Hhi", ["", "  hi"]),
        ("abcdef\x1b[3D\x1b[K", ["abc"]),
        ("abcdef\x1b[3D\x1b[1K", ["    ef"]),
        ("abc\x1b[2J\x1b[Hx", ["x"]),
        ("abcd\x1b[3D\x1b[2P", ["ad"]),
        ("abcd\x1b[3D\x1b[2@", ["a  bcd"]),
        ("abcd\x1b[4D\x1b[2X", ["  cd"]),
        ("a\x1b[3b", ["aaaa"]),
        ("1\r\n2\r\n3\x1b[2;1H\x1b[L", ["1", "", "2", "3"]),
        ("1\r\n2\r\n3\x1b[1;1H\x1b[M", ["2", "3"]),
        ("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\n\nX", ["1", "", "X", "4"]),
        ("1\x1bMtop", [" top", "1"]),
        ("\x1b(0lqk\x1b(Bx", ["┌─┐x"]),
        ("你好\r\n中", ["你好", "中"]),
        ("12345678你", ["12345678你"]),
        ("123456789你", ["123456789", "你"]),  # half of it does not fit
        ("你\b\bx", ["x"]),
        ("你\x1b[2Gx", [" x"]),
        ("e\u0301!", ["e\u0301!"]),
        ("one\x1b[?1049htwo", ["   two"]),
        ("one\x1b[?1049htwo\x1b[?1049l!", ["one!"]),
        ("\x1b[?7l0123456789XY", ["012345678Y"]),
        ("\x1b]0;title\x07a\x1bPq data\x1b\\\x1b[>c\x1b[6nb", ["ab"]),
        ("ab\x1b[1;1H\x1b[4hX", ["Xab"]),
        ("a\x1b7\x1b[3;3Hb\x1b8c", ["ac", "", "  b"]),
        ("junk\x1bcnew", ["new"]),
    ],
)
def test_output_stands_where_a_terminal_puts_it(text: str, lines: list[str]) -> None:
    found = after(text).lines
    assert found == lines + [""] * (4 - len(lines))


def test_a_sequence_may_come_in_pieces() -> None:
    screen = Screen(10, 4)
    for char in "ab\x1b[1;1Hc\x1b]0;x\x1b\\d":
        screen.feed(char)
    assert screen.lines[0] == "cd"
    screen.feed("\x1b[3")
    assert not screen.is_between
    screen.feed("1m")
    assert screen.is_between


def test_a_smaller_window_keeps_the_cursors_line_and_a_larger_one_what_stands() -> None:
    screen = after("1\r\n2\r\n3\r\n4")
    screen.resize(3, 2)
    assert screen.lines == ["3", "4"]
    screen.resize(10, 4)
    screen.feed("!")
    assert screen.lines == ["1", "2", "3", "4!"]
    wide = after("ab你")
    wide.resize(3, 4)
    assert wide.lines == ["你", "", "", ""]  # the player keeps as many rows below the line as there were
    wide.resize(10, 4)
    assert wide.lines == ["ab 你", "", "", ""]  # and the blank that stood where half a character did


def test_an_endless_escape_hides_nothing_for_ever() -> None:
    screen = after("\x1b]" + "x" * 70_000)
    assert screen.lines[0].strip()


PIECES = st.sampled_from(
    [
        *("a", "b", " ", "\r", "\n", "\t", "\b", "你好", "e\u0301", "0123456789ab", "\x0e", "\x0f"),
        *("\x1b[H", "\x1b[2;5H", "\x1b[K", "\x1b[1J", "\x1b[J", "\x1b[2L", "\x1b[3P", "\x1b[2@", "\x1b[3X"),
        *("\x1b[1;3r", "\x1b[r", "\x1b[?6h", "\x1b[?6l", "\x1b[?1049h", "\x1b[?1049l", "\x1b[?47h", "\x1b[2S"),
        *("\x1b[31;1m", "\x1b[44m", "\x1b[m", "\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1b(0", "\x1b(B", "\x1b)0"),
        *(
            "\x1bH",
            "\x1b[g",
            "\x1b[Z",
            "\x1b[20h",
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[?25l",
            "\x1b[?2004h",
            "\x1b[4h",
            "\x1b[4l",
            "\x1b=",
            "\x1b[2T",
        ),
    ]
)


@examples(300)
@example(["\t", "0123456789ab", "\x1b7"], [])  # the saved cursor waits behind the last column
@example(["12345678你", "\x1b[?1049h", "\x1b[H"], ["\x1b[?1049l", "a"])
@example(["你好", "\x1b[2;4r", "\x1b[?47h", "中"], ["\x1b[?47l", "文"])
@example(["你好", "\b", "\x1b[4h", "a"], [])  # inserted between the halves of a wide character
@example(["\x1b(0", "\x1b[?1049h", "\x0e", "a"], [])
@example(["\x1b[?6h", "\x1b[?1049h", "\x1b[?6l", "\x1b7"], [])
@given(st.lists(PIECES, max_size=40), st.lists(PIECES, max_size=12))
def test_a_keyframe_brings_back_the_screen_and_all_that_follows(before: list[str], later: list[str]) -> None:
    first = after("".join(before))
    # Where a cursor stands outside its margins in origin mode, there is no sequence that brings it there.
    assume(not first.cursor.origin or first._top <= first.cursor.row <= first._bottom)
    second = after(first.keyframe(with_above=True))
    assert state(after(first.keyframe())) == state(second) == state(first)
    for screen in (first, second):
        screen.feed("".join(later))
    assert state(second) == state(first)
    for screen in (first, second):
        screen.resize(7, 6)
    assert state(second) == state(first)


@given(
    st.text(alphabet=st.characters(max_codepoint=0x9FFF, exclude_categories=["Cs"]), max_size=200), st.integers(0, 200)
)
def test_any_text_cut_anywhere_ends_on_the_same_screen(text: str, cut: int) -> None:
    whole, pieces = after(text), Screen(10, 4)
    pieces.feed(text[:cut])
    pieces.feed(text[cut:])
    assert state(whole) == state(pieces)
    assert all(len(row) == 10 for row in whole._page.rows)
