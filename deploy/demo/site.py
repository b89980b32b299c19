"""Prepares and runs the demo's site: settings, keys, processes, people, and the target with its credential."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.demo import boundary
from deploy.demo.lab import (
    BROKER,
    BROKER_CONSOLE_ADDRESS,
    BROKER_VENDOR_ADDRESS,
    CONSOLE_PORT,
    Lab,
    LabError,
)
from deploy.demo.people import ADMIN, CAST, KELLER, LIN, SUN, People, Person
from deploy.demo.plant_api import Console, PlantApiError, PlantSession, text_of
from deploy.demo.processes import USERS, Processes, kill_hard
from deploy.demo.target import HOSTNAME, Target
from deploy.demo.workstation import PROGRAMS

SITE = "hefei-2"
DOMAIN = "plant"
KNOCK_PORT, TLS_PORT, SSH_PORT = 62201, 443, 22
_READY_SECONDS = 90.0
_STOP_SECONDS = 30.0

_SETTINGS = """\
[site]
name = "{site}"
state_dir = "{state}"
run_dir = "{run}"
ssh_domain = "{domain}"
database_url = "{database_url}"

[vendor_face]
host = "{vendor_host}"
interface = "out0"
tls_port = {tls_port}
ssh_port = {ssh_port}
knock_ports = [{knock_port}]

[plant_face]
host = "{plant_host}"
port = {plant_port}
interface = "mgmt0"
networks = ["10.20.0.0/24", "10.30.0.0/24"]

[boundary]
plan_file = "{zone_plan}"

