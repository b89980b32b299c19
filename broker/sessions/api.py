"""Sessions over HTTP, at the plant face only."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.sessions.model import SessionState
from broker.sessions.rules import WORDS_CHARACTERS
from broker.sessions.service import SessionsService, SessionView


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CutBody(_Schema):
    """Why a session is cut; its engineer reads this."""

    reason: str = Field(min_length=1, max_length=WORDS_CHARACTERS)


class Named(_Schema):
    """A person."""

    id: str
    display_name: str


class NamedThing(_Schema):
    """A device or a target."""

    id: str
    name: str


class SessionAnswer(_Schema):
    """A session. `recording_id` is null until its recording was opened."""

    id: str
    grant_id: str
    person: Named
    device: NamedThing
    source: str
    target: NamedThing
    account: str
    protocol: str
    state: str
    admitted_at: datetime
    not_after: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    exit_status: int | None
    recording_id: str | None
    commands_blocked: int


class SessionList(_Schema):
    """A page of sessions, newest first."""

    items: list[SessionAnswer]
    next_cursor: str | None


def plant_router(service: SessionsService, access: PlantAccess) -> APIRouter:
    """The console's routes under `/sessions`."""
    router = APIRouter(tags=["sessions"])
    reader = Annotated[Principal, Depends(access.requires("sessions.session.read"))]
    cutter = Annotated[Principal, Depends(access.requires("sessions.session.cut"))]

    @router.get("/sessions", operation_id="list_sessions")
    def list_sessions(
        _: reader,
        state: SessionState | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> SessionList:
        views = service.sessions(limit=limit, before_id=cursor, state=state)
        return SessionList(
            items=[_answer(view) for view in views],
            next_cursor=views[-1].record.id if len(views) == limit else None,
        )

    @router.get("/sessions/{session_id}", operation_id="get_session")
    def get_session(session_id: str, _: reader) -> SessionAnswer:
        return _answer(service.get(session_id))

    @router.post("/sessions/{session_id}/cut", operation_id="cut_session")
    def cut_session(session_id: str, body: CutBody, caller: cutter) -> SessionAnswer:
        service.cut(caller.person_id, session_id, body.reason)
        return _answer(service.get(session_id))

    return router


def _answer(view: SessionView) -> SessionAnswer:
    record = view.record
    return SessionAnswer(
        id=record.id,
        grant_id=record.grant_id,
        person=Named(id=view.person.id, display_name=view.person.display_name),
        device=NamedThing(id=view.device.id, name=view.device.name),
        source=record.source,
        target=NamedThing(id=view.target.id, name=view.target.name),
        account=record.account,
        protocol=record.protocol,
        state=record.state.value,
        admitted_at=record.admitted_at,
        not_after=record.not_after,
        started_at=record.started_at,
        ended_at=record.ended_at,
        end_reason=record.end_reason,
        exit_status=record.exit_status,
        recording_id=record.recording_id if view.has_recording else None,
        commands_blocked=record.commands_blocked,
    )
