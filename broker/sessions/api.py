"""Sessions over HTTP, at the plant face only."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.kernel.errors import SallyportError
from broker.sessions.event_stream import EventStream
from broker.sessions.live import LiveSessions
from broker.sessions.model import SessionState
from broker.sessions.rules import MESSAGE_CHARACTERS, WORDS_CHARACTERS
from broker.sessions.service import SessionsService, SessionView
from broker.sessions.watching import Watching

_LARGEST_FRAME: Final = 2**53 - 1


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CutBody(_Schema):
    """Why a session is cut; its engineer reads this."""

    reason: str = Field(min_length=1, max_length=WORDS_CHARACTERS)


class HoldBody(_Schema):
    """Why the engineer's input is held; the engineer reads this."""

    reason: str = Field(min_length=1, max_length=WORDS_CHARACTERS)


class ReleaseBody(_Schema):
    """Why the engineer's input goes on; for the trail."""

    reason: str = Field(min_length=1, max_length=WORDS_CHARACTERS)


class MessageBody(_Schema):
    """One line for the engineer's terminal."""

    text: str = Field(min_length=1, max_length=MESSAGE_CHARACTERS)


class Held(_Schema):
    """Since when and why the engineer's input is held."""

    at: datetime
    reason: str


class Named(_Schema):
    """A person."""

    id: str
    display_name: str


class NamedThing(_Schema):
    """A device or a target."""

    id: str
    name: str


class SessionAnswer(_Schema):
    """A session. `recording_id` is null until its recording was opened.

    `recording_health`: `good`, `held` (no room: nothing passes until there is), `nearly_spent` (near its bound).

    `frozen` is null unless the plant holds the engineer's input; one that must be watched and is not is held as well.
    """

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
    recording_health: str
    must_be_watched: bool
    frozen: Held | None
    watchers: list[Named]


class SessionList(_Schema):
    """A page of sessions, newest first."""

    items: list[SessionAnswer]
    next_cursor: str | None


def plant_router(service: SessionsService, live: LiveSessions, watching: Watching, access: PlantAccess) -> APIRouter:
    """The console's routes under `/sessions`."""
    router = APIRouter(tags=["sessions"])
    may_watch = access.requires("sessions.session.watch")

    def answer(view: SessionView) -> SessionAnswer:
        return _answer(view, watching.watchers(view.record.id))

    reader = Annotated[Principal, Depends(access.requires("sessions.session.read"))]
    cutter = Annotated[Principal, Depends(access.requires("sessions.session.cut"))]
    freezer = Annotated[Principal, Depends(access.requires("sessions.session.freeze"))]
    writer = Annotated[Principal, Depends(access.requires("sessions.session.message"))]
    viewer = Annotated[Principal, Depends(may_watch)]

    @router.get("/sessions", operation_id="list_sessions")
    def list_sessions(
        _: reader,
        state: SessionState | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> SessionList:
        views = service.sessions(limit=limit, before_id=cursor, state=state)
        return SessionList(
            items=[answer(view) for view in views],
            next_cursor=views[-1].record.id if len(views) == limit else None,
        )

    @router.get("/sessions/{session_id}", operation_id="get_session")
    def get_session(session_id: str, _: reader) -> SessionAnswer:
        return answer(service.get(session_id))

    @router.post("/sessions/{session_id}/cut", operation_id="cut_session")
    def cut_session(session_id: str, body: CutBody, caller: cutter) -> SessionAnswer:
        live.cut(caller.person_id, session_id, body.reason)
        return answer(service.get(session_id))

    @router.post("/sessions/{session_id}/freeze", operation_id="freeze_session")
    def freeze_session(session_id: str, body: HoldBody, caller: freezer) -> SessionAnswer:
        live.freeze(caller.person_id, session_id, body.reason)
        return answer(service.get(session_id))

    @router.post("/sessions/{session_id}/thaw", operation_id="thaw_session")
    def thaw_session(session_id: str, body: ReleaseBody, caller: freezer) -> SessionAnswer:
        live.thaw(caller.person_id, session_id, body.reason)
        return answer(service.get(session_id))

    @router.post("/sessions/{session_id}/message", operation_id="message_session", status_code=HTTPStatus.NO_CONTENT)
    def message_session(session_id: str, body: MessageBody, caller: writer) -> None:
        live.message(caller.person_id, session_id, body.text)

    @router.get(
        "/sessions/{session_id}/watch",
        operation_id="watch_session",
        response_class=EventStream,
        status_code=HTTPStatus.OK,
    )
    def watch_session(
        session_id: str,
        request: Request,
        caller: viewer,
        after: Annotated[int, Query(ge=0, le=_LARGEST_FRAME)] = 0,
        last_event_id: Annotated[str, Header(max_length=20)] = "",
    ) -> Response:
        """The session's frames as server-sent events, behind frame `after` or the last that the browser has."""
        if last_event_id.isascii() and last_event_id.isdigit():
            after = min(int(last_event_id), _LARGEST_FRAME)
        watching.check_room()
        watch = live.begin_watch(caller.person_id, caller.display_name, session_id, after)

        def still_allowed() -> bool:
            try:
                may_watch(request)
            except SallyportError:
                return False
            return True

        return EventStream(lambda write: watching.run(watch, still_allowed, write))

    return router


def _answer(view: SessionView, watchers: Sequence[tuple[str, str]]) -> SessionAnswer:
    record = view.record
    frozen = None
    if record.frozen_at is not None:
        frozen = Held(at=record.frozen_at, reason=record.frozen_reason or "")
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
        recording_health=record.recording_health,
        must_be_watched=record.must_be_watched,
        frozen=frozen,
        watchers=[Named(id=person_id, display_name=name) for person_id, name in watchers],
    )
