"""A second engineer of the vendor comes in on the fly: account, laptop, trust, first sign-in, without a browser."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from deploy.demo import acts
from deploy.demo.lab import LabError
from deploy.demo.people import ADMIN, KELLER, LIN, Person, Role
from deploy.demo.plant_api import text_of
from deploy.demo.stage import Stage

USERNAME = "brandt"
DISPLAY_NAME = "Mia Brandt"


@dataclass(frozen=True)
class Newcomer:
    """An engineer who is signed in at her own desk."""

    person: Person
    person_id: str


def arrive(stage: Stage) -> Newcomer:
    """Have her enter, enrol, be trusted and sign in. Her account is of this run only: the tour suspends it.

    Raises:
        LabError: her laptop could not be enrolled, or she could not sign in.
    """
    role = Role(f"{USERNAME}-{stage.lab.id}", DISPLAY_NAME, KELLER.role, KELLER.company, "en")
    person = Person(role, secrets.token_urlsafe(15))
    stage.desks[role.username] = desk = stage.desks[USERNAME]
    fields = {"username": role.username, "display_name": role.display_name, "role": role.role}
    admin, lin = stage.console_of(stage.site.people[ADMIN]), stage.console_of(stage.site.people[LIN])
    made = admin.post("/people", {**fields, "company": role.company, "language": role.language})
    person_id = text_of(made, "person", "id")
    invite = lin.post("/device-invites", {"person_id": person_id})
    acts.hand_over(desk, "invite.txt", text_of(invite, "invite_text"))
    enrolled = desk.run(["sally", "enroll", "invite.txt", "--name", "brandt-laptop"])
    code = re.search(r"Short code: (.+)", enrolled.stdout)
    device = next((item for item in lin.items("/devices") if text_of(item, "person", "id") == person_id), None)
    if code is None or device is None:
        raise LabError(f"{DISPLAY_NAME} could not enrol: {enrolled.stderr}")
    lin.post(f"/devices/{text_of(device, 'id')}/trust", {"short_code": code.group(1).strip()})
    person.totp_secret = acts.activate(desk, text_of(made, "activation_token"), person.password)
    status, screen = acts.sign_in(desk, person, person.code(within_seconds=10))
    if status != 0:
        raise LabError(f"{DISPLAY_NAME} could not sign in: {screen}")
    desk.run(["sally", "ssh-config", "--install"])
    return Newcomer(person, person_id)
