"""Our screen against a reference terminal: the same output of real programs, shown by tmux."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from recorder.screen import Screen

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")

CURSES = """
import curses, locale
locale.setlocale(locale.LC_ALL, "C.UTF-8")
def main(window):
    curses.start_color(); curses.use_default_colors()
    for n in range(1, 8): curses.init_pair(n, n, -1)
    window.border()
    for n in range(1, 20):
        style = curses.color_pair(n % 8) | (curses.A_BOLD if n % 2 else 0)
        window.addstr(n, 2 + n, f"第{n}行 温度 {20 + n}.5 ℃ {'=' * n}", style)
    window.refresh()
    window.move(5, 0); window.insertln(); window.insertln()
    window.move(12, 0); window.deleteln()
    window.addstr(3, 4, "覆盖"); window.delch(8, 10); window.insstr(9, 10, "插入")
    window.setscrreg(2, 15); window.scrollok(True); window.scroll(3)
    window.addstr(21, 1, "abc", curses.A_REVERSE); window.refresh()
    window.clrtobot(); window.refresh()
    curses.ungetch(0); window.getch()
    import sys; sys.stdout.flush(); import os, signal; os.kill(os.getpid(), signal.SIGKILL)
curses.wrapper(main)
"""

LONG_LINES = r"""
for i in $(seq 40); do printf '%s 设备编号%s ' $i $i; done; printf '\n'
seq 60; printf '一二三四五六七八九十%.0s' 1 2 3 4 5 6
"""
COLOURS = r"""
printf 'a\tb\tc\n\033[1;31mred\033[0m\033[44m blue \033[K\033[0m\n'
ls -l --color=always /usr | head -12
"""
PAGER = "seq 200 | sed 's/$/ 行/' | TERM=xterm timeout -s KILL 2 less -X"
PROGRESS = r"for i in $(seq 0 5 100); do printf '\r进度 %3d%% \033[K' $i; done; printf '\n完成\n'"
DRAWING = r"""
printf '\033(0lqqqk\nx   x\nmqqqj\033(B\n'
printf '\033[2;5r\033[5;1Hone\ntwo\nthree\n\033[r\033[10;1Hend'
"""
SCRIPTS = {
    "full screen": ["/usr/bin/python3", "-c", CURSES],
    "long lines": ["bash", "-c", LONG_LINES],
    "colours and tabs": ["bash", "-c", COLOURS],
    "a pager": ["bash", "-c", PAGER],
    "progress": ["bash", "-c", PROGRESS],
    "line drawing": ["bash", "-c", DRAWING],
}


DRAWN = str.maketrans("jklmnqtuvwx", "┘┐┌└┼─├┤┴┬│")


def output_of(command: list[str], columns: int, rows: int) -> bytes:
    """What the program writes to a terminal of this size."""
    child, master = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        os.execvpe(command[0], command, environment)  # noqa: S606 - the child of a pseudo-terminal becomes the program
    found = bytearray()
    while True:
        try:
            data = os.read(master, 65_536)
        except OSError:
            break
        if not data:
            break
        found += data
    os.close(master)
    os.waitpid(child, 0)
    return bytes(found)


def plain(captured: str) -> list[str]:
    """Captured lines without colours; tmux tells line drawing as letters between SO and SI, also across lines."""
    text = re.sub(r"\x1b\[[0-9;:]*m", "", captured)
    text = re.sub(r"\x0e([^\x0f]*)(?:\x0f|\Z)", lambda found: found[1].translate(DRAWN), text)
    return [line.rstrip() for line in text.split("\n")]


class Tmux:
    """A terminal of this size which shows one file's bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder
        self._count = 0

    def shown(self, data: bytes, columns: int, rows: int) -> list[str]:
        self._count += 1
        self._socket = self._folder / f"{self._count}.sock"  # an earlier server may still be going
        file, done = self._folder / "data", self._folder / "done"
        file.write_bytes(data)
        done.unlink(missing_ok=True)
        command = f"stty raw -echo; cat {file}; touch {done}; sleep 600"
        self._run("new-session", "-d", "-x", str(columns), "-y", str(rows), command)
        self._run("set-option", "-g", "status", "off")
        try:
            deadline = time.monotonic() + 20
            while not done.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            before, found = None, None
            while found is None or found != before:  # until what was written has been read
                before, found = found, self._run("capture-pane", "-p", "-e")
                time.sleep(0.1)
            return plain(found)[:rows]
        finally:
            self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "HOME": str(self._folder),
        }
        command = ["tmux", "-u", "-f", "/dev/null", "-S", str(self._socket), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def tmux(tmp_path: Path) -> Tmux:
    return Tmux(tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_real_programs_look_as_on_the_reference_terminal(tmux: Tmux, name: str) -> None:
    data = output_of(SCRIPTS[name], 80, 24)
    screen = Screen(80, 24)
    screen.feed(data.decode("utf-8", "replace"))
    assert any(screen.lines)
    assert screen.lines == tmux.shown(data, 80, 24)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_keyframe_looks_the_same_on_the_reference_terminal(tmux: Tmux, name: str) -> None:
    data = output_of(SCRIPTS[name], 80, 24).decode("utf-8", "replace")
    for share in (3, 2, 1):
        screen = Screen(80, 24)
        screen.feed(data[: len(data) // share])
        if screen.is_between:
            assert tmux.shown(screen.keyframe().encode(), 80, 24) == screen.lines


def test_after_a_new_size_what_a_program_draws_is_exact(tmux: Tmux) -> None:
    first, second = output_of(SCRIPTS["full screen"], 80, 24), output_of(SCRIPTS["full screen"], 100, 30)
    screen = Screen(80, 24)
    screen.feed(first.decode())
    screen.resize(100, 30)
    screen.feed("\x1b[?1049l\x1b[H\x1b[2J" + second.decode())
    assert screen.lines == tmux.shown(second, 100, 30)
