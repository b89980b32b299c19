"""The `ssh` processes that were given a connection: when one has ended, so has its session, most likely."""

import os
import threading
from collections.abc import Callable
from typing import Final

from spa_knock.client.system import has_owners

MOST_WATCHED: Final = 64


class SshProcesses:
    """Which of them still run. Safe to use from several threads; nothing is ever sent to them."""

    def __init__(self, is_running: Callable[[int], bool] | None = None) -> None:
        self._is_running = is_running or is_process_running
        self._lock = threading.Lock()
        self._watched: set[int] = set()

    def watch(self, process_id: int) -> None:
        """From now on; beyond `MOST_WATCHED` not at all: that session's end shows in the next regular round."""
        with self._lock:
            # Zero and below are groups of processes.
            if process_id > 0 and len(self._watched) < MOST_WATCHED:
                self._watched.add(process_id)

    def take_ended(self) -> bool:
        """Whether one has ended since the last question; it is not watched any more."""
        with self._lock:
            ended = {one for one in self._watched if not self._is_running(one)}
            self._watched -= ended
        return bool(ended)


def is_process_running(process_id: int) -> bool:
    """Whether a process of ours has this id. Where there are no owners, nothing can be asked and the answer is no."""
    if not has_owners():
        # There the same call would end the process.
        return False
    try:
        os.kill(process_id, 0)
    except (OSError, OverflowError):
        return False
    return True
