"""The typed line: keys whose effect is known are followed, all others make it uncertain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.typed_line import TypedLine


def typed(*keys: bytes) -> TypedLine:
    line = TypedLine()
    for key in keys:
        line.feed(key)
    return line


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (b"ls -l", "ls -l"),
        (b"lx\x7fs", "ls"),
        (b"lx\x08s", "ls"),
        (b"\x7f\x7fls", "ls"),
        (b"abc\x15ls", "ls"),
        (b"ls abc  \x17", "ls "),
        (b"ls\x01x", "xls"),
        (b"s\x1b[Dl\x1b[C -a", "ls -a"),
        (b"s\x1bODl\x1bOC -a", "ls -a"),
        (b"ls -a\x01\x06\x06\x0b", "ls"),
        (b"ss\x1b[H\x1b[3~l\x1b[F!", "ls!"),
        (b"s\x1b[1~l\x1b[4~!", "ls!"),
        (b"abc\x03ls", "ls"),
        (b"\x1b[200~ls\x1b[201~", "ls"),
        (b"l\x0cs", "ls"),
        (b"l\x1b[24;80Rs\x1b[?1;2c", "ls"),
        (b"l\x1b]11;rgb:0/0/0\x07s", "ls"),
        ("重启".encode(), "重启"),
    ],
)
def test_known_keys_are_followed(keys: bytes, text: str) -> None:
    line = typed(keys)
    assert (line.text, line.certain) == (text, True)
    bytewise = typed(*(keys[at : at + 1] for at in range(len(keys))))
    assert (bytewise.text, bytewise.certain) == (text, True)


@pytest.mark.parametrize(
    "keys",
    [
        b"re\t", b"\x1b[A", b"\x1bOA", b"\x10", b"\x0e", b"\x12re", b"\x19", b"\x14", b"\x18\x05", b"\x16x", b"\x1bt",
        b"\x1b[1;5D", b"abc\x01\x06\x15", b"\x1b[" + b"1" * 80, b"\x1f",
    ],
)  # fmt: skip
def test_other_keys_make_the_line_uncertain_until_it_is_reset(keys: bytes) -> None:
    line = typed(b"x", keys)
    assert not line.certain
    line.reset()
    assert line.certain
    assert line.empty


def test_the_length_that_was_certain_is_kept() -> None:
    line = typed(b"rm -rf /sr\tv")
    assert line.text[: line.certain_length] == "rm -rf /sr"


def test_the_line_after_an_operate_and_get_next_is_not_taken_for_empty() -> None:
    line = TypedLine()
    line.reset(certain=False)
    assert not line.empty


@given(st.binary(max_size=200))
def test_no_keys_break_it(data: bytes) -> None:
    line = typed(data)
    assert 0 <= line._cursor <= len(line._chars)
