"""The page "first run" in both languages: its commands typed word for word on a machine of its own, to the last one.

What the page has a person do in the console is done at the console's API; that the console has the words which the page
prints in bold is looked up in the console's texts. `./dev setup` is what these tests are run with, so only its result,
the folder of programs, takes the place that the page leaves open.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from deploy.demo import wires
from deploy.demo.lab import Lab
from deploy.demo.people import Person, Role
from deploy.demo.plant_api import Console, PlantApiError, PlantSession, text_of
from deploy.demo.workstation import PROGRAMS
from tests.e2e.first_run.page import LANGUAGES, ROOT, Page, console_words, page
from tests.e2e.first_run.sandbox import SECONDS, Sandbox, Shell

pytestmark = pytest.mark.netns
BOTH = pytest.mark.parametrize("language", LANGUAGES)
_FOLDER = re.compile(r"/var/lib/sallyport-dev/…/bin")
_PEOPLE = {
    "lin": ("plant_admin", None),
    "zhao": ("plant_admin", None),
    "wu": ("auditor", None),
    "keller": ("vendor_engineer", "Keller Robotik"),
}
_MAINT = "a-word-of-maint-42"


def test_both_pages_have_the_same_commands() -> None:
    english, chinese = (
        [re.sub(r'language = ".*"', "", re.sub(r'--reason ".*?"', "", block)) for block in page(language).commands()]
        for language in LANGUAGES
    )
    assert english == chinese


@BOTH
def test_the_console_has_the_words_that_the_page_prints_in_bold(language: str) -> None:
    known = {text.rstrip("…").split("{")[0].strip() for text in console_words(language)}
    bold = page(language).bold()
    assert len(bold) > 25
    assert [words for words in bold if words not in known] == []


@dataclass
class Walk:
    """One way through the page: the machine, the people, and what each step leaves for the next."""

    page: Page
    sandbox: Sandbox
    people: dict[str, Person] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, PlantSession] = field(default_factory=dict)

    @property
    def shell(self) -> Shell:
        return self.sandbox.shell

    def lines(self, step: int) -> Iterator[str]:
        """The lines to type in a step, with the folder of programs in its place."""
        for block in self.page.blocks(step):
            yield from _FOLDER.sub(f"{PROGRAMS}", block).splitlines()

    def console(self) -> Console:
        """The console as the browser on this machine sees it."""
        lab = cast("Lab", self.sandbox)  # all that is asked of it is where the browser runs
        return Console(lab, self.sandbox.path("/var/lib/sallyport/public/site-root.pem"))

    def person(self, name: str, role: str) -> Person:
        """Somebody with a password of their own."""
        return self.people.setdefault(name, Person(Role(name, name, role, None, "en"), secrets.token_urlsafe(15)))

    def as_(self, name: str) -> PlantSession:
        """Somebody's session in the console, signed in once."""
        if name not in self.sessions:
            person = self.people[name]
            self.sessions[name] = self.console().sign_in(name, person.password, person.code())
        return self.sessions[name]

    def typed(self, line: str, answers: dict[str, Callable[[], str]] | None = None) -> str:
        """Type a line and wait for the next prompt; returns what was said."""
        return self.shell.type(line, answers)


def install(walk: Walk) -> None:
    setup, path = walk.lines(1)
    assert setup.startswith("./dev setup")
    walk.typed(path)
    assert "usage" in walk.typed("sallyport --help").lower()


def small_hosts(walk: Walk) -> None:
    for line in walk.lines(2):
        walk.typed(line, {r"New password: ": lambda: _MAINT, r"Retype new password: ": lambda: _MAINT})
    assert walk.shell.status() == 0


def the_site(walk: Walk) -> None:
    for line in walk.lines(3):
        said = walk.typed(line)
        if link := re.search(r"https://\S+#(\S+)", said):
            walk.links["sun" if "--security" in line else "admin"] = link[1]
    walk.shell.terminal.expect("ready: every process runs", SECONDS)
    walk.typed("")
    assert set(walk.links) == {"admin", "sun"}


def people_in_the_console(walk: Walk) -> None:
    for name, role in (("admin", "system_administrator"), ("sun", "security_administrator")):
        _activated(walk, walk.person(name, role), walk.links[name])
    table = re.findall(r"^\| `(\w+)` \|", walk.page.part("### 4."), re.MULTILINE)
    assert table == list(_PEOPLE)
    for name in table:
        role, company = _PEOPLE[name]
        fields = {"username": name, "display_name": name, "role": role, "company": company, "language": "en"}
        made = walk.as_("admin").post("/people", fields)
        person, walk.links[name] = walk.person(name, role), text_of(made, "activation_token")
        if role != "vendor_engineer":
            code = _activated(walk, person, walk.links[name])
            walk.as_("sun").post(f"/people/{text_of(made, 'person', 'id')}/confirm", {"code": code})


def _activated(walk: Walk, person: Person, token: str) -> str:
    person.totp_secret = walk.console().begin_activation(token)
    return walk.console().complete_activation(token, person.password, person.code())


