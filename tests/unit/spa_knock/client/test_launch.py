"""The agent as a process of its own: started once, hardened, stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, locked
from spa_knock.client.launch import control_link, ensure_agent, is_running, stop_agent


@pytest.fixture
def launched(enrolled: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    ensure_agent(enrolled)
    yield enrolled
    stop_agent(enrolled)


def pid_of(home: Home) -> int:
    with control_link(home) as agent:
        pid = agent.ask("status")["pid"]
    assert isinstance(pid, int)
    return pid


def test_the_agent_is_started_once_and_cannot_be_looked_into(launched: Home) -> None:
    pid = pid_of(launched)
    ensure_agent(launched)
    assert pid_of(launched) == pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()


def test_the_agents_environment_and_arguments_hold_no_secret(launched: Home) -> None:
    arguments = Path(f"/proc/{pid_of(launched)}/cmdline").read_bytes().split(b"\0")
    assert arguments[-3:-1] == [b"--home", str(launched.path).encode()]


def test_a_stopped_agent_is_gone(launched: Home) -> None:
    assert stop_agent(launched)
    assert not is_running(launched)
    assert not stop_agent(launched)


def test_an_agent_that_cannot_start_says_why(enrolled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    enrolled.key_path.unlink()
    with pytest.raises(ClientError, match="device key"):
        ensure_agent(enrolled)


def test_a_lock_held_by_another_is_the_reason_that_is_given(enrolled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with locked(enrolled), pytest.raises(ClientError, match="already serves"):
        ensure_agent(enrolled)
