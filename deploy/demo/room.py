"""A room: a host of the laboratory with its own files, users and host name, on top of the machine's own file system.

`ip netns exec` gives a host its network; a room adds a mount namespace (private /etc/passwd, /home, /srv, /run …) and a
UTS namespace, so that a real login service or a real workstation user exists without a change to the machine's /etc.
The room's first process runs this module as a script: it mounts what its plan says and becomes the given program.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.demo.lab import Lab, LabError

CHECKOUT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 10.0
_END_SECONDS = 2.0


@dataclass(frozen=True)
class Account:
    """A user who exists only inside a room; `password_hash` is in crypt(3) form, `*` means none works."""

    name: str
    uid: int
    home: str
    password_hash: str = "*"  # noqa: S105 - means: no password fits
    login_shell: str = "/bin/bash"
    full_name: str = ""


@dataclass(frozen=True)
class Plan:
    """What a room mounts, in this order: binds over existing paths, fresh tmpfs, then binds to paths inside those.

    Args:
        hostname: the room's host name.
        over: (source, existing path) pairs.
        fresh: paths that get an empty tmpfs.
        inside: (source, new path) pairs; the new path is made as a directory.
        own_processes: a process namespace of its own, whose end ends everything in the room.
        pid_file: where the room's first process writes its pid as the machine sees it, when all is mounted.
    """

    hostname: str
    over: tuple[tuple[str, str], ...]
    fresh: tuple[str, ...]
    inside: tuple[tuple[str, str], ...]
    own_processes: bool
    pid_file: str


@dataclass(frozen=True)
class Room:
    """A furnished host: its first process and how to run something beside it."""

    lab: Lab
    host: str
    process: subprocess.Popen[str]
    pid: int

    def argv(self, argv: Sequence[str], *, account: Account, env: Mapping[str, str]) -> list[str]:
        """The command line that runs `argv` in the room as `account`, in its home, with only `env` as environment."""
        mounts = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--net", f"--wdns={account.home}", "--"]
        person = ["setpriv", f"--reuid={account.uid}", f"--regid={account.uid}", "--clear-groups", "--no-new-privs"]
        rights = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]
        return [*mounts, *person, *rights, "env", "-i", *(f"{name}={value}" for name, value in env.items()), *argv]

    def end(self) -> None:
        """End the room's first process: asked first, then told; harmless when it has ended already."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)


def open_room(lab: Lab, host: str, plan: Plan, argv: Sequence[str], log: Path) -> Room:
    """Start `argv` as the room's first process and wait until the room is furnished.

    Raises:
        LabError: the room's process ended or was not ready in time; the message holds what it wrote.
    """
    plan_file = Path(plan.pid_file).with_suffix(".plan.json")
    plan_file.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    spaces = ["--mount", "--uts", *(["--pid", "--fork", "--kill-child"] if plan.own_processes else [])]
    furnish = [sys.executable, "-m", "deploy.demo.room", "--plan", str(plan_file), "--", *argv]
    with log.open("w", encoding="utf-8") as out:
        process = lab.popen(
            host,
            ["unshare", *spaces, "--", *furnish],
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
    deadline = time.monotonic() + _READY_SECONDS
    pid_file = Path(plan.pid_file)
    while not pid_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"the room {host} did not come up: {log.read_text(encoding='utf-8').strip()}")
        time.sleep(0.01)
    room = Room(lab, host, process, int(pid_file.read_text(encoding="utf-8")))
    lab.before_close(room.end)  # unshare itself does not pass a signal on
    return room


def write_users(folder: Path, accounts: Sequence[Account]) -> tuple[tuple[str, str], ...]:
    """Write passwd, group and shadow files that know root, nobody and `accounts`; returns them as `Plan.over` pairs."""
    known = [
        Account("root", 0, "/root"),
        Account("nobody", 65534, "/nonexistent", login_shell="/usr/sbin/nologin"),
        *accounts,
    ]
    lines = {
        "passwd": [f"{a.name}:x:{a.uid}:{a.uid}:{a.full_name}:{a.home}:{a.login_shell}" for a in known],
        "group": [*(f"{a.name}:x:{a.uid}:" for a in known), "tty:x:5:"],
        "shadow": [f"{a.name}:{a.password_hash}:20000:0:99999:7:::" for a in known],
    }
    for name, content in lines.items():
        path = folder / name
        path.touch(mode=0o600 if name == "shadow" else 0o644)
        path.write_text("\n".join(content) + "\n", encoding="utf-8")
    return tuple((str(folder / name), f"/etc/{name}") for name in lines)


def _furnish(plan: Plan) -> None:
    machine_pid = str(Path("/proc/self").readlink())  # before /proc is replaced: as processes outside see this one
    pid_file = os.open(plan.pid_file + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    folder = os.open(Path(plan.pid_file).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _run("mount", "-n", "--make-rprivate", "/")
    if plan.own_processes:
        _run("mount", "-n", "-t", "proc", "proc", "/proc")
    for source, path in plan.over:
        _run("mount", "-n", "--bind", source, path)
    # A tmpfs may hide the sources of later binds, so these are held open and bound through /proc/self/fd.
    held = [(os.open(source, os.O_PATH), path) for source, path in plan.inside]
    for path in plan.fresh:
        _run("mount", "-n", "-t", "tmpfs", "-o", "mode=0755,size=64m", "tmpfs", path)
    for handle, path in held:
        Path(path).mkdir(parents=True, exist_ok=True)
        _run("mount", "-n", "--bind", f"/proc/{os.getpid()}/fd/{handle}", path)
        os.close(handle)
    _run("hostname", plan.hostname)
    os.write(pid_file, machine_pid.encode())
    name = Path(plan.pid_file).name
    os.rename(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def _read_plan(path: Path) -> Plan:
    raw = json.loads(path.read_text(encoding="utf-8"))
    pairs = {name: tuple((str(a), str(b)) for a, b in raw[name]) for name in ("over", "inside")}
    return Plan(
        hostname=str(raw["hostname"]),
        over=pairs["over"],
        fresh=tuple(str(path) for path in raw["fresh"]),
        inside=pairs["inside"],
        own_processes=bool(raw["own_processes"]),
        pid_file=str(raw["pid_file"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args()
    _furnish(_read_plan(options.plan))
    os.execvp(options.argv[0], options.argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
