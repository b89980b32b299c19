"""One running site with its people and their laptops, and what the tests of this folder do with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from deploy.demo import acts, netns
from deploy.demo.lab import BROKER, BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, OFFICE, VENDOR
from deploy.demo.people import ADMIN, KELLER, LIN, WU, ZHAO, Person, Role
from deploy.demo.plant_api import COOKIE, PREFIX, Json, PlantSession, text_of
from deploy.demo.site import DOMAIN, Site, set_up
from deploy.demo.target import ACCOUNT, HOSTNAME, Target, start_target
from deploy.demo.terminal import Terminal
from deploy.demo.workstation import PROGRAMS, Desk, open_desks
from tests.e2e.site.processes import Processes
from tests.e2e.site.street import ADA, BEN, StreetLab

NAME = f"{HOSTNAME}.{DOMAIN}"
PROMPT = rf"{ACCOUNT}@{HOSTNAME}:\S*\$ "
ADA_ROLE = Role(ADA, "Ada Krause", "vendor_engineer", "Krause Antriebe", "en")
BEN_ROLE = Role(BEN, "Ben Olsen", "vendor_engineer", "Olsen Vision", "en")
SECONDS = 60.0
_PATIENCE_SECONDS = 15
_Found = TypeVar("_Found")


def wait_until(look: Callable[[], _Found], what: str, seconds: float = SECONDS) -> _Found:
    """Look again and again until something is found; `what` was waited for says the failure."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: did not come within {seconds:g} s"
        time.sleep(0.1)


