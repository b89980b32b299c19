"""The site's four processes and their supervisor, as the machine sees them: find, kill, stop, wait for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

MODULES: Final = {
    "opener": "spa_knock.opener",
    "control": "broker.app.control_main",
    "gateway": "broker.app.gateway_main",
    "guard": "spa_knock.guard",
}
_SECONDS = 60.0


class Processes:
    """The children of one supervisor."""

    def __init__(self, supervisor: int) -> None:
        self.supervisor = supervisor

    def pid(self, name: str) -> int | None:
        """A process's id, None while it does not run."""
        try:
            children = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split()
        except FileNotFoundError:
            return None
        for child in children:
            if MODULES[name] in _words(int(child)):
                return int(child)
        return None

    def kill(self, name: str) -> int:
        """kill -9, once it runs; returns the id of the process that died."""
        pid = self.wait_for_another(name, 0)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_another(self, name: str, than: int) -> int:
        """Wait until the supervisor has started the process again; its id."""
        deadline = time.monotonic() + _SECONDS
        while (pid := self.pid(name)) in (None, than):
            assert time.monotonic() < deadline, f"{name} was not started again"
            time.sleep(0.05)
        assert pid is not None
        return pid

    def keep_dead(self) -> None:
        """Stop the supervisor, so that what dies now stays dead. It still holds every socket, as systemd would."""
        os.kill(self.supervisor, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let the supervisor go on."""
        os.kill(self.supervisor, signal.SIGCONT)


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
