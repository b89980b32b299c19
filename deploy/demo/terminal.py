"""A pseudo terminal with a person in front of it: types, waits for words on the screen, reads what came."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\r")

_LOOK_SECONDS = 0.05


class TerminalError(RuntimeError):
    """What was waited for did not appear; the message holds the screen's last words."""


class Terminal:
    """A program on its own pseudo terminal; a context manager that ends it.

    Args:
        argv: the program.
        columns, rows: the window's size.
        owner_uid: who owns the terminal's device, as after a login; none leaves it as it is.
    """

    def __init__(
        self, argv: Sequence[str], *, columns: int = 100, rows: int = 30, owner_uid: int | None = None
    ) -> None:
        self._main, inner = os.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if owner_uid is not None:
            os.fchown(inner, owner_uid, -1)
        self._seen = ""
        self._read_to = 0
        self.started_at = time.monotonic()
        try:
            self.process = subprocess.Popen(
                argv,
                stdin=inner,
                stdout=inner,
                stderr=inner,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._main)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def screen(self) -> str:
        """Everything that was written so far, without terminal control sequences."""
        return _ESCAPES.sub("", self._seen)

    def type(self, text: str) -> None:
        """Type text; `\\n` is the return key."""
        os.write(self._main, text.replace("\n", "\r").encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size; the program gets SIGWINCH."""
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern: str, timeout_seconds: float = 30.0) -> re.Match[str]:
        """Wait until the pattern appears after what earlier calls have already matched.

        Raises:
            TerminalError: it did not appear in time, or the program ended first.
        """
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = wanted.search(self.screen, self._read_to)
            if found is not None:
                self._read_to = found.end()
                return found
            if not self._read(deadline):
                raise TerminalError(f"waited for {pattern!r}, but the screen shows: {self.screen[-600:]!r}")

    def read_on(self, seconds: float) -> str:
        """Take what comes within this time; returns what was written since the last match, without matching it."""
        deadline = time.monotonic() + seconds
        while self._read(max(deadline, time.monotonic() + _LOOK_SECONDS)) and time.monotonic() < deadline:
            pass
        return self.screen[self._read_to :]

    def wait(self, timeout_seconds: float = 30.0) -> int:
        """Read until the program has ended and return its exit status.

        Raises:
            TerminalError: it still runs after this time.
        """
        deadline = time.monotonic() + timeout_seconds
        while self._read(deadline):
            pass
        try:
            return self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TerminalError(f"the program does not end; the screen shows: {self.screen[-600:]!r}") from None

    def _read(self, deadline: float) -> bool:
        """Take what has come; false at the end of the output or when the time is over."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._main], [], [], left)[0]:
            return False
        try:
            data = os.read(self._main, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # Linux's end of file on a terminal whose last program has closed it
                return False
            raise
        self._seen += data.decode("utf-8", "replace")
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