[metrics]
token_file = "{metrics_token}"
"""


class Site:
    """The site `hefei-2` on the broker's host.

    Args:
        lab: where it runs.
        state: what outlives the run, when it should; the run's own directory otherwise.
        log: where the site's processes write; none means into the run's directory.
        database_url: a store on PostgreSQL; empty means SQLite in the state.
    """

    def __init__(self, lab: Lab, state: Path, log: Path | None = None, *, database_url: str = "") -> None:
        self._lab = lab
        self._state = state / "site"
        self.config = lab.dir / "sallyport.toml"
        self.log = log or lab.dir / "sallyport.log"
        self.people = People(state / "credentials.json")
        self.console = Console(lab, self._state / "public" / "site-root.pem")
        self.metrics_token = secrets.token_hex(32)
        self._process: subprocess.Popen[str] | None = None
        self._starts = 0
        run_dir = lab.dir / "run"
        if state != lab.dir:
            (lab.dir / self.people.path.name).symlink_to(self.people.path)
        self.config.write_text(
            _SETTINGS.format(
                site=SITE,
                state=self._state,
                run=run_dir,
                domain=DOMAIN,
                database_url=database_url,
                metrics_token=_keep_token(lab.dir / "metrics.token", self.metrics_token),
                vendor_host=BROKER_VENDOR_ADDRESS,
                plant_host=BROKER_CONSOLE_ADDRESS,
                plant_port=CONSOLE_PORT,
                tls_port=TLS_PORT,
                ssh_port=SSH_PORT,
                knock_port=KNOCK_PORT,
                zone_plan=boundary.plan_of_site(lab),
            ),
            encoding="utf-8",
        )
        lab.before_close(self.people.save)
        lab.before_close(self.stop)

    @property
    def state_dir(self) -> Path:
        """Keys, database and recordings."""
        return self._state

    @property
    def site_root(self) -> Path:
        """The certificate of the site's own root."""
        return self.console.site_root

    def init(self) -> float:
        """Make the site's keys and database unless it has them; returns the seconds it took (0 when it had)."""
        if self.site_root.exists():
            return 0.0
        started = time.monotonic()
        self._sallyport("init")
        return time.monotonic() - started

    def start(self) -> float:
        """Start every process of the site; returns the seconds until it says that all are ready.

        Raises:
            LabError: it ended or was not ready in time; the message ends with the site's last words.
        """
        self._starts += 1
        path = self._lab.dir / f"ready-{self._starts}.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, self.log.open("a", encoding="utf-8") as log:
            ready.bind(str(path))
            ready.settimeout(0.2)
            started = time.monotonic()
            self._process = self._lab.popen(
                BROKER,
                [str(PROGRAMS / "sallyport"), "up", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(path)},
            )
            while b"READY=1" not in _receive(ready):
                if self._process.poll() is not None or time.monotonic() - started > _READY_SECONDS:
                    raise LabError(f"the site did not come up; its last words:\n{self.last_words()}")
            self._wait_until_joined(started + _READY_SECONDS)
            return time.monotonic() - started

    def stop(self) -> None:
        """Stop every process of the site in its own order; harmless when it does not run."""
        if self._process is not None and self.runs():
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def runs(self) -> bool:
        """Whether the site's supervisor lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def processes(self) -> Processes:
        """The processes of the running site.

        Raises:
            LabError: it does not run.
        """
        if self._process is None or not self.runs():
            raise LabError(f"the site does not run; its last words:\n{self.last_words()}")
        return Processes(self._process.pid)

    def start_again(self) -> float:
        """Start the site after its supervisor died, as after a crash; returns the seconds until all are ready.

        What the supervisor left behind goes first: a service manager's control group would take it along.

        Raises:
            LabError: what was left does not end, or the site does not come up.
        """
        if self._process is not None:
            self._process.wait(_STOP_SECONDS)
        namespace = self._lab.name(BROKER)
        for pid in subprocess.check_output(["ip", "netns", "pids", namespace], text=True).split():
            with suppress(ProcessLookupError):
                kill_hard(int(pid))
        return self.start()

    @contextmanager
    def changed(self, section: str, **values: object) -> Iterator[None]:
        """Run the control plane with other settings meanwhile; it is started again for it, and once more afterwards.

        Raises:
            LabError: it does not come back.
        """
        before = self.config.read_text(encoding="utf-8")
        set_up(self.config, section, **values)
        self._restart_control()
        try:
            yield
        finally:
            self.config.write_text(before, encoding="utf-8")
            self._restart_control()

    def _restart_control(self) -> None:
        self.processes.await_new("control", 0)
        self.processes.await_new("control", self.processes.kill("control"))
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until every part answers again, as the console's own readiness tells.

        Raises:
            LabError: it does not in time.
        """
        self._wait_until_joined(time.monotonic() + _READY_SECONDS)

    def sallyport(
        self, *arguments: str, config: Path | None = None, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the plant's command line as root on the broker's host; its exit status is the caller's to judge.

        Args:
            config: other settings than the site's own.
            text: standard input.
        """
        argv = [str(PROGRAMS / "sallyport"), *arguments, "--config", str(config or self.config)]
        return self._lab.run(BROKER, argv, timeout_seconds=120.0, check=False, text=text)

    def last_words(self, lines: int = 30) -> str:
        """The end of the site's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def settle_people(self) -> str:
        """Give everybody an account; returns the activation token of the vendor's engineer ("" when long active)."""
        for role, which in ((ADMIN, ()), (SUN, ("--security",))):
            if not self.people[role].activated:
                names = ("--username", role.username, "--name", role.display_name)
                link = self._sallyport("first-admin", *which, *names).stdout.strip()
                self._activate(self.people[role], link.rpartition("#")[2])
        if all(self.people[role].activated for role in CAST):
            return ""
        session, security = self.sign_in(self.people[ADMIN]), self.sign_in(self.people[SUN])
        vendor_token = ""
        for role in CAST:
            person = self.people[role]
            if person.activated:
                continue
            fields = {
                "username": role.username,
                "display_name": role.display_name,
                "role": role.role,
                "company": role.company,
                "language": role.language,
            }
            token = text_of(session.post("/people", fields), "activation_token")
            if role is KELLER:
                vendor_token = token
            else:
                # The person reads the code to the security administrator, who confirms that it was they.
                code = self._activate(person, token)
                entered = next(item for item in session.items("/people") if item["username"] == role.username)
                security.post(f"/people/{text_of(entered, 'id')}/confirm", {"code": code})
        security.sign_out()
        session.sign_out()
        self.people.save()
        return vendor_token

    def settle_target(self, target: Target) -> None:
        """Register the target with its pinned host key and put its password into the vault, as who may do that."""
        session = self.sign_in(self.people[SUN])
        if not any(item["name"] == HOSTNAME for item in session.items("/targets")):
            zone = session.post("/zones", {"name": boundary.ZONE})
            made = session.post(
                "/targets",
                {
                    "name": HOSTNAME,
                    "zone_id": text_of(zone, "id"),
                    "address": target.address,
                    "port": target.port,
                    "protocol": "ssh",
                    "host_key": target.host_key,
                    "description": "Controller of press line 3",
                    "accounts": [target.account],
                },
            )
            secret = {"account": target.account, "kind": "password", "secret": target.password}
            session.post(f"/targets/{text_of(made, 'id')}/credentials", secret)
        session.sign_out()

    def invite(self) -> str:
        """Have the plant's administrator invite the engineer's device; returns the invite's text."""
        session = self.sign_in(self.people[LIN])
        engineer = next(item for item in session.items("/people") if item["username"] == KELLER.username)
        invite = session.post("/device-invites", {"person_id": text_of(engineer, "id")})
        session.sign_out()
        return text_of(invite, "invite_text")

    def note_activated(self, person: Person) -> None:
        """Remember that somebody has set their password and second factor."""
        person.activated = True
        self.people.save()

    def sign_in(self, person: Person) -> PlantSession:
        """A session of one of the plant's people."""
        return self.console.sign_in(person.role.username, person.password, person.code())

    def _wait_until_joined(self, deadline: float) -> None:
        """The processes run; wait until they have also found each other, as the console's own readiness tells."""
        while True:
            try:
                self.console.ask("GET", "/readyz")
            except (PlantApiError, OSError) as error:
                if time.monotonic() > deadline:
                    raise LabError(f"the site is not ready: {error}; its last words:\n{self.last_words()}") from error
                time.sleep(0.05)
            else:
                return

    def _activate(self, person: Person, token: str) -> str:
        person.totp_secret = self.console.begin_activation(token)
        code = self.console.complete_activation(token, person.password, person.code())
        self.note_activated(person)
        return code

    def _sallyport(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(PROGRAMS / "sallyport"), *arguments, "--config", str(self.config)]
        return self._lab.run(BROKER, argv, timeout_seconds=60.0)


def _keep_token(path: Path, token: str) -> Path:
    """Write the metrics' token where control, and nobody else, reads it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(token + "\n")
    os.chown(path, USERS["control"], USERS["control"])
    return path


def set_up(config: Path, section: str, **values: object) -> None:
    """Put settings into a site's file; a section that is there gets them first."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    text = config.read_text(encoding="utf-8")
    text = re.sub("".join(rf"^{name} = .*\n|" for name in values) + r"(?!)", "", text, flags=re.MULTILINE)
    head = f"[{section}]\n"
    text = text.replace(head, head + lines) if head in text else f"{text}\n{head}{lines}"
    config.write_text(text, encoding="utf-8")


def _receive(ready: socket.socket) -> bytes:
    try:
        return ready.recv(512)
    except TimeoutError:
        return b""
