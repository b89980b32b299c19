"""Noticing that an ssh has ended."""

import os
import subprocess
import sys

import pytest

from spa_knock.client import ssh_processes
from spa_knock.client.ssh_processes import MOST_WATCHED, SshProcesses, is_process_running


def test_an_end_is_told_once() -> None:
    running = {7, 8}
    processes = SshProcesses(running.__contains__)
    processes.watch(7)
    processes.watch(8)
    assert not processes.take_ended()
    running.discard(7)
    assert processes.take_ended()
    assert not processes.take_ended()
    running.clear()
    assert processes.take_ended()


def test_a_process_that_knocks_again_is_watched_once() -> None:
    asked: list[int] = []

    def is_running(process_id: int) -> bool:
        asked.append(process_id)
        return True

    processes = SshProcesses(is_running)
    for _ in range(3):
        processes.watch(7)
    processes.take_ended()
    assert asked == [7]


def test_no_more_than_a_bounded_number_is_watched_and_never_a_group_of_processes() -> None:
    asked: set[int] = set()

    def is_running(process_id: int) -> bool:
        asked.add(process_id)
        return True

    processes = SshProcesses(is_running)
    for process_id in range(-5, 2 * MOST_WATCHED):
        processes.watch(process_id)
    processes.take_ended()
    assert asked == set(range(1, MOST_WATCHED + 1))


def test_a_real_process_runs_until_it_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    processes = SshProcesses()
    processes.watch(process.pid)
    assert not processes.take_ended()
    process.communicate(b"\n", timeout=20)
    assert processes.take_ended()
    assert not is_process_running(2**70)


def test_without_owners_nothing_is_done_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> None:
        raise AssertionError("there this call ends the process")

    monkeypatch.setattr(ssh_processes, "has_owners", lambda: False)
    monkeypatch.setattr(os, "kill", end)
    assert not is_process_running(7)