class World:
    """The site `hefei-2`, with Keller at the vendor's own address, and Ada and Ben behind the same one."""

    def __init__(self, lab: StreetLab, settings: Mapping[str, Mapping[str, object]]) -> None:
        self.lab = lab
        self.target: Target = start_target(lab)
        self.site = Site(lab, lab.dir)
        for section, values in settings.items():
            set_up(self.site.config, section, **values)
        self.desks: dict[str, Desk] = {
            **open_desks(lab, VENDOR, "keller-laptop", {KELLER.username: KELLER.display_name}),
            **open_desks(lab, ADA, "ada-laptop", {ADA: ADA_ROLE.display_name}),
            **open_desks(lab, BEN, "ben-laptop", {BEN: BEN_ROLE.display_name}),
        }
        self.engineers = {ADA: Person(ADA_ROLE, "ada-has-a-word-7"), BEN: Person(BEN_ROLE, "ben-has-a-word-7")}
        self._signed_in: dict[str, PlantSession] = {}
        self.site.init()
        self.site.start()
        self._keller_token = self.site.settle_people()
        self.engineers[KELLER.username] = self.site.people[KELLER]
        self.site.settle_target(self.target)

    # -- the plant's people

    def console(self, role: Role) -> PlantSession:
        """Somebody's session at the console's API, signed in once."""
        if role.username not in self._signed_in:
            self._signed_in[role.username] = self.site.sign_in(self.site.people[role])
        return self._signed_in[role.username]

    def events(self, code: str = "*", subject: str = "") -> list[Json]:
        """The newest 200 events of the trail with this code, oldest first."""
        path = f"/audit/events?limit=200&code={code}" if code != "*" else "/audit/events?limit=200"
        found = self.console(WU).items(path + (f"&subject={subject}" if subject else ""))
        return list(reversed(found))

    def trail_is_whole(self) -> None:
        """`sallyport verify` finds nothing wrong with trail, witness, index and recordings; 3 names a broken one."""
        done = self.sallyport("verify")
        assert done.returncode in (0, 3), done.stdout + done.stderr

    def recording_is(self, session: Json, state: str) -> None:
        """A session's recording has come to this state and verifies as far as that goes."""
        recording_id = text_of(session, "recording_id")
        wait_until(
            lambda: text_of(self.console(WU).get(f"/recordings/{recording_id}"), "state") == state,
            f"{recording_id} is {state}",
        )

    def sessions(self, state: str) -> list[Json]:
        """The sessions in this state, newest first."""
        return self.console(WU).items(f"/sessions?state={state}")

    def live(self, username: str) -> Json:
        """Somebody's live session."""
        name = self.engineers[username].role.display_name
        return wait_until(
            lambda: next(
                (one for one in self.sessions("live") if text_of(one, "person", "display_name") == name), None
            ),
            f"a live session of {name}",
        )

    def closed(self, session: Json) -> Json:
        """The same session once it is closed."""
        wanted = text_of(session, "id")

        def look() -> Json | None:
            found = self.console(WU).get(f"/sessions/{wanted}")
            return found if found.get("state") == "closed" else None

        return wait_until(look, f"{wanted} is closed")

    # -- the broker's host

    @property
    def processes(self) -> Processes:
        """The running processes."""
        process = self.site._process
        assert process is not None
        return Processes(process.pid)

    def sallyport(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The plant's command line, as root on the broker's host."""
        argv = [str(PROGRAMS / "sallyport"), *arguments, "--config", str(self.site.config)]
        return self.lab.run(BROKER, argv, timeout_seconds=120.0, check=False)

    def all_is_well(self) -> None:
        """Wait until every part runs and answers again."""
        for name in ("opener", "control", "gateway", "guard"):
            wait_until(lambda name=name: self.processes.pid(name), f"{name} runs")  # type: ignore[misc]

        def ready() -> bool:
            try:
                self.site.console.ask("GET", "/readyz")
            except Exception:  # noqa: BLE001 - whatever is wrong, it is not ready yet
                return False
            return True

        wait_until(ready, f"the site is ready; it said {self.site.last_words()}")

    def start_again(self) -> None:
        """The site after its supervisor died: what it left is stopped, and it is started as after a crash."""
        self.site.start_again()
        self.all_is_well()

    @contextmanager
    def watching(self, session_id: str) -> Iterator[None]:
        """Somebody at the plant watches a live session in the console meanwhile."""
        viewer = self.console(LIN)
        plain = netns.connect(self.lab.namespace(OFFICE), BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, 20.0)
        trusted = ssl.create_default_context(cafile=str(self.site.site_root))
        line = trusted.wrap_socket(plain, server_hostname=BROKER_CONSOLE_ADDRESS)
        connection = http.client.HTTPConnection(BROKER_CONSOLE_ADDRESS, CONSOLE_PORT)
        connection.sock = line
        connection.request("GET", f"{PREFIX}/sessions/{session_id}/watch", headers={"Cookie": cookie_of(viewer)})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()

        def read() -> None:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                while answer.read1(65_536):
                    pass

        reading = threading.Thread(target=read)
        reading.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            reading.join(SECONDS)
            line.close()

    # -- the engineers

    def settle(self, username: str) -> None:
        """An engineer's account, enrolled and trusted laptop, signed in, with ssh set up; once."""
        if self.engineers[username].activated:
            return
        person, desk = self.engineers[username], self.desks[username]
        token = self._keller_token if username == KELLER.username else self._new_account(person)
        people = self.console(LIN).items("/people")
        engineer = next(one for one in people if one["username"] == username)
        invite = self.console(LIN).post("/device-invites", {"person_id": text_of(engineer, "id")})
        acts.hand_over(desk, "invite.txt", text_of(invite, "invite_text"))
        done = desk.run(["sally", "enroll", "invite.txt", "--name", f"{username}-laptop", "--json"])
        assert done.returncode == 0, done.stderr
        enrolled = json.loads(done.stdout)
        code = {"short_code": enrolled["short_code"]}
        self.console(LIN).post(f"/devices/{enrolled['device_id']}/trust", code)
        person.totp_secret = acts.activate(desk, token, person.password)
        person.activated = True
        self.sign_in(username)
        done = desk.run(["sally", "ssh-config", "--install"])
        assert done.returncode == 0, done.stderr

    def sign_in(self, username: str) -> None:
        """An engineer signs in, again with a fresh session key and no certificate."""
        person, desk = self.engineers[username], self.desks[username]
        desk.run(["sally", "logout"])
        status, screen = acts.sign_in(desk, person, person.code(within_seconds=10))
        assert status == 0, screen

    def grant(self, username: str, seconds: int | None = None) -> str:
        """Access to the target, asked for and approved; the grant's id. `seconds` shortens its hour."""
        asked = acts.output(
            self.desks[username],
            ["sally", "request", HOSTNAME, "--reason", "Axis 5", "--work-order", "WO-1", "--for", "1h", "--json"],
        )
        request_id = text_of(asked, "id")
        shorter = {} if seconds is None else {"duration_seconds": seconds}
        self.console(ZHAO).post(f"/access-requests/{request_id}/approve", shorter)
        return wait_until(
            lambda: next(
                (
                    text_of(one, "id")
                    for one in self.console(ZHAO).items("/grants")
                    if one.get("request_id") == request_id
                ),
                "",
            ),
            "the grant of an approved request",
        )

    def revoke(self, grant_id: str) -> None:
        """Take a grant back."""
        self.console(ZHAO).post(f"/grants/{grant_id}/revoke", {"reason": "the work is done"})

    @contextmanager
    def shell(self, username: str) -> Iterator[Terminal]:
        """Stock ssh in a terminal, at the target's prompt."""
        with self.start(username, ["ssh", NAME]) as terminal:
            terminal.expect(PROMPT, SECONDS)
            yield terminal

    def start(self, username: str, argv: Sequence[str]) -> Terminal:
        """A program in a terminal at somebody's desk."""
        return acts.terminal(self.desks[username], argv)

    def ssh(self, username: str, command: str) -> subprocess.CompletedProcess[str]:
        """Stock ssh with a command, to its end."""
        return self.desks[username].run(["ssh", NAME, command])

    def lets_nobody_in(self, username: str) -> bool:
        """Whether stock ssh gets no session; a client that goes on knocking is not waited for."""
        argv = ["timeout", str(_PATIENCE_SECONDS), "ssh", NAME, "echo came-in"]
        return "came-in" not in self.desks[username].run(argv).stdout

    def device_of(self, username: str) -> str:
        """The id of somebody's device."""
        devices = self.console(LIN).items("/devices")
        return next(text_of(one, "id") for one in devices if one.get("name") == f"{username}-laptop")

    def _new_account(self, person: Person) -> str:
        role = person.role
        admin = self.console(ADMIN)
        fields = {
            "username": role.username,
            "display_name": role.display_name,
            "role": role.role,
            "company": role.company,
            "language": role.language,
        }
        return text_of(admin.post("/people", fields), "activation_token")


def cookie_of(session: PlantSession) -> str:
    """The Cookie header of somebody who is signed in."""
    return f"{COOKIE}={session.cookie}"


def answers(shell: Terminal, word: str) -> bool:
    """Whether the shell still carries out what is typed."""
    shell.type(f"echo {word}-$((40+2))\n")
    return shell.expect(f"{word}-42", SECONDS) is not None


__all__ = ["ADA", "BEN", "KELLER", "NAME", "PROMPT", "World", "answers", "set_up", "wait_until"]
