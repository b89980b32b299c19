import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from deploy.demo.lab import LabError
from deploy.demo.processes import Processes, is_running, kill_hard

_GUARD_UID = 61185
_SUPERVISOR = f"""
import os, subprocess, sys, time
os.chdir("/")
while True:
    subprocess.run(["sleep", "100"], user={_GUARD_UID}, group={_GUARD_UID}, extra_groups=[])
    time.sleep(0.1)
"""


@pytest.fixture
def running() -> Iterator[Processes]:
    """A supervisor in small: it starts one process again and again, as the guard's user."""
    if os.geteuid() != 0:
        pytest.skip("other users' processes need root")
    with subprocess.Popen([sys.executable, "-c", _SUPERVISOR]) as supervisor:
        try:
            yield Processes(supervisor.pid)
        finally:
            supervisor.kill()
            child = Processes(supervisor.pid).pid("guard")
            if child is not None:
                os.kill(child, 9)


def _started(processes: Processes) -> int:
    deadline = time.monotonic() + 30
    while (pid := processes.pid("guard")) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return pid


def test_a_process_is_found_by_its_user_below_its_own_supervisor_only(running: Processes) -> None:
    assert _started(running)
    assert running.pid("gateway") is None
    assert Processes(os.getpid()).pid("guard") is None


def test_a_killed_process_comes_back_with_another_id(running: Processes) -> None:
    first = _started(running)
    assert running.kill("guard") == first
    assert running.await_new("guard", first) != first


def test_while_the_supervisor_is_held_what_is_killed_stays_dead(running: Processes) -> None:
    first = _started(running)
    with running.held():
        running.kill("guard")
        time.sleep(0.5)
        assert running.pid("guard") is None
    assert running.await_new("guard", first) != first


def test_who_is_not_there_cannot_be_killed(running: Processes) -> None:
    with pytest.raises(LabError, match="no process opener"):
        running.kill("opener")


def test_who_is_noted_by_name_is_found_when_the_supervisor_is_gone(running: Processes) -> None:
    pid = _started(running)
    assert running.pids() == {"guard": pid}
    kill_hard(running.supervisor)
    assert running.pids() == {}
    assert is_running(pid)
    kill_hard(pid)
    assert not is_running(pid)
