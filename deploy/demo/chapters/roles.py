"""Who may do what, asked of the running site itself: roles that exclude each other, an auditor who only looks."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

from deploy.demo import acts
from deploy.demo.people import ADMIN, KELLER, LIN, SUN, WU, ZHAO, Role
from deploy.demo.plant_api import PREFIX, Json, text_of
from deploy.demo.room import CHECKOUT
from deploy.demo.stage import Stage
from deploy.demo.target import HOSTNAME

_NOT_PERMITTED = "identities.not_permitted"
_APART = (
    ("enter people", "POST", "/people", (SUN, LIN, WU)),
    ("confirm who was entered", "POST", "/people/x/confirm", (ADMIN, LIN, WU)),
    ("enter machines", "POST", "/targets", (ADMIN, LIN, WU)),
    ("store their credentials", "POST", "/targets/x/credentials", (ADMIN, LIN, WU)),
    ("trust a device", "POST", "/devices/x/trust", (ADMIN, SUN, WU)),
    ("approve access", "POST", "/access-requests/x/approve", (ADMIN, SUN, WU)),
    ("replay what was recorded", "GET", "/recordings/x/cast", (ADMIN, SUN, LIN)),
    ("read the audit trail", "GET", "/audit/events", (ADMIN, SUN, LIN)),
)
_ANYBODYS = {"sign_in", "sign_out", "choose_language", "begin_activation", "complete_activation"}
_AUDITORS_OWN = {"unmask_recording", "place_recording_hold", "confirm_purge", "decline_purge"}


def roles(stage: Stage) -> None:
    """Nobody holds two roles that exclude each other, nobody vouches and approves alone, an auditor changes nothing."""
    _one_role_for_good(stage)
    for what, method, path, others in _APART:
        found = {role.role: _refusal(stage, role, method, path) for role in others}
        stage.prove(
            f"one role may {what}; refused: {', '.join(role.replace('_', ' ') for role in found)}",
            holds=set(found.values()) == {_NOT_PERMITTED},
            found=found,
        )
    _nobody_vouches_and_approves(stage)
    _auditor_only_looks(stage)


def _refusal(stage: Stage, role: Role, method: str, path: str, body: Json | None = None) -> str:
    session = stage.console_of(stage.site.people[role])
    return acts.refusal_of(lambda: session.ask(method, path, {} if method != "GET" else body))


def _one_role_for_good(stage: Stage) -> None:
    """Neither by a second account of the same name nor past the product, in the database itself."""
    admin = stage.console_of(stage.site.people[ADMIN])
    again = {"username": ZHAO.username, "display_name": ZHAO.display_name, "role": WU.role, "language": "en"}
    refused = acts.refusal_of(lambda: admin.post("/people", again))
    stage.prove("who has a role is not entered again for another", holds=refused != "", found="entered")
    database = stage.site.state_dir / "control" / "sallyport.db"
    said = ""
    with closing(sqlite3.connect(database, timeout=10)) as past_the_product:
        try:
            past_the_product.execute("UPDATE people SET role = ? WHERE username = ?", (WU.role, ZHAO.username))
        except sqlite3.IntegrityError as error:
            said = str(error)
        past_the_product.rollback()
    stage.prove("the database itself keeps everybody's role, also against root", holds="one role" in said, found=said)


def _nobody_vouches_and_approves(stage: Stage) -> None:
    """Keller's laptop was invited and trusted by Lin: Lin alone gives it no access, Zhao could."""
    ask = ["sally", "request", HOSTNAME, "--reason", acts.REASON, "--work-order", acts.WORK_ORDER, "--for", "1h"]
    asked = acts.output(stage.desk(stage.site.people[KELLER]), [*ask, "--json"])
    path = f"/access-requests/{text_of(asked, 'id')}"
    refused = _refusal(stage, LIN, "POST", f"{path}/approve")
    stage.prove(
        "who invited and trusted the device does not approve its access alone",
        holds=refused == "access_requests.approver_vouched_for_device",
        found=refused,
    )
    zhao = stage.console_of(stage.site.people[ZHAO])
    denied = zhao.post(f"{path}/deny", {"reason": "Only a trial of the roles"})
    stage.prove("it still waits for another person, who denies it", holds=denied.get("state") == "denied", found=denied)


def _auditor_only_looks(stage: Stage) -> None:
    """Every operation that changes something, but an auditor's own four, which destroy and hide nothing alone."""
    described = json.loads((CHECKOUT / "web" / "openapi.json").read_text(encoding="utf-8"))
    tried = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            if method != "get" and path.startswith(PREFIX) and name not in _ANYBODYS | _AUDITORS_OWN:
                filled = re.sub(r"\{\w+\}", "x", path.removeprefix(PREFIX))
                tried[name] = _refusal(stage, WU, method.upper(), filled)
    stage.prove(
        f"an auditor's try at each of {len(tried)} operations that change something is refused",
        holds=bool(tried) and set(tried.values()) == {_NOT_PERMITTED},
        found={name: code for name, code in tried.items() if code != _NOT_PERMITTED},
    )
