"""`sallyport up`: the small root supervisor. Standard library only.

It makes the folders and every listening socket, loads the base rule set, starts the four processes as their own ids
with their sockets, waits until each is ready, restarts one that dies and stops them in order. Nothing it does opens a
door; its death ends nothing. The sockets outlive a restart of the process that listens on them.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from broker.app.layout import Layout
from broker.app.plans import Program, StartError, opener_configuration, programs
from broker.app.settings import Settings

_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0
_FIRST_BACKOFF_SECONDS: Final = 0.2
_LONGEST_BACKOFF_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 30.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class _Child:
    program: Program
    pid: int = 0
    ready: bool = False
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff_seconds: float = _FIRST_BACKOFF_SECONDS
    status_line: str = field(default="", repr=False)


class Supervisor:
    """Keeps the programs running until it is told to stop."""

    def __init__(self, supervised: Sequence[Program], notify_path: Path) -> None:
        self._children = [_Child(program) for program in supervised]
        self._stopping = False
        notify_path.unlink(missing_ok=True)
        self._notify_path = notify_path
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notify.bind(str(notify_path))
        notify_path.chmod(0o666)
        self._notify.setblocking(False)
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> int:
        """Start everything, keep it running, return when a stop was asked for."""
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_writer)
        try:
            for child in self._children:
                self._start(child)
                self._wait_ready(child)
                if self._stopping:
                    return 0
            _say("ready: every process runs")
            _tell_service_manager("READY=1")
            while not self._stopping:
                self._turn(1.0)
            return 0
        finally:
            self._stop_all()
            signal.set_wakeup_fd(-1)
            self._notify.close()
            os.close(self._wake_reader)
            os.close(self._wake_writer)
            self._notify_path.unlink(missing_ok=True)

    def _on_stop_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _wait_ready(self, child: _Child) -> None:
        limit = time.monotonic() + _READY_SECONDS
        while not child.ready and not self._stopping:
            if time.monotonic() > limit:
                raise StartError(f"{child.program.name} did not become ready within {_READY_SECONDS:.0f} s")
            self._turn(0.2)

    def _turn(self, seconds: float) -> None:
        watched: list[socket.socket | int] = [self._notify, self._wake_reader]
        readable, _, _ = select.select(watched, [], [], seconds)
        if self._wake_reader in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_reader, 4096)
        self._read_notifications()
        self._reap()
        now = time.monotonic()
        for child in self._children:
            if child.pid == 0 and child.restart_at and now >= child.restart_at and not self._stopping:
                self._start(child)

    def _read_notifications(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._notify.recvmsg(512, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return
            pid = next(
                (
                    int.from_bytes(payload[:4], sys.byteorder)
                    for level, kind, payload in ancillary
                    if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
                ),
                0,
            )
            for child in self._children:
                if child.pid == pid and b"READY=1" in data:
                    child.ready = True
                    _say(f"{child.program.name} is ready (pid {pid})")

    def _reap(self) -> None:
        for child in self._children:
            if child.pid == 0:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            lived = time.monotonic() - child.started_at
            child.pid, child.ready = 0, False
            if self._stopping:
                continue
            if lived > _STEADY_SECONDS:
                child.backoff_seconds = _FIRST_BACKOFF_SECONDS
            child.restart_at = time.monotonic() + child.backoff_seconds
            _say(
                f"{child.program.name} ended ({_how(status)}) after {lived:.1f} s; "
                f"starting it again in {child.backoff_seconds:.1f} s"
            )
            child.backoff_seconds = min(child.backoff_seconds * 2, _LONGEST_BACKOFF_SECONDS)

    def _start(self, child: _Child) -> None:
        child.started_at, child.restart_at, child.ready = time.monotonic(), 0.0, False
        child.pid = _spawn(child.program, {"NOTIFY_SOCKET": str(self._notify_path)})

    def _stop_all(self) -> None:
        self._stopping = True
        for child in reversed(self._children):
            if child.pid == 0:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
            limit = time.monotonic() + _STOP_SECONDS
            while child.pid and time.monotonic() < limit:
                self._reap()
                time.sleep(0.02)
            if child.pid:
                _say(f"{child.program.name} did not stop within {_STOP_SECONDS:.0f} s and is killed")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0


def _spawn(program: Program, environment: Mapping[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(signal_number, signal.SIG_DFL)
        os.setsid()
        become(program, environment)
    except OSError as error:
        os.write(2, f"sallyport: cannot start {program.name}: {error}\n".encode())
    finally:
        os._exit(127)


def become(program: Program, environment: Mapping[str, str]) -> NoReturn:
    """Turn this process into the program, as its own id, with its sockets from descriptor 3 on (systemd's protocol).

    Raises OSError when setpriv cannot be run.
    """
    keep = "".join(f",+{capability}" for capability in program.capabilities)
    command = (
        "setpriv",
        f"--reuid={program.uid}",
        f"--regid={program.uid}",
        "--clear-groups",
        f"--inh-caps=-all{keep}",
        f"--ambient-caps=-all{keep}",
        f"--bounding-set=-all{keep}",
        "--no-new-privs",
        "--",
        *program.argv,
    )
    os.chdir("/")
    high = [os.dup(sock.fileno()) for _, sock in program.sockets]
    first_free = 3 + len(high)
    moved = [os.dup(descriptor) if descriptor < first_free else descriptor for descriptor in high]
    for number, descriptor in enumerate(moved, start=3):
        os.dup2(descriptor, number, inheritable=True)
    os.closerange(first_free, 4096)
    env = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LISTEN_FDS": str(len(moved)),
        "LISTEN_FDNAMES": ":".join(name for name, _ in program.sockets),
        "LISTEN_PID": str(os.getpid()),
        **environment,
    }
    os.execvpe("setpriv", command, env)  # noqa: S606 - an argument list, no shell


def up(settings: Settings, config_path: Path) -> int:
    """Run the site until SIGTERM or SIGINT; returns the exit status."""
    if os.geteuid() != 0:
        raise StartError("'sallyport up' starts four users' processes and loads firewall rules: run it as root")
    layout = Layout.of(settings)
    if not layout.site_root.exists():
        raise StartError("this site has no keys yet: run 'sallyport init' first")
    for folder in layout.folders(settings):
        folder.path.mkdir(parents=True, exist_ok=True)
        os.chown(folder.path, folder.uid, folder.gid)
        folder.path.chmod(folder.mode)
    close_everything(settings, layout)
    supervised = programs(settings, config_path.resolve(), layout)
    return Supervisor(supervised, layout.socket("notify")).run()


def close_everything(settings: Settings, layout: Layout, *how: str) -> None:
    """Write what root allows the opener to do, and load the base rule set that follows from it.

    Rules that would lock out the SSH session that this is done from are not loaded, and change nothing. how: further
    options of the opener's `load`.
    """
    opener_config = layout.run / "opener.json"
    wanted = layout.run / "opener.json.new"
    wanted.write_text(json.dumps(opener_configuration(settings), indent=1), encoding="utf-8")
    wanted.chmod(0o644)
    load_rules(wanted, "--installs", str(opener_config), *how)


def load_rules(opener_config: Path, *how: str) -> None:
    """Load the base rule set: everything closed, before anything listens."""
    command = [sys.executable, "-P", "-m", "spa_knock.opener", "load", "--config", str(opener_config), *how]
    loaded = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd="/")
    if loaded.returncode != 0:
        raise StartError(f"the base rule set was not loaded: {loaded.stderr.strip()[:2000]}")


def confirm_rules(layout: Layout) -> None:
    """Keep the rules that were loaded on trial. Raises StartError when none are."""
    config = str(layout.run / "opener.json")
    command = [sys.executable, "-P", "-m", "spa_knock.opener", "confirm", "--config", config]
    if subprocess.run(command, capture_output=True, timeout=30, check=False, cwd="/").returncode != 0:
        raise StartError("no rules wait to be confirmed: they are final, or were taken back after two minutes")


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"status {os.waitstatus_to_exitcode(status)}"


def _say(line: str) -> None:
    sys.stderr.write(f"sallyport: {line}\n")
    sys.stderr.flush()


def _tell_service_manager(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(message.encode())
