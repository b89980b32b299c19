"""The site's own processes, as somebody with root on the broker's host sees them: find, kill, hold the supervisor.

Only processes below this run's supervisor are ever touched, each by its id.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.lab import LabError

USERS = {"opener": 61184, "guard": 61185, "gateway": 61186, "control": 61187}
_SECONDS = 60.0


@dataclass(frozen=True)
class Processes:
    """The four processes below one supervisor."""

    supervisor: int

    def pid(self, name: str) -> int | None:
        """The process of this name that runs now, if one does."""
        for pid in _children(self.supervisor):
            if is_running(pid) and _status(pid).get("Uid", "").split()[:1] == [str(USERS[name])]:
                return pid
        return None

    def kill(self, name: str) -> int:
        """End a process with SIGKILL, as a crash would; returns its id once it is gone.

        Raises:
            LabError: there is none, or it does not go.
        """
        pid = self.pid(name)
        if pid is None:
            raise LabError(f"the site has no process {name}")
        kill_hard(pid)
        return pid

    def pids(self) -> dict[str, int]:
        """Those of the four that run now, by name: who loses their supervisor is found by it no more."""
        found = {name: self.pid(name) for name in USERS}
        return {name: pid for name, pid in found.items() if pid is not None}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop the supervisor meanwhile, so that what dies stays dead; it goes on afterwards."""
        os.kill(self.supervisor, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.supervisor, signal.SIGCONT)

    def await_new(self, name: str, old: int) -> int:
        """Wait until the supervisor has started a process again; returns its id.

        Raises:
            LabError: it did not within a minute.
        """
        deadline = time.monotonic() + _SECONDS
        while True:
            pid = self.pid(name)
            if pid is not None and pid != old:
                return pid
            if time.monotonic() > deadline:
                raise LabError(f"{name} was not started again")
            time.sleep(0.02)


def kill_hard(pid: int) -> None:
    """End a process with SIGKILL, as a crash would, and wait until it is gone or only its parent's to bury.

    Raises:
        LabError: it does not go.
    """
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS
    while is_running(pid):
        if time.monotonic() > deadline:
            raise LabError(f"process {pid} does not end")
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that is dead and not yet buried does not."""
    return not _status(pid).get("State", "Z").startswith("Z")


def _children(pid: int) -> list[int]:
    others = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [other for other in others if _status(other).get("PPid") == str(pid)]


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
