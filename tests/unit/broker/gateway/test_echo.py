"""What the screen showed of typed keys, and what it hid."""

import pytest

from broker.gateway.echo import MOST_KEPT_BYTES, EchoWatch, Hidden, Shown, ShownLine, printable


def line(typed: str, shown: str, *, certain: bool = True) -> ShownLine:
    return ShownLine(typed, certain, shown)


@pytest.mark.parametrize(
    ("keys", "entered", "shown"),
    [
        (b"ls", line("ls", "ls"), True),
        (b"ls", line("ls", "l"), True),  # the rest of a slow echo is on its way
        (b"lss\x7f", line("ls", "ls"), True),
        (b"ls /et\t", line("ls /et", "ls /etc/", certain=False), True),
        (b"\x1b[A", line("", "make flash", certain=False), True),
        (b"", line("", ""), True),
        (b"hunter2", line("hunter2", ""), False),
        (b"hunter2", line("hunter2", "*******"), False),
        (b"hunter2", line("hunter2", "Sorry, try again."), False),
        (b"hunt\x15er2", line("er2", ""), False),
        (b"secret\t", line("secret", "****", certain=False), False),
    ],
)
def test_only_what_stands_on_the_line_was_shown(keys: bytes, entered: ShownLine, shown: bool) -> None:
    watch = EchoWatch()
    assert watch.keys(keys, "") == []
    (found,) = watch.entered(entered, b"\r")
    assert found == (Shown(keys + b"\r") if shown else Hidden(len(printable(keys))))


def test_a_secret_that_was_abandoned_is_not_told_with_the_line_behind_it() -> None:
    watch = EchoWatch()
    assert watch.keys(b"hunter2\x03ls", "") == [Hidden(7)]
    assert watch.entered(line("ls", "ls"), b"\r") == [Shown(b"ls\r")]


def test_a_shown_line_that_was_abandoned_is_told() -> None:
    watch = EchoWatch()
    watch.keys(b"sleep 9", "")
    assert watch.keys(b"\x03", "sleep 9") == [Shown(b"sleep 9\x03")]


def test_more_than_is_kept_stays_hidden() -> None:
    watch = EchoWatch()
    watch.keys(b"x" * (MOST_KEPT_BYTES + 1), "")
    (found,) = watch.entered(line("x", "x"), b"\r")
    assert found == Hidden(MOST_KEPT_BYTES)
    assert watch.entered(line("ls", "ls"), b"\r") == [Shown(b"\r")]


def test_keys_without_characters_show_nothing() -> None:
    assert printable(b"\x1b[A\x1bOH\x1bb\x7f\x01ab\xe4\xb8\xad") == "ab中"
