"""Starting and stopping the background agent from a command."""

import os
import subprocess
import sys
import time
from pathlib import Path

from spa_knock.client.control import ControlLink
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home
from spa_knock.client.language import tr
from spa_knock.client.places import CONTROL_SOCKET

_START_SECONDS = 10.0


def control_link(home: Home) -> ControlLink:
    """The control socket of this home's agent; entering it fails when no agent runs."""
    return ControlLink(home.run_path / CONTROL_SOCKET)


def is_running(home: Home) -> bool:
    try:
        with control_link(home) as agent:
            agent.ask("status")
    except ClientError:
        return False
    return True


def ensure_agent(home: Home) -> None:
    """Starts the agent unless it runs, and waits until it answers. Raises ClientError."""
    if is_running(home):
        return
    process = subprocess.Popen(
        # -P: never the current folder's modules.
        [sys.executable, "-P", "-m", "spa_knock.client.agent", "--home", str(home.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=home.path,
        env=_environment(),
        start_new_session=True,
        # Windows knows sessions by another name; elsewhere there is no such flag.
        creationflags=getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        _wait_until_ready(home, process)
    finally:
        if process.stderr is not None:
            process.stderr.close()
    # The agent lives on; without this Python would warn that it was left behind.
    process.returncode = 0


def stop_agent(home: Home) -> bool:
    """Ends a running agent and everything it holds; False when none ran."""
    try:
        with control_link(home) as agent:
            agent.ask("stop")
    except ClientError:
        return False
    until = time.monotonic() + _START_SECONDS
    while is_running(home) and time.monotonic() < until:
        time.sleep(0.05)
    return True


def _wait_until_ready(home: Home, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if is_running(home):
            return
        if process.poll() is not None:
            said = process.stderr.read(2000).decode("utf-8", "replace").strip() if process.stderr else ""
            raise ClientError("failed", tr("The agent did not start"), said.rstrip(".") or tr("it gave no reason"))
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise ClientError(
        "failed",
        tr("The agent did not start"),
        tr("it was not ready within {start_seconds:.0f} s", start_seconds=_START_SECONDS),
    )


def _environment() -> dict[str, str]:
    """Ours, with this installation's folder first on the module path (the agent starts in another folder)."""
    root = str(Path(__file__).resolve().parents[2])
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != root]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *others])}
