"""Process set-up, tried in real child processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spa_knock.link.process import ProcessError, listen_sockets, notify_ready, peer_uid

LAUNCH = """
import os, sys
os.environ["LISTEN_PID"] = os.environ.get("FORCED_PID") or str(os.getpid())
fds = [int(text) for text in sys.argv[1].split(",")]
copies = [os.dup(fd) for fd in fds]
import fcntl
copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in copies]
for number, fd in enumerate(copies, start=3):
    os.dup2(fd, number)
from spa_knock.link.process import listen_sockets
found = listen_sockets()
for name in sorted(found):
    print(name, [sock.getsockname()[1] for sock in found[name]], [sock.get_inheritable() for sock in found[name]])
print(sorted(name for name in os.environ if name.startswith("LISTEN")))
"""

HARDENED = """
from pathlib import Path
from spa_knock.link.process import harden
harden()
status = Path("/proc/self/status").read_text()
print([line.split()[1] for line in status.splitlines() if line.startswith("NoNewPrivs")])
import ctypes, resource
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def run(code: str, *arguments: str, environment: dict[str, str] | None = None, fds: tuple[int, ...] = ()) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **(environment or {})},
        pass_fds=fds,
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return finished.stdout


def test_passed_sockets_come_by_name_and_the_variables_are_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as tls, socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as two:
            two.bind(("127.0.0.1", 0))
            fds = (tls.fileno(), one.fileno(), two.fileno())
            printed = run(
                LAUNCH,
                ",".join(map(str, fds)),
                environment={"LISTEN_FDS": "3", "LISTEN_FDNAMES": "tls:knock:knock"},
                fds=fds,
            )
            ports = [sock.getsockname()[1] for sock in (one, two)]
            assert printed.splitlines() == [
                f"knock {ports} [False, False]",
                f"tls [{tls.getsockname()[1]}] [False]",
                "[]",
            ]


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        printed = run(
            LAUNCH,
            str(server.fileno()),
            environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "tls", "FORCED_PID": "1"},
            fds=(server.fileno(),),
        )
    assert printed == "[]\n"


def test_nothing_passed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)
    assert listen_sockets() == {}


@pytest.mark.parametrize(("count", "names"), [("two", "a:b"), ("2", "a"), ("-1", ""), ("9999", ""), ("²", "a:b")])
def test_malformed_variables_stop_the_process(monkeypatch: pytest.MonkeyPatch, count: str, names: str) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", names)
    with pytest.raises(ProcessError):
        listen_sockets()


def test_a_hardened_process_is_not_dumpable_and_gains_no_privilege() -> None:
    assert run(HARDENED).splitlines() == ["['1']", "0 (0, 0)"]


def test_the_peer_of_a_unix_socket_is_known_by_its_user_id() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer_uid(left) == os.getuid()


def test_readiness_reaches_the_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify_ready()
        assert listener.recv(100) == b"READY=1"


def test_a_missing_supervisor_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify_ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify_ready()
