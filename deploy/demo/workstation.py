"""Where the demo's people sit: rooms on the vendor's and the office's host, with a home folder for each of them.

Stock ssh takes the home from the user database and not from $HOME, so a person needs a real account: it exists in the
room only. People work without root and without capabilities.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.lab import Lab
from deploy.demo.room import CHECKOUT, Account, Plan, Room, open_room, write_users

PROGRAMS = Path(sys.executable).parent
_FIRST_UID = 61200
_MODULES = "/srv/demo"


@dataclass(frozen=True)
class Desk:
    """One person's place: run programs as them, in their home."""

    room: Room
    account: Account
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """A login's environment, the product's programs and those of the system on PATH."""
        return {
            "HOME": self.account.home,
            "USER": self.account.name,
            "LOGNAME": self.account.name,
            "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "XDG_RUNTIME_DIR": f"/run/user/{self.account.uid}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def argv(self, argv: Sequence[str], more: Mapping[str, str] | None = None) -> list[str]:
        """The command line, to be started from anywhere, that runs `argv` here."""
        return self.room.argv(argv, account=self.account, env={**self.environment, **(more or {})})

    def module_argv(self, module: str, *arguments: str) -> list[str]:
        """The command line of one of this package's modules, for people who do not work in the checkout."""
        return ["env", f"PYTHONPATH={_MODULES}", str(PROGRAMS / "python"), "-m", module, *arguments]

    def run(
        self, argv: Sequence[str], *, timeout_seconds: float = 60.0, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, without a terminal; its exit status is the caller's to judge."""
        return subprocess.run(
            self.argv(argv), input=text, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )


def open_desks(lab: Lab, host: str, hostname: str, people: Mapping[str, str]) -> dict[str, Desk]:
    """Furnish a host for these people (user name → full name) and return a desk for each."""
    folder = lab.dir / host
    folder.mkdir(mode=0o755)
    accounts = [
        Account(name, _FIRST_UID + number, f"/home/{name}", full_name=full_name)
        for number, (name, full_name) in enumerate(people.items())
    ]
    homes, inside = {}, [(str(_readable_copy(lab)), _MODULES)]
    for account in accounts:
        for kind, path in (("home", account.home), ("runtime", f"/run/user/{account.uid}")):
            place = folder / f"{account.name}-{kind}"
            place.mkdir(mode=0o700)
            os.chown(place, account.uid, account.uid)
            inside.append((str(place), path))
        homes[account.name] = folder / f"{account.name}-home"
    plan = Plan(
        hostname=hostname,
        over=write_users(folder, accounts),
        fresh=("/home", "/run", "/srv"),
        inside=tuple(inside),
        own_processes=False,
        pid_file=str(folder / "room.pid"),
    )
    room = open_room(lab, host, plan, ["sleep", "infinity"], folder / "room.log")
    return {account.name: Desk(room, account, homes[account.name]) for account in accounts}


def _readable_copy(lab: Lab) -> Path:
    """This package and the console's texts where everybody can read them: the checkout may lie in root's own home."""
    copy = lab.dir / "checkout"
    if not copy.exists():
        shutil.copytree(
            CHECKOUT / "deploy" / "demo", copy / "deploy" / "demo", ignore=shutil.ignore_patterns("__pycache__")
        )
        for texts in (CHECKOUT / "web" / "src").glob("*/texts.*.json"):
            place = copy / texts.relative_to(CHECKOUT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(texts, place)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    return copy
