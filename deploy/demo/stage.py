"""What the tour's steps share: the running parts, and how a step states and proves things."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

from deploy.demo.lab import BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, Lab
from deploy.demo.people import Person
from deploy.demo.plant_api import PlantApiError, PlantSession
from deploy.demo.site import Site
from deploy.demo.sitting import Sitting
from deploy.demo.spki import spki_sha256_b64
from deploy.demo.target import Target
from deploy.demo.workstation import Desk

_TYPING_SECONDS = 20.0


class StepFailed(RuntimeError):
    """A step's claim does not hold; says which, and what was found instead."""


@dataclass
class StepResult:
    """What one step proved, or where it failed."""

    number: int
    name: str
    proofs: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything the step claims holds."""
        return not self.failure


@dataclass
class Stage:
    """The parts a step works with, and what earlier steps found out for later ones."""

    lab: Lab
    site: Site
    target: Target
    desks: dict[str, Desk]
    activation_token: str
    out: TextIO = field(default_factory=lambda: sys.stdout)
    result: StepResult = field(default_factory=lambda: StepResult(0, ""))
    session_id: str = ""
    recording_id: str = ""
    ssh_to_prompt_seconds: float = 0.0
    _signed_in: dict[str, PlantSession] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell the person who watches what is going on."""
        self.out.write(f"    {text}\n")
        self.out.flush()

    def prove(self, claim: str, *, holds: bool, found: object = "") -> None:
        """State a claim that was checked.

        Raises:
            StepFailed: it does not hold; `found` says what was seen.
        """
        if not holds:
            raise StepFailed(f"{claim} - this does not hold. Found: {found}")
        self.result.proofs.append(claim)
        self.out.write(f"  ✓ {claim}\n")
        self.out.flush()

    def desk(self, person: Person) -> Desk:
        """Where somebody sits."""
        return self.desks[person.role.username]

    def console_of(self, person: Person) -> PlantSession:
        """Somebody's own session at the console's API, signed in once for all steps."""
        name = person.role.username
        if name not in self._signed_in:
            self._signed_in[name] = self.site.sign_in(person)
        return self._signed_in[name]

    def sign_out_all(self) -> None:
        """End every session that `console_of` began."""
        for session in self._signed_in.values():
            with suppress(PlantApiError, OSError):  # the site may have ended it, or be gone
                session.sign_out()
        self._signed_in.clear()

    def sitting(self, person: Person) -> Sitting:
        """Somebody sits down at their desk with a real browser, for several tasks."""
        order = {
            "url": f"https://{BROKER_CONSOLE_ADDRESS}:{CONSOLE_PORT}",
            "trusted_key": spki_sha256_b64(self.site.console.leaf_certificate()),
            "username": person.role.username,
            "password": person.password,
            "totp": person.code(within_seconds=_TYPING_SECONDS),
            "language": person.role.language,
        }
        return Sitting(self.desk(person), person.role.display_name, order)

    def browse(self, person: Person, task: str, **facts: str) -> dict[str, str]:
        """Have somebody do one task in a real browser at their desk; returns what they read on the page.

        Raises:
            SittingError: the page did not do what it should; the message holds the browser's words.
        """
        with self.sitting(person) as sitting:
            return sitting.do(task, **facts)


Step = Callable[[Stage], None]


def run_step(stage: Stage, number: int, name: str, step: Step, purpose: str) -> StepResult:
    """Carry out one step and print it; what fails becomes the result's failure."""
    stage.result = StepResult(number, name)
    stage.out.write(f"\n{number}. {name} - {purpose}\n")
    stage.out.flush()
    started = time.monotonic()
    try:
        step(stage)
    except Exception as error:  # noqa: BLE001 - the tour's edge: any failure of a step is its result
        kind = "" if isinstance(error, StepFailed) else f"{type(error).__name__}: "
        stage.result.failure = f"{kind}{error}"
        stage.out.write(f"  ✗ {stage.result.failure}\n")
    stage.result.seconds = time.monotonic() - started
    stage.out.write(f"    ({stage.result.seconds:.1f} s)\n")
    stage.out.flush()
    return stage.result
