import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.app import plans, supervisor
from broker.app.settings import parse

_SETTINGS = parse(
    {
        "site": {"name": "demo"},
        "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
        "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
    }
)
_CHILD = """
import os, socket, sys, time
with open(sys.argv[1], "a") as log:
    log.write(f"{os.getpid()} {os.environ['LISTEN_FDNAMES']} {os.environ['LISTEN_PID']} {os.getuid()}\\n")
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
if sys.argv[2] == "die":
    sys.exit(3)
while True:
    time.sleep(1)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[plans.Program]:
    """A child that writes a line at each start, and lives until it is stopped."""
    script = tmp_path / "child.py"
    script.write_text(_CHILD)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        argv = ("/usr/bin/python3", str(script), str(tmp_path / "log"), "stay")
        yield plans.Program("child", os.getuid(), argv, (("door", sock),))


def _run_until_started(program: plans.Program, folder: Path, times: int) -> list[str]:
    """Run a supervisor until its child was started this often; what the child wrote."""
    log = folder / "log"

    def stop() -> None:
        limit = time.monotonic() + 30
        while len(log.read_text().splitlines() if log.exists() else ()) < times and time.monotonic() < limit:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    try:
        threading.Thread(target=stop).start()
        assert supervisor.Supervisor([program], folder / "notify.sock").run() == 0
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return log.read_text().splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv changes user ids: root only; the end-to-end run covers it")
def test_a_child_gets_its_sockets_and_is_stopped(program: plans.Program, tmp_path: Path) -> None:
    (line,) = _run_until_started(program, tmp_path, 1)
    pid, names, listen_pid, uid = line.split()
    assert (names, listen_pid, int(uid)) == ("door", pid, os.getuid())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv changes user ids: root only; the end-to-end run covers it")
def test_a_child_that_dies_is_started_again_more_and_more_slowly(
    program: plans.Program, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dying = replace(program, argv=(*program.argv[:-1], "die"))
    assert len(_run_until_started(dying, tmp_path, 3)) == 3
    waits = [float(wait) for wait in re.findall(r"starting it again in ([0-9.]+) s", capfd.readouterr().err)]
    assert waits[:2] == [0.2, 0.4]


def test_only_root_may_bring_a_site_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(plans.StartError, match="as root"):
        supervisor.up(_SETTINGS, Path("/etc/sallyport.toml"))


def test_the_supervisor_needs_nothing_but_the_standard_library() -> None:
    probe = (
        "import sys; sys.path.insert(0, '.'); import broker.app.supervisor; "
        "files = {name: str(getattr(module, '__file__', '')) for name, module in sys.modules.items()}; "
        "print([name for name, file in files.items() if 'site-packages' in file])"
    )
    command = [sys.executable, "-S", "-c", probe]
    root = Path(__file__).parents[4]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, cwd=root)
    assert printed.stdout.strip() == "[]"
