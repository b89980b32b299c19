import sys

import pytest

from deploy.demo.terminal import Terminal, TerminalError

_TALK = """
import os, sys
size = os.get_terminal_size()
name = input("Name: ")
print(f"\\x1b[1mhello\\x1b[0m {name}, you have {size.columns}x{size.lines}")
sys.exit(3)
"""


def test_a_person_answers_a_question_and_reads_plain_text() -> None:
    with Terminal([sys.executable, "-c", _TALK], columns=91, rows=23) as terminal:
        terminal.expect("Name: ")
        terminal.type("Ada\n")
        assert terminal.expect(r"hello (\w+), you have (\d+x\d+)").groups() == ("Ada", "91x23")
        assert terminal.wait() == 3


def test_the_program_has_a_controlling_terminal_and_hears_of_a_new_size() -> None:
    script = "trap 'stty size </dev/tty; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
    with Terminal(["sh", "-c", script]) as terminal:
        terminal.expect("ready")
        terminal.resize(120, 40)
        terminal.expect("40 120")
        assert terminal.wait() == 0


def test_words_that_do_not_come_show_the_screen_instead() -> None:
    with Terminal(["sh", "-c", "echo something else; sleep 30"]) as terminal:
        with pytest.raises(TerminalError, match=r"waited for 'password'.*something else"):
            terminal.expect("password", timeout_seconds=0.5)
        with pytest.raises(TerminalError, match="does not end"):
            terminal.wait(0.2)


def test_each_expectation_looks_only_at_what_came_after_the_last() -> None:
    with Terminal(["sh", "-c", "echo again; echo again; exec sleep 30"]) as terminal:
        terminal.expect("again")
        terminal.expect("again")
        with pytest.raises(TerminalError):
            terminal.expect("again", timeout_seconds=0.3)