def the_machine(walk: Walk) -> None:
    sun = walk.as_("sun")
    zone = sun.post("/zones", {"name": "Press shop"})
    where = {"address": "10.40.0.20", "port": 22, "protocol": "ssh"}
    key = text_of(sun.post("/target-probes", where), "host_key")
    own = walk.sandbox.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii")
    assert key == " ".join(own.split()[:2])
    fields = {"name": "press-01", "zone_id": text_of(zone, "id"), "host_key": key, "accounts": ["maint"]}
    target_id = text_of(sun.post("/targets", {**where, **fields}), "id")
    secret = {"account": "maint", "kind": "password", "secret": _MAINT}
    sun.post(f"/targets/{target_id}/credentials", secret)
    tested = sun.post(f"/targets/{target_id}/probe")
    assert (tested["outcome"], tested["key_differs"]) == ("key_shown", False)


def invite_enrol_trust(walk: Walk) -> None:
    lin = walk.as_("lin")
    keller = next(item for item in lin.items("/people") if item["username"] == "keller")
    invite = text_of(lin.post("/device-invites", {"person_id": text_of(keller, "id")}), "invite_text")
    become, path, save, enrol = walk.lines(6)
    walk.typed(become)
    walk.typed(path)
    walk.shell.terminal.type(f"{save}\n")
    wires.await_true(walk.sandbox.path("/home/keller/invite.txt").exists, bool)  # pasted when it waits, not before
    walk.shell.terminal.type(f"{invite}\n\x04")
    walk.shell.await_prompt()
    code = re.search(r"Short code: (\S+)", walk.typed(enrol))
    assert code is not None, walk.shell.terminal.screen[-800:]
    (device,) = lin.items("/devices")
    lin.post(f"/devices/{text_of(device, 'id')}/trust", {"short_code": code[1]})


def sign_in_and_ask(walk: Walk) -> None:
    keller = walk.people["keller"]
    activate, login, request = walk.lines(7)
    said = walk.typed(
        activate,
        {
            r"Activation token: ": lambda: walk.links["keller"],
            r"New password: ": lambda: keller.password,
            r"The same password again: ": lambda: keller.password,
        },
    )
    secret = re.search(r"shown this once:\s+([A-Z2-7]{16,})", said)
    assert secret is not None, said
    keller.totp_secret = secret[1]
    answers = {
        r"User name: ": lambda: "keller",
        r"Password: ": lambda: keller.password,
        r"Six-digit code: ": lambda: keller.code(within_seconds=10),
    }
    assert "Signed in" in walk.typed(login, answers)
    walk.typed(request)
    assert walk.shell.status() == 0
    (asked,) = walk.as_("zhao").items("/access-requests")
    with pytest.raises(PlantApiError) as refusal:
        walk.as_("lin").post(f"/access-requests/{text_of(asked, 'id')}/approve")
    assert refusal.value.code == "access_requests.approver_vouched_for_device"
    walk.as_("zhao").post(f"/access-requests/{text_of(asked, 'id')}/approve")


def let_in(walk: Walk) -> None:
    install_it, connect = walk.lines(8)
    walk.typed(install_it)
    assert re.search(r"maint@\S+:\S*\$ ", said := walk.typed(connect)), said
    walk.typed("hostname")
    assert "blocked" in walk.typed("rm -rf /srv/data")
    walk.typed("exit")


def played_back(walk: Walk) -> None:
    wu = walk.people["wu"]
    (session,) = walk.as_("wu").items("/sessions")
    assert session["commands_blocked"] == 1
    recording_id = text_of(session, "recording_id")
    sign_in, listed, play, state = walk.lines(9)
    root = walk.sandbox.another_shell()
    root.type(_FOLDER.sub(str(PROGRAMS), "export PATH=/var/lib/sallyport-dev/…/bin:$PATH"))
    root.type(
        sign_in,
        {r"Password: ": lambda: wu.password, r"One-time code: ": lambda: wu.code(within_seconds=10)},
    )
    assert root.status() == 0
    assert recording_id in root.type(listed)
    assert "rm -rf /srv/data" in root.type(play.replace("rec_…", recording_id), seconds=2 * SECONDS)
    root.type(state)
    assert root.status() == 0


def away_with_it(walk: Walk) -> None:
    assert "Signed out" in walk.typed("sally logout")
    walk.typed("exit")
    for line in walk.lines(10):
        walk.typed(line)
    assert walk.shell.status() == 0
    for gone in ("/etc/sallyport", "/var/lib/sallyport", "/run/sallyport", "/home/keller", "/home/maint"):
        assert not walk.sandbox.path(gone).exists(), gone
    assert walk.sandbox.processes() == []


STEPS = (
    install,
    small_hosts,
    the_site,
    people_in_the_console,
    the_machine,
    invite_enrol_trust,
    sign_in_and_ask,
    let_in,
    played_back,
    away_with_it,
)


@BOTH
def test_the_page_leads_from_nothing_to_a_played_back_session_and_away_again(language: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("the page is typed as root")
    with Sandbox(ROOT) as sandbox:
        walk = Walk(page(language), sandbox)
        for step in STEPS:
            step(walk)
