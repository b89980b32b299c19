"""Small things the demo's people do at a keyboard, and small looks at what came of them; the tour is made of these."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from deploy.demo import netns, stubborn, wires
from deploy.demo.lab import BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, VENDOR
from deploy.demo.people import WU, ZHAO, Person
from deploy.demo.plant_api import Json, PlantApiError, PlantSession, text_of
from deploy.demo.site import DOMAIN
from deploy.demo.stage import Stage, StepFailed
from deploy.demo.target import ACCOUNT, HOSTNAME
from deploy.demo.terminal import Terminal
from deploy.demo.workstation import Desk

NAME = f"{HOSTNAME}.{DOMAIN}"
PROMPT = rf"{ACCOUNT}@{HOSTNAME}:\S*\$ "
SSH_FAILED = 255
REASON = "Axis 5: following error too high"
WORK_ORDER = "WO-2026-1187"

_SETTLE_SECONDS = 60.0
_TYPING_SECONDS = 10.0
_CONNECT_SECONDS = 60.0

# What the trail must tell, in this order; other events may stand between.
STORY = (
    "devices.invite.created",
    "devices.device.enrolled",
    "devices.device.trusted",
    "access.request.submitted",
    "access.request.approved",
    "grants.certificate.issued",
    "sessions.session.started",
    "sessions.command.blocked",
    "sessions.session.ended",
    "recordings.recording.replayed",
)
ALSO_TOLD = ("knock.accepted", "identities.sign_in.refused", "vault.credential.leased", "recordings.recording.sealed")


def hand_over(desk: Desk, name: str, text: str) -> None:
    """Put a private file into somebody's home, as if it had come by mail."""
    path = desk.home / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.chown(path, desk.account.uid, desk.account.uid)


def terminal(desk: Desk, argv: Sequence[str]) -> Terminal:
    """Somebody starts a program in a terminal window."""
    return Terminal(desk.argv(argv), owner_uid=desk.account.uid)


