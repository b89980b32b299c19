"""The screen line: what stands under the cursor after the usual output of shells."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.screen_line import ScreenLine


def shown(*outputs: bytes, width: int = 80) -> ScreenLine:
    line = ScreenLine(width)
    for output in outputs:
        line.feed(output)
    return line


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"$ ls", "$ ls"),
        (b"old\r\n$ ls", "$ ls"),
        (b"$ lx\b\x1b[Ks", "$ ls"),
        (b"$ lx\b \bs", "$ ls"),
        (b"$ abc\r\x1b[K$ ls", "$ ls"),
        (b"$ s\b\x1b[1@l", "$ ls"),
        (b"$ lxs\b\b\x1b[1Ps", "$ ls"),
        (b"\x1b[?2004h\x1b[01;32mroot\x1b[0m$ \x1b[7mls\x1b[27m", "root$ ls"),
        (b"\x1b]0;title $ no\x07$ ls", "$ ls"),
        (b"\x1b]0;title\x1b\\$ ls", "$ ls"),
        (b"\x1bP1$tq\x1b\\$ ls", "$ ls"),
        (b"$ ls\x1b(B\x1b=\x07", "$ ls"),
        (b"$ \x1b[5Gx", "$   x"),
        (b"$ ls\x1b[2K\r# id", "# id"),
        (b"junk\x1b[H\x1b[2J# id", "# id"),
        (b"a\tb", "a       b"),
        (b"$ \xe9\x87\x8d\xe5\x90\xaf\b\b\x1b[K", "$ 重"),
    ],
)
def test_editing_output_is_followed(output: bytes, text: str) -> None:
    assert shown(output).text == text
    assert shown(*(output[at : at + 1] for at in range(len(output)))).text == text


def test_a_line_that_wraps_is_one_line() -> None:
    line = shown(b"$ " + b"x" * 8 + b"yz", width=10)
    assert line.text == "$ xxxxxxxxyz"
    line.feed(b"\x1b[A\r$ q")
    assert line.text == "$ qxxxxxxxyz"
    line.feed(b"\r\n\r\n# ")
    assert line.text == "#"


def test_readlines_way_of_wrapping_is_one_line() -> None:
    # Readline prints up to the margin, then a space and a return, so that the cursor stands on the next row.
    assert shown(b"$ " + b"x" * 8 + b" \rab", width=10).text == "$ xxxxxxxxab"


def test_the_text_left_of_the_cursor_leaves_out_suggestions() -> None:
    line = shown(b"$ ls\x1b[90m -la /srv\x1b[9D")
    assert line.text_before == "$ ls"


def test_an_escape_that_never_ends_hides_nothing_for_long() -> None:
    line = shown(b"\x1b]0;" + b"x" * 5_000 + b"\r\n$ rm -rf /srv/data")
    assert line.text.endswith("$ rm -rf /srv/data")


def test_bulk_output_is_cheap() -> None:
    line = ScreenLine(80)
    chunk = b"a line of a log that goes on and on\r\n" * 800
    began = time.process_time()
    for _ in range(200):
        line.feed(chunk)
    assert time.process_time() - began < 2.0
    line.feed(b"$ ls")
    assert line.text == "$ ls"


@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(1, 90))
def test_no_output_breaks_it(outputs: list[bytes], width: int) -> None:
    line = shown(*outputs, width=width)
    assert line.position >= 0
    line.resize(1)
    line.feed(b"x\x1b[A\x1b[B\x1b[9999C\r\n")


@given(st.text(alphabet="abc /-", max_size=200), st.integers(5, 40))
def test_plain_text_reads_back_whatever_the_width(text: str, width: int) -> None:
    assert shown(text.encode(), width=width).text == text.rstrip()
