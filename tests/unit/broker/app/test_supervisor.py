import os
import signal
import socket
import subprocess
import sys
import threading
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


def _program(tmp_path: Path, behaviour: str) -> plans.Program:
    script = tmp_path / "child.py"
    script.write_text(_CHILD)
    sock = socket.create_server(("127.0.0.1", 0))
    argv = ("/usr/bin/python3", str(script), str(tmp_path / "log"), behaviour)
    return plans.Program("child", os.getuid(), argv, (("door", sock),))


def _run_for(supervised: supervisor.Supervisor, seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    try:
        assert supervised.run() == 0
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv changes user ids: root only; the end-to-end run covers it")
def test_a_child_gets_its_sockets_and_is_stopped(tmp_path: Path) -> None:
    program = _program(tmp_path, "stay")
    _run_for(supervisor.Supervisor([program], tmp_path / "notify.sock"), 1.0)
    ((pid, names, listen_pid, uid),) = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert (names, listen_pid, int(uid)) == ("door", pid, os.getuid())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    program.sockets[0][1].close()


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv changes user ids: root only; the end-to-end run covers it")
def test_a_child_that_dies_is_started_again_more_and_more_slowly(tmp_path: Path) -> None:
    program = _program(tmp_path, "die")
    _run_for(supervisor.Supervisor([program], tmp_path / "notify.sock"), 2.5)
    starts = len((tmp_path / "log").read_text().splitlines())
    assert 2 <= starts <= 6
    program.sockets[0][1].close()


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
