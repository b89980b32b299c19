"""The people of the demo and what each knows: passwords and second factors, kept in one private file of the run."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyotp

STEP_SECONDS = 30


@dataclass(frozen=True)
class Role:
    """Who somebody is at the site."""

    username: str
    display_name: str
    role: str
    company: str | None
    language: str


ADMIN = Role("admin", "admin", "system_administrator", None, "en")
SUN = Role("sun", "Sun Yan", "security_administrator", None, "en")
LIN = Role("lin", "Lin Wei", "plant_admin", None, "zh-CN")
ZHAO = Role("zhao", "Zhao Min", "plant_admin", None, "en")
WU = Role("wu", "Wu Jing", "auditor", None, "en")
KELLER = Role("keller", "Jonas Keller", "vendor_engineer", "Keller Robotik", "en")
CAST = (ADMIN, SUN, LIN, ZHAO, WU, KELLER)


@dataclass
class Person:
    """A person with what only they know; `activated` once the site knows password and second factor.

    `last_step` is the time step of the code used last: the site takes no code twice, nor an older one.
    """

    role: Role
    password: str = field(repr=False)
    totp_secret: str = field(default="", repr=False)
    activated: bool = False
    last_step: int = field(default=0, repr=False)

    def code(self, within_seconds: float = 3.0, now: float | None = None) -> str:
        """The next one-time code the site takes: each step's code counts once, a neighbouring step's counts too.

        Waits for the next step when this one and its neighbours are used up.

        Args:
            within_seconds: how much later it may be used; a browser needs longer than a program.
            now: seconds since the epoch; none means the clock.
        """
        while True:
            at = time.time() if now is None else now
            step = max(int(at + within_seconds) // STEP_SECONDS - 1, self.last_step + 1)
            if step <= int(at) // STEP_SECONDS + 1:
                self.last_step = step
                return pyotp.TOTP(self.totp_secret, interval=STEP_SECONDS).generate_otp(step)
            time.sleep(0.5)


class People:
    """Everybody of the demo, by user name; `save` keeps them in a file that root alone may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._people = {role.username: Person(role, secrets.token_urlsafe(15)) for role in CAST}
        if path.exists():
            known: Mapping[str, Mapping[str, object]] = json.loads(path.read_text(encoding="utf-8"))["people"]
            for name, person in self._people.items():
                person.password = str(known[name]["password"])
                person.totp_secret = str(known[name]["totp_secret"])
                person.activated = known[name]["activated"] is True
                person.last_step = int(str(known[name]["last_step"]))

    def __getitem__(self, role: Role) -> Person:
        return self._people[role.username]

    def save(self) -> None:
        """Write the file again."""
        people = {
            name: {
                **asdict(person.role),
                "password": person.password,
                "totp_secret": person.totp_secret,
                "activated": person.activated,
                "last_step": person.last_step,
            }
            for name, person in self._people.items()
        }
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"people": people}, file, indent=1, ensure_ascii=False)
