"""The demo target: a real OpenSSH server with a real password account on the plant's host, in a room of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.demo import netns
from deploy.demo.lab import PLANT, PLANT_ADDRESS, Lab, LabError
from deploy.demo.room import Account, Plan, Room, open_room, write_users

HOSTNAME = "press-line-3"
PORT = 22
ACCOUNT = "maint"
DATA_DIR = "/srv/data"
_UID = 61190
_READY_SECONDS = 10.0

_SSHD_CONFIG = """
Port 22
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication no
PermitRootLogin no
AllowUsers maint
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 50:30:100
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""

_BASHRC = """
PS1='\\u@\\h:\\w\\$ '
unset HISTFILE
"""

_DATA = {
    "recipes.csv": "part,pressure_bar,temperature_c,cycle_s\nKR-2210,184,212,31\nKR-2214,176,208,29\n",
    "maintenance.log": "2026-11-18 axis 3: grease renewed\n2026-11-19 axis 5: following error 0.4 mm, watch\n",
    "axis5-parameters.ini": "[servo]\nkp=2.15\nki=0.08\nfollowing_error_max=0.5\n",
}


@dataclass(frozen=True)
class Target:
    """The running target; `host_key` is one OpenSSH public key line without a comment."""

    room: Room
    address: str
    port: int
    account: str
    password: str
    host_key: str
    data_dir: Path
    log: Path

    def data_files(self) -> dict[str, str]:
        """What lies in the target's /srv/data now, by file name."""
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(self.data_dir.iterdir())}

    def __repr__(self) -> str:
        return f"Target({self.account}@{self.address}:{self.port}, password=***)"


def start_target(lab: Lab, folder: Path | None = None) -> Target:
    """Start sshd on the plant's host and wait until it greets.

    Args:
        folder: where its host key, password and data are kept and found again; none means in the run's directory.

    Raises:
        LabError: sshd did not come up.
    """
    folder = folder or lab.dir / "target"
    ssh_dir, home, data = folder / "ssh", folder / "home", folder / "data"
    for path in (folder, ssh_dir, home, data):
        path.mkdir(mode=0o755, exist_ok=True)
    password, host_key = _keep_password(folder / "password"), _keep_host_key(ssh_dir)
    (ssh_dir / "sshd_config").write_text(_SSHD_CONFIG, encoding="utf-8")
    (home / ".bashrc").write_text(_BASHRC, encoding="utf-8")
    (home / ".bash_profile").write_text(". ~/.bashrc\n", encoding="utf-8")
    for name, content in _DATA.items():
        (data / name).write_text(content, encoding="utf-8")
    for path in (home, data, *home.iterdir(), *data.iterdir()):
        os.chown(path, _UID, _UID)
    log = lab.dir / "sshd.log"
    users = write_users(
        folder,
        [
            Account(ACCOUNT, _UID, f"/home/{ACCOUNT}", _hash(password), full_name="Press line 3 maintenance"),
            Account("sshd", 103, "/run/sshd", login_shell="/usr/sbin/nologin"),
        ],
    )
    plan = Plan(
        hostname=HOSTNAME,
        over=(*users, (str(ssh_dir), "/etc/ssh")),
        fresh=("/home", "/srv", "/run"),
        inside=((str(home), f"/home/{ACCOUNT}"), (str(data), DATA_DIR)),
        own_processes=True,
        pid_file=str(lab.dir / "target.pid"),
    )
    sshd = ["sh", "-c", "mkdir -m 0755 /run/sshd && exec /usr/sbin/sshd -D -e"]
    room = open_room(lab, PLANT, plan, sshd, log)
    _wait_for_greeting(lab, log)
    return Target(room, PLANT_ADDRESS, PORT, ACCOUNT, password, host_key, data, log)


def _keep_password(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(18), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _keep_host_key(ssh_dir: Path) -> str:
    key = ssh_dir / "ssh_host_ed25519_key"
    if not key.exists():
        _output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key))
    return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def _hash(password: str) -> str:
    return _output("openssl", "passwd", "-6", "-stdin", text=password).strip()


def _output(*argv: str, text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{argv[0]}: {done.stderr.strip()}")
    return done.stdout


def _wait_for_greeting(lab: Lab, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with netns.connect(lab.namespace(PLANT), PLANT_ADDRESS, PORT, 1.0) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise LabError(f"the target's sshd does not greet: {log.read_text(encoding='utf-8').strip()}")
        time.sleep(0.02)