def started(desk: Desk, argv: Sequence[str], text: str = "") -> subprocess.Popen[str]:
    """Somebody starts a program beside others, and may type one short text into it; its output is one stream."""
    process = subprocess.Popen(
        desk.argv(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if process.stdin is not None:
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None  # communicate() would close it a second time
    desk.room.lab.adopt(process)
    return process


def answer(window: Terminal, questions: Sequence[tuple[str, str]]) -> None:
    """Type each answer when its question appears."""
    for question, typed in questions:
        window.expect(rf"(?i){re.escape(question)}: ", 30)  # the space comes when the echo is off
        window.type(f"{typed}\n")


def activate(desk: Desk, token: str, password: str) -> str:
    """Choose the new account's password; returns the secret shown for the authenticator.

    Raises:
        TerminalError: the client asked or answered something else.
    """
    with terminal(desk, ["sally", "activate"]) as window:
        answer(
            window,
            [
                ("activation token", token),
                ("new password", password),
                ("the same password again", password),
            ],
        )
        secret = window.expect(r"shown this once:\s+([A-Z2-7]{16,})\s", 60).group(1)
        window.wait()
    return secret


def sign_in(desk: Desk, person: Person, code: str) -> tuple[int, str]:
    """Sign in with the vendor's client, typing everything; returns exit status and screen."""
    with terminal(desk, ["sally", "login", "--username", person.role.username]) as window:
        answer(window, [("password", person.password), ("six-digit code", code)])
        status = window.wait(60)
        return status, window.screen


def sign_in_at_command_line(desk: Desk, person: Person, stage: Stage) -> tuple[int, str]:
    """Sign in with the plant's command line; returns exit status and screen."""
    hand_over(desk, "site-root.pem", stage.site.site_root.read_text(encoding="ascii"))
    console = f"https://{BROKER_CONSOLE_ADDRESS}:{CONSOLE_PORT}"
    argv = ["sallyport", "sign-in", "--console", console, "--site-root", "site-root.pem"]
    with terminal(desk, [*argv, "--username", person.role.username]) as window:
        answer(window, [("Password", person.password), ("One-time code", person.code(_TYPING_SECONDS))])
        status = window.wait(60)
        return status, window.screen


def output(desk: Desk, argv: Sequence[str]) -> Json:
    """Run a program that prints one JSON object and return it.

    Raises:
        StepFailed: it failed or printed something else.
    """
    done = desk.run(argv)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if done.returncode != 0 or not isinstance(found, dict):
        raise StepFailed(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip() or done.stdout[:300]}")
    return found


def wait_for(session: PlantSession, path: str, fits: Callable[[Json], bool]) -> Json:
    """Read a list until an item fits and return that item.

    Raises:
        StepFailed: none came within a minute.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        items = session.items(path)
        for item in items:
            if fits(item):
                return item
        if time.monotonic() > deadline:
            raise StepFailed(f"{path}: nothing of what was waited for, but {items}")
        time.sleep(0.2)


@contextmanager
def ssh_session(stage: Stage, person: Person) -> Iterator[Terminal]:
    """Somebody works on the target in a terminal window, with stock ssh; the window is closed at the end."""
    with terminal(stage.desk(person), ["ssh", NAME]) as shell:
        shell.expect(PROMPT, _CONNECT_SECONDS)
        yield shell


def live_session(stage: Stage, person: Person) -> str:
    """The id of somebody's session that runs now, as the console lists it.

    Raises:
        StepFailed: none came within a minute.
    """

    def fits(item: Json) -> bool:
        name = text_of(item, "person", "display_name")
        return name == person.role.display_name and item.get("recording_id") is not None

    zhao = stage.console_of(stage.site.people[ZHAO])
    return text_of(wait_for(zhao, "/sessions?state=live", fits), "id")


def live_sessions(stage: Stage) -> list[str]:
    """The ids of all sessions that run now, as the console lists them."""
    return [text_of(item, "id") for item in stage.console_of(stage.site.people[ZHAO]).items("/sessions?state=live")]


def closed_session(stage: Stage, session_id: str) -> Json:
    """A session's record once it is over.

    Raises:
        StepFailed: it is not within a minute.
    """
    zhao = stage.console_of(stage.site.people[ZHAO])
    return wait_for(zhao, "/sessions?state=closed", lambda item: item.get("id") == session_id)


def asked_and_approved(stage: Stage, person: Person, seconds: int | None = None) -> str:
    """An engineer asks for access and a plant administrator approves it; the grant's id.

    Args:
        seconds: the approver allows only so long; none means as asked, one hour.
    """
    asked = output(
        stage.desk(person),
        ["sally", "request", HOSTNAME, "--reason", REASON, "--work-order", WORK_ORDER, "--for", "1h", "--json"],
    )
    zhao = stage.console_of(stage.site.people[ZHAO])
    request_id = text_of(asked, "id")
    zhao.post(f"/access-requests/{request_id}/approve", {} if seconds is None else {"duration_seconds": seconds})
    return text_of(wait_for(zhao, "/grants", lambda item: item.get("request_id") == request_id), "id")


def events_of(stage: Stage, subject: str) -> list[Json]:
    """What the audit trail holds about something, oldest first."""
    wu = stage.console_of(stage.site.people[WU])
    return list(reversed(wu.items(f"/audit/events?limit=200&subject={subject}")))


def codes_of(stage: Stage, subject: str) -> list[str]:
    """The codes of those events."""
    return [text_of(item, "code") for item in events_of(stage, subject)]


def knocks_again(stage: Stage, person: Person, *grant_id: str) -> Json:
    """What comes of one more knock of somebody who holds a certificate, without asking whether it still counts.

    Raises:
        StepFailed: the client had nothing to knock with, so that nothing was tried.
    """
    desk = stage.desk(person)
    return output(desk, desk.module_argv(stubborn.__name__, NAME, *grant_id))


def await_codes(stage: Stage, subject: str, *wanted: str) -> list[str]:
    """The codes about something once all of these are among them; what there is after 30 s otherwise."""
    return wires.await_true(lambda: codes_of(stage, subject), lambda codes: set(wanted) <= set(codes))


def refusal_of(act: Callable[[], object]) -> str:
    """The code with which the site refuses an act; empty when it does not."""
    try:
        act()
    except PlantApiError as error:
        return error.code
    return ""


def who_and_where(session: Json) -> list[str]:
    """The person, device and target that a session in the console names."""
    return [text_of(session, *keys) for keys in (("person", "display_name"), ("device", "name"), ("target", "name"))]


def reaches_console(stage: Stage) -> bool:
    """Whether a connection from the vendor's side to the console's port comes about."""
    try:
        netns.connect(stage.lab.namespace(VENDOR), BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, 1.0).close()
    except OSError:
        return False
    return True


def missing_from_story(codes: Sequence[str]) -> list[str]:
    """Which events the trail lacks, or has in another order than they happened."""
    at = 0
    missing = [code for code in ALSO_TOLD if code not in codes]
    for wanted in STORY:
        try:
            at = codes.index(wanted, at) + 1
        except ValueError:
            missing.append(wanted)
    return missing
