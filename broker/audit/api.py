"""The trail over HTTP, at the plant face only: its records from the newest back, and whether it holds."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.chain import Break, verify
from broker.audit.model import AuditRecord, FieldValue
from broker.kernel.clock import Clock

Access = Callable[..., object]
"""A FastAPI dependency that refuses whoever may not read (the people lie above; `app.wiring` passes it)."""

_VERIFIED_FOR: Final = timedelta(seconds=60)


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EventAnswer(_Schema):
    """One record of the trail."""

    seq: int
    at: datetime
    code: str
    actor: str
    subject: str
    params: dict[str, FieldValue]
    hash: str


class EventList(_Schema):
    """A page of records, newest first."""

    items: list[EventAnswer]
    next_cursor: str | None


class StateAnswer(_Schema):
    """Whether the trail holds from its first record to `last_seq`; `broken_at` is the first that does not fit."""

    last_seq: int
    head: str
    verified: bool
    checked_at: datetime
    broken_at: int | None
    broken_how: str | None


@dataclass(frozen=True)
class _Checked:
    answer: StateAnswer
    at: datetime


def plant_router(
    database: Database, clock: Clock, read_access: Access, state_access: Access | None = None
) -> APIRouter:
    """The console's routes under `/audit`.

    `read_access` guards the records; `state_access` the state, which shows no record: the same when it is None. The
    state is found by walking the whole trail, at most once a minute, by one caller at a time.
    """
    router = APIRouter(tags=["audit"])
    walking = threading.Lock()
    latest: list[_Checked] = []

    @router.get("/audit/events", operation_id="list_audit_events", dependencies=[Depends(read_access)])
    def list_audit_events(
        code: Annotated[str | None, Query(max_length=80, pattern=r"^[a-z0-9_.]+\*?$")] = None,
        subject: Annotated[str | None, Query(max_length=80)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    ) -> EventList:
        with database.reading() as session:
            records = store.newest(session, limit=limit, before_seq=cursor, code=code, subject=subject)
        return EventList(
            items=[_event(record) for record in records],
            next_cursor=str(records[-1].seq) if len(records) == limit else None,
        )

    @router.get("/audit/state", operation_id="get_audit_state", dependencies=[Depends(state_access or read_access)])
    def get_audit_state() -> StateAnswer:
        with walking:
            now = clock.now()
            if not latest or now - latest[0].at >= _VERIFIED_FOR:
                latest[:] = [_Checked(_check(database, now), now)]
            return latest[0].answer

    return router


def _check(database: Database, now: datetime) -> StateAnswer:
    with database.reading() as session:
        result = verify(store.walk(session))
        if not isinstance(result, Break):
            return StateAnswer(
                last_seq=result.last_seq,
                head=result.head.hex(),
                verified=True,
                checked_at=now,
                broken_at=None,
                broken_how=None,
            )
        last = store.newest(session, limit=1)
    return StateAnswer(
        last_seq=last[0].seq if last else 0,
        head=last[0].hash.hex() if last else "",
        verified=False,
        checked_at=now,
        broken_at=result.seq,
        broken_how=result.kind,
    )


def _event(record: AuditRecord) -> EventAnswer:
    return EventAnswer(
        seq=record.seq,
        at=record.at,
        code=record.code,
        actor=record.actor,
        subject=record.subject,
        params=dict(record.params),
        hash=record.hash.hex(),
    )
