"""A second engineer of the vendor comes in on the fly: account, laptop, trust, first sign-in, without a browser."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo import acts
from deploy.demo.lab import LabError
from deploy.demo.people import ADMIN, KELLER, LIN, Person, Role
from deploy.demo.plant_api import text_of
from deploy.demo.stage import Stage
from deploy.demo.workstation import Desk

USERNAME = "brandt"
DISPLAY_NAME = "Mia Brandt"


@dataclass(frozen=True)
class Newcomer:
    """An engineer who is signed in at her own desk."""

    person: Person
    person_id: str


def trusted_laptop(stage: Stage, desk: Desk, person_id: str, name: str, sally: Sequence[str] = ("sally",)) -> str:
    """Have a laptop invited, enrolled and trusted; returns the device's id.

    Args:
        sally: the client, as it is called at this desk.

    Raises:
        LabError: it could not be enrolled.
    """
    lin = stage.console_of(stage.site.people[LIN])
    acts.hand_over(desk, "invite.txt", text_of(lin.post("/device-invites", {"person_id": person_id}), "invite_text"))
    done = desk.run([*sally, "enroll", "invite.txt", "--name", name, "--json"])
    if done.returncode != 0:
        raise LabError(f"{name} could not enrol: {done.stderr}")
    enrolled = json.loads(done.stdout)
    device_id = text_of(enrolled, "device_id")
    lin.post(f"/devices/{device_id}/trust", {"short_code": text_of(enrolled, "short_code")})
    return device_id


def arrive(stage: Stage) -> Newcomer:
    """Have her enter, enrol, be trusted and sign in. Her account is of this run only: the tour suspends it.

    Raises:
        LabError: her laptop could not be enrolled, or she could not sign in.
    """
    role = Role(f"{USERNAME}-{stage.lab.id}", DISPLAY_NAME, KELLER.role, KELLER.company, "en")
    person = Person(role, secrets.token_urlsafe(15))
    stage.desks[role.username] = desk = stage.desks[USERNAME]
    fields = {"username": role.username, "display_name": role.display_name, "role": role.role}
    admin = stage.console_of(stage.site.people[ADMIN])
    made = admin.post("/people", {**fields, "company": role.company, "language": role.language})
    person_id = text_of(made, "person", "id")
    trusted_laptop(stage, desk, person_id, "brandt-laptop")
    person.totp_secret = acts.activate(desk, text_of(made, "activation_token"), person.password)
    status, screen = acts.sign_in(desk, person, person.code(within_seconds=10))
    if status != 0:
        raise LabError(f"{DISPLAY_NAME} could not sign in: {screen}")
    desk.run(["sally", "ssh-config", "--install"])
    return Newcomer(person, person_id)
