"""What a site still needs until its first session was seen: told from what is there, so nothing is ticked by hand."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func
from sqlmodel import Session, col, select

from broker.adapters.db.database import Database
from broker.audit import store as audit
from broker.devices.model import DeviceState
from broker.devices.store import DeviceRow, open_invites
from broker.identities.access import PlantAccess
from broker.identities.model import PersonState, Role
from broker.identities.store import PersonRow
from broker.kernel.clock import Clock
from broker.sessions.model import SessionState
from broker.sessions.store import SessionRow
from broker.targets.events import TargetKeyMatched
from broker.targets.store import TargetRow
from broker.vault.store import CredentialRow

PLANT_ADMINS: Final = 2
"""Who invited or trusted a device does not approve its grants alone."""

_REPLAYED: Final = "recordings.recording.replayed"


class StepState(StrEnum):
    """`waiting`: begun, and somebody else's turn."""

    DONE = "done"
    WAITING = "waiting"
    OPEN = "open"


class Step(BaseModel):
    """One step; `code` names it, its words are the console's."""

    model_config = ConfigDict(extra="forbid")

    code: str
    state: StepState


class SetUpAnswer(BaseModel):
    """The steps in their order."""

    model_config = ConfigDict(extra="forbid")

    complete: bool
    steps: list[Step]


def plant_router(database: Database, clock: Clock, access: PlantAccess) -> APIRouter:
    """The console's route `/set-up`."""
    router = APIRouter(tags=["health"])

    @router.get("/set-up", operation_id="get_set_up", dependencies=[Depends(access.requires("app.health.read"))])
    def get_set_up() -> SetUpAnswer:
        with database.reading() as session:
            found = steps(session, clock.now())
        return SetUpAnswer(
            complete=all(state is StepState.DONE for _, state in found),
            steps=[Step(code=code, state=state) for code, state in found],
        )

    return router


def steps(session: Session, now: datetime) -> list[tuple[str, StepState]]:
    """Every step in its order, and how far it is."""
    people = {
        (role, state): count
        for role, state, count in session.exec(
            select(col(PersonRow.role), col(PersonRow.state), func.count()).group_by(
                col(PersonRow.role), col(PersonRow.state)
            )
        ).all()
    }

    def of_role(role: Role, wanted: int = 1) -> StepState:
        active = people.get((role, PersonState.ACTIVE), 0)
        begun = active + sum(people.get((role, state), 0) for state in (PersonState.INVITED, PersonState.UNCONFIRMED))
        return StepState.DONE if active >= wanted else StepState.WAITING if begun else StepState.OPEN

    devices = set(session.exec(select(col(DeviceRow.state)).distinct()).all())
    device = StepState.OPEN
    if DeviceState.TRUSTED in devices:
        device = StepState.DONE
    elif DeviceState.PENDING in devices or open_invites(session, now):
        device = StepState.WAITING
    sessions = set(
        session.exec(select(col(SessionRow.state)).where(col(SessionRow.started_at).is_not(None)).distinct()).all()
    )
    watched = StepState.OPEN
    if SessionState.CLOSED in sessions:
        watched = StepState.DONE
    elif sessions:
        watched = StepState.WAITING
    kept = session.exec(select(CredentialRow.id).where(col(CredentialRow.replaced_at).is_(None)).limit(1)).first()
    return [
        ("system_administrator", of_role(Role.SYSTEM_ADMINISTRATOR)),
        ("security_administrator", of_role(Role.SECURITY_ADMINISTRATOR)),
        ("plant_admins", of_role(Role.PLANT_ADMIN, PLANT_ADMINS)),
        ("auditor", of_role(Role.AUDITOR)),
        ("target", _is(session.exec(select(TargetRow.id).limit(1)).first())),
        ("credential", _is(kept)),
        ("connection_test", _is(audit.newest(session, limit=1, code=TargetKeyMatched.code))),
        ("vendor_engineer", of_role(Role.VENDOR_ENGINEER)),
        ("device", device),
        ("session", watched),
        ("replay", _is(audit.newest(session, limit=1, code=_REPLAYED))),
    ]


def _is(found: object) -> StepState:
    return StepState.DONE if found else StepState.OPEN
