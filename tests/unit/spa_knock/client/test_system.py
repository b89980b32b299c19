"""What differs between operating systems; and the whole client on a simulated one without Unix sockets and owners."""

import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spa_knock.client import system
from spa_knock.client.system import LocalListener, connect_local

_LESS = """
import sys, os, socket, signal
import ssl, subprocess, tempfile, threading, http.client, http.server, selectors, typer, cryptography.x509, hypothesis
from pathlib import Path
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules[name] = None
for name in ("AF_UNIX", "SO_PEERCRED", "SCM_RIGHTS", "AF_NETLINK", "AF_PACKET"):
    delattr(socket, name)
for name in ("geteuid", "getuid", "getegid", "fchmod", "setsid"):
    delattr(os, name)
del signal.SIGHUP

def pair(*_):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]
socket.socketpair = pair

import importlib, pkgutil
import spa_knock.client
for found in pkgutil.iter_modules(spa_knock.client.__path__):
    importlib.import_module(f"spa_knock.client.{found.name}")
"""

_DRIVE = """
from spa_knock.client.agent import Server
from spa_knock.client.control import ControlLink
from spa_knock.client.enrolment import enroll
from spa_knock.client.home import Home, locked
from spa_knock.client.errors import ClientError
from spa_knock.client.invite import parse_invite
from spa_knock.client.places import home_dir
from spa_knock.client.session import Holder
from spa_knock.client.verbs import Verbs
from tests.unit.spa_knock.client.fake_site import FakeSite

folder = Path(sys.argv[1])
path = home_dir({"LOCALAPPDATA": str(folder / "profile")})
assert path == folder / "profile" / "sallyport", path
with FakeSite(folder) as site:
    home = Home(path, {})
    enroll(home, parse_invite(site.invite()), "laptop", replace=False, passphrase="correct horse")
    with locked(home):
        holder = Holder()
        server = Server(home, Verbs(home, holder), holder)
        ready = threading.Event()
        thread = threading.Thread(target=server.serve, args=(ready.set,))
        thread.start()
        assert ready.wait(10)
        with ControlLink(home.run_path / "control.sock") as agent:
            assert agent.ask("status")["locked"] is True
            agent.ask("unlock", passphrase="correct horse")
            print(agent.ask("login", username="li.wei", password="correct horse", totp="123456")["type"])
            print(agent.ask("reach")["type"])
            print(agent.call("GET", "/targets")[0])
        assert not (home.run_path / "agent.sock").exists()
        server.stop()
        thread.join(10)
    print(len(site.heard), "knocks")
"""


def simulated(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path.cwd(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_module_of_the_client_loads_where_posix_is_missing() -> None:
    # msvcrt is asked for only when a lock is taken.
    assert simulated(_LESS) == ""


def test_the_client_enrols_unlocks_knocks_and_signs_in_where_posix_is_missing(tmp_path: Path) -> None:
    msvcrt = (
        "import types\nmsvcrt = types.ModuleType('msvcrt')\nmsvcrt.LK_NBLCK = 2\n"
        "msvcrt.locking = lambda *_: None\nimport sys\nsys.modules['msvcrt'] = msvcrt\n"
    )
    said = simulated(_LESS + msvcrt + _DRIVE, str(tmp_path)).splitlines()
    assert said[:3] == ["signed_in", "reached", "200"]
    assert int(said[3].split()[0]) >= 3


@pytest.fixture
def no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "has_unix_sockets", lambda: False)


def accepted(listener: LocalListener) -> socket.socket:
    listener.socket.settimeout(5)
    connection, _ = listener.socket.accept()
    return connection


def test_a_unix_socket_is_ours_by_the_kernels_word(tmp_path: Path) -> None:
    with LocalListener(tmp_path / "s") as listener, connect_local(tmp_path / "s"), accepted(listener) as connection:
        assert listener.is_ours(connection)
    assert not (tmp_path / "s").exists()


@pytest.mark.usefixtures("no_unix_sockets")
def test_without_unix_sockets_the_secret_in_the_file_lets_in_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_SECRET_SECONDS", 0.2)
    path = tmp_path / "s"
    with LocalListener(path) as listener:
        assert path.stat().st_mode & 0o077 == 0
        with connect_local(path), accepted(listener) as connection:
            assert listener.is_ours(connection)
        for wrong in (b"", b"x" * 32, path.read_bytes()[2:-1], path.read_bytes()[2:-1] + b"\0" * 1):
            if wrong == path.read_bytes()[2:]:
                continue
            with socket.create_connection(listener.socket.getsockname()) as stranger, accepted(listener) as connection:
                stranger.sendall(wrong)
                assert not listener.is_ours(connection)
    with pytest.raises(OSError, match="s"):
        connect_local(path)


@pytest.mark.usefixtures("no_unix_sockets")
def test_a_file_that_names_no_agent_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"x")
    with pytest.raises(ConnectionRefusedError):
        connect_local(tmp_path / "s")


def test_the_peer_on_macos_is_read_from_its_own_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def getsockopt(self, level: int, option: int, length: int) -> bytes:
            assert (level, option, length) == (0, 1, 76)
            return struct.pack("=IIh", 0, 501, 1) + bytes(66)

    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert system._peer_uid(Connection()) == 501  # type: ignore[arg-type]


def test_where_there_are_no_owners_the_profile_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    found = (tmp_path / "open").stat()
    assert not system.is_ours_alone(found)
    monkeypatch.delattr(os, "geteuid")
    assert system.is_ours_alone(found)
    assert system.is_folder(found)


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    held = []
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert system.try_lock(one.fileno())
        thread = threading.Thread(target=lambda: held.append(system.try_lock(other.fileno())))
        thread.start()
        thread.join()
    assert held == [False]
