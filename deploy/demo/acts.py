"""Small things the demo's people do at a keyboard, and small looks at what came of them; the tour is made of these."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence

from deploy.demo import netns
from deploy.demo.lab import BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, VENDOR
from deploy.demo.people import Person
from deploy.demo.plant_api import Json, PlantApiError, PlantSession, text_of
from deploy.demo.stage import Stage, StepFailed
from deploy.demo.terminal import Terminal
from deploy.demo.workstation import Desk

_SETTLE_SECONDS = 20.0
_TYPING_SECONDS = 10.0

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
        StepFailed: none came within 20 s.
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
