"""Somebody sits at the console: one real browser, signed in once, in which they do one task after the other."""

from __future__ import annotations

import json
import select
import subprocess
from types import TracebackType
from typing import Self

from deploy.demo.workstation import Desk

_TASK_SECONDS = 300.0
_END_SECONDS = 20.0


class SittingError(RuntimeError):
    """The page did not do what it should; the message holds the browser's words."""


class Sitting:
    """A context manager; leaving it closes the browser.

    Args:
        desk: where the browser runs.
        who: for messages.
        order: the console's address and key, and what is needed to sign in.
    """

    def __init__(self, desk: Desk, who: str, order: dict[str, str]) -> None:
        self._who = who
        self._order = order
        self._process = subprocess.Popen(
            desk.argv(desk.module_argv("deploy.demo.browser")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def do(self, task: str, **facts: str) -> dict[str, str]:
        """Have the person do a task; returns what they read on the page.

        Raises:
            SittingError: the page did not become what it should, or the browser takes too long.
        """
        asked, answered = self._process.stdin, self._process.stdout
        if asked is None or answered is None:
            raise SittingError(f"{self._who}'s browser is closed")
        try:
            asked.write(json.dumps({**self._order, "task": task, **facts}) + "\n")
            asked.flush()
            line = answered.readline() if select.select([answered], [], [], _TASK_SECONDS)[0] else ""
        except BrokenPipeError:
            line = ""
        if not line:
            raise SittingError(f"{self._who}'s browser ({task}): {self._end().strip()[-1500:] or 'no answer in time'}")
        return {str(name): str(value) for name, value in json.loads(line).items()}

    def _end(self) -> str:
        """Close the browser; its last words."""
        if self._process.stderr is None or self._process.stderr.closed:
            return ""
        try:
            return self._process.communicate(timeout=_END_SECONDS)[1]
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            return self._process.communicate()[1]
