"""Holds and purges over HTTP, at the plant face only. Who asks never confirms, who places a hold never lifts it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.identities.service import PeopleService
from broker.recordings.forecasting import Forecasting
from broker.recordings.holding import Holding
from broker.recordings.purging import PurgeList, Purging
from broker.recordings.removal import Removals
from broker.recordings.retention_model import Destroyed, Hold, Kept, Purge, PurgeState
from broker.recordings.retention_rules import LONGEST_REASON, MOST_AT_ONCE

_SEES_SESSIONS: Final = "sessions.session.read"


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReasonBody(_Schema):
    """Why; it stands in the trail."""

    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class AskBody(_Schema):
    """Which recordings are to be destroyed, and why."""

    recording_ids: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=MOST_AT_ONCE)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class ReviewedBody(_Schema):
    """`list_sha256` of the list that the caller reviewed."""

    list_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Actor(_Schema):
    """A person."""

    id: str
    display_name: str


class HoldAnswer(_Schema):
    """A legal hold; `lifted_by`, `lifted_at` and `lift_reason` are null while it stands."""

    id: str
    recording_id: str
    reason: str
    placed_by: Actor
    placed_at: datetime
    lifted_by: Actor | None
    lifted_at: datetime | None
    lift_reason: str | None


class HoldList(_Schema):
    """A page of holds that stand, newest first."""

    items: list[HoldAnswer]
    next_cursor: str | None


class DestroyedAnswer(_Schema):
    """What stays of a destroyed recording: its tombstone, a signed line; `removed_at` is null until its file is gone.

    `refusal`: why the gateway has not removed the file.
    """

    purge_id: str
    purged_at: datetime
    removed_at: datetime | None
    refusal: str | None
    tombstone: str


class SessionWordsAnswer(_Schema):
    """Whose session it was; for those who may see sessions."""

    grant_id: str
    person: str
    target: str


class KeptAnswer(_Schema):
    """A recording and how long it is kept.

    `waits_in`: the purge that names it and may still be confirmed, null when there is none.
    `barrier`: why it cannot be destroyed now (`open`, `too_young`, `on_hold`, `already_purged`), null when it can.
    """

    recording_id: str
    session_id: str
    session: SessionWordsAnswer | None
    state: str
    opened_at: datetime
    closed_at: datetime | None
    keep_until: datetime | None
    bytes: int
    holds: list[HoldAnswer]
    destroyed: DestroyedAnswer | None
    waits_in: str | None
    barrier: str | None


class KeptList(_Schema):
    """A page of recordings whose time is over, oldest first. `keep_days`: how long this site keeps them."""

    items: list[KeptAnswer]
    keep_days: int
    next_cursor: str | None


class PurgeAnswer(_Schema):
    """A purge: `asked`, `confirmed`, `declined`, `withdrawn` or `lapsed`. `list_sha256` names its exact list."""

    id: str
    state: str
    reason: str
    recordings: int
    bytes: int
    list_sha256: str
    asked_by: Actor
    asked_at: datetime
    expires_at: datetime
    decided_by: Actor | None
    decided_at: datetime | None
    decision_reason: str | None


class PurgePage(_Schema):
    """A page of purges, newest first."""

    items: list[PurgeAnswer]
    next_cursor: str | None


class PurgeListAnswer(_Schema):
    """A purge and the recordings of its list, as they are now."""

    purge: PurgeAnswer
    items: list[KeptAnswer]


class ForecastAnswer(_Schema):
    """When the disk is full of recordings if the last weeks go on, and for how many days it can hold them.

    `level`: `good`, `short` (it cannot hold them as long as they are kept), `soon` (full within 30 days), `full`, or
    `unknown` (nothing was recorded). `days_until_full`, `full_at` and `days_held` are null when there is nothing to
    reckon with, or beyond a century. `usable_bytes`: what may be taken before no session begins.
    """

    level: str
    observed_days: float
    bytes_per_day: int
    kept_bytes: int
    free_bytes: int
    usable_bytes: int
    days_until_full: int | None
    full_at: datetime | None
    days_held: int | None
    keep_days: int


class StorageAnswer(_Schema):
    """The forecast (null while the disk does not answer), recordings on hold, and destroyed ones still on disk."""

    forecast: ForecastAnswer | None
    on_hold: int
    waiting_for_removal: int


def forecast_answer(forecasting: Forecasting) -> ForecastAnswer | None:
    """The forecast; None while the file system does not answer."""
    try:
        return ForecastAnswer.model_validate(asdict(forecasting.outlook()))
    except OSError:
        return None


def plant_router(
    holding: Holding,
    purging: Purging,
    removals: Removals,
    forecasting: Forecasting,
    people: PeopleService,
    access: PlantAccess,
) -> APIRouter:
    """The console's routes under `/retention`, and `/recordings/{id}/holds`."""
    router = APIRouter(tags=["retention"])
    reader = Annotated[Principal, Depends(access.requires("recordings.retention.read"))]
    keeper = Annotated[Principal, Depends(access.requires("recordings.hold.place"))]
    lifter = Annotated[Principal, Depends(access.requires("recordings.hold.lift"))]
    asker = Annotated[Principal, Depends(access.requires("recordings.purge.ask"))]
    confirmer = Annotated[Principal, Depends(access.requires("recordings.purge.confirm"))]
    page = Annotated[int, Query(ge=1, le=MOST_AT_ONCE)]
    mark = Annotated[str | None, Query(max_length=40)]

    def words() -> "_Words":
        return _Words(people)

    @router.get("/retention/storage", operation_id="get_recording_storage")
    def get_recording_storage(_: reader) -> StorageAnswer:
        on_hold, waiting = removals.counts()
        return StorageAnswer(forecast=forecast_answer(forecasting), on_hold=on_hold, waiting_for_removal=waiting)

    @router.get("/retention/recordings", operation_id="list_recordings_to_purge")
    def list_recordings_to_purge(caller: reader, limit: page = 50, cursor: mark = None) -> KeptList:
        found = purging.over(limit=limit, after=cursor)
        return KeptList(
            items=words().kept(found, caller),
            keep_days=purging.keep.days,
            next_cursor=found[-1].recording.id if len(found) == limit else None,
        )

    @router.get("/retention/recordings/{recording_id}", operation_id="get_retention")
    def get_retention(recording_id: str, caller: reader) -> KeptAnswer:
        return words().kept([purging.kept(recording_id)], caller)[0]

    @router.post(
        "/recordings/{recording_id}/holds", operation_id="place_recording_hold", status_code=HTTPStatus.CREATED
    )
    def place_recording_hold(recording_id: str, body: ReasonBody, caller: keeper) -> HoldAnswer:
        return words().holds([holding.place_hold(caller.person_id, recording_id, body.reason)])[0]

    @router.get("/retention/holds", operation_id="list_recording_holds")
    def list_recording_holds(_: reader, limit: page = 50, cursor: mark = None) -> HoldList:
        found = holding.standing(limit=limit, before=cursor)
        return HoldList(items=words().holds(found), next_cursor=found[-1].id if len(found) == limit else None)

    @router.post("/retention/holds/{hold_id}/lift", operation_id="lift_recording_hold")
    def lift_recording_hold(hold_id: str, body: ReasonBody, caller: lifter) -> HoldAnswer:
        return words().holds([holding.lift_hold(caller.person_id, hold_id, body.reason)])[0]

    @router.get("/retention/purges", operation_id="list_purges")
    def list_purges(_: reader, state: PurgeState | None = None, limit: page = 50, cursor: mark = None) -> PurgePage:
        found = purging.purges(limit=limit, before=cursor, state=state)
        return PurgePage(items=words().purges(found), next_cursor=found[-1].id if len(found) == limit else None)

    @router.post("/retention/purges", operation_id="ask_purge", status_code=HTTPStatus.CREATED)
    def ask_purge(body: AskBody, caller: asker) -> PurgeAnswer:
        return words().purges([purging.ask_purge(caller.person_id, body.recording_ids, body.reason)])[0]

    @router.get("/retention/purges/{purge_id}", operation_id="get_purge")
    def get_purge(purge_id: str, caller: reader) -> PurgeListAnswer:
        return words().listed(purging.purge_list(purge_id), caller)

    @router.post("/retention/purges/{purge_id}/confirm", operation_id="confirm_purge")
    def confirm_purge(purge_id: str, body: ReviewedBody, caller: confirmer) -> PurgeAnswer:
        reviewed = bytes.fromhex(body.list_sha256)
        return words().purges([purging.confirm_purge(caller.person_id, purge_id, reviewed)])[0]

    @router.post("/retention/purges/{purge_id}/decline", operation_id="decline_purge")
    def decline_purge(purge_id: str, body: ReasonBody, caller: confirmer) -> PurgeAnswer:
        return words().purges([purging.decline_purge(caller.person_id, purge_id, body.reason)])[0]

    @router.post("/retention/purges/{purge_id}/withdraw", operation_id="withdraw_purge")
    def withdraw_purge(purge_id: str, caller: asker) -> PurgeAnswer:
        return words().purges([purging.withdraw_purge(caller.person_id, purge_id)])[0]

    return router


class _Words:
    """Answers with the names of the people in them."""

    def __init__(self, people: PeopleService) -> None:
        self._people = people

    def holds(self, holds: Iterable[Hold]) -> list[HoldAnswer]:
        found = list(holds)
        return [_hold(one, self._names(found, ())) for one in found]

    def purges(self, purges: Iterable[Purge]) -> list[PurgeAnswer]:
        found = list(purges)
        names = self._names((), found)
        return [_purge(one, names) for one in found]

    def kept(self, kept: Iterable[Kept], caller: Principal) -> list[KeptAnswer]:
        found = list(kept)
        names = self._names([hold for one in found for hold in one.holds], ())
        sees_sessions = _SEES_SESSIONS in caller.permissions
        return [_kept(one, names, sees_sessions=sees_sessions) for one in found]

    def listed(self, one: PurgeList, caller: Principal) -> PurgeListAnswer:
        return PurgeListAnswer(purge=self.purges([one.purge])[0], items=self.kept(one.items, caller))

    def _names(self, holds: Iterable[Hold], purges: Iterable[Purge]) -> Mapping[str, str]:
        ids = {name for hold in holds for name in (hold.placed_by, hold.lifted_by) if name is not None}
        ids |= {name for purge in purges for name in (purge.asked_by, purge.decided_by) if name is not None}
        return self._people.display_names(ids)


def _actor(person_id: str | None, names: Mapping[str, str]) -> Actor | None:
    return Actor(id=person_id, display_name=names.get(person_id, person_id)) if person_id is not None else None


def _somebody(person_id: str, names: Mapping[str, str]) -> Actor:
    return Actor(id=person_id, display_name=names.get(person_id, person_id))


def _hold(one: Hold, names: Mapping[str, str]) -> HoldAnswer:
    return HoldAnswer(
        id=one.id,
        recording_id=one.recording_id,
        reason=one.reason,
        placed_by=_somebody(one.placed_by, names),
        placed_at=one.placed_at,
        lifted_by=_actor(one.lifted_by, names),
        lifted_at=one.lifted_at,
        lift_reason=one.lift_reason,
    )


def _purge(one: Purge, names: Mapping[str, str]) -> PurgeAnswer:
    return PurgeAnswer(
        id=one.id,
        state=one.state.value,
        reason=one.reason,
        recordings=one.recording_count,
        bytes=one.total_bytes,
        list_sha256=one.list_sha256.hex(),
        asked_by=_somebody(one.asked_by, names),
        asked_at=one.asked_at,
        expires_at=one.expires_at,
        decided_by=_actor(one.decided_by, names),
        decided_at=one.decided_at,
        decision_reason=one.decision_reason,
    )


def _kept(one: Kept, names: Mapping[str, str], *, sees_sessions: bool) -> KeptAnswer:
    words = one.session if sees_sessions else None
    return KeptAnswer(
        recording_id=one.recording.id,
        session_id=one.recording.session_id,
        session=SessionWordsAnswer(grant_id=words.grant_id, person=words.person_name, target=words.target_name)
        if words is not None
        else None,
        state=one.recording.state.value,
        opened_at=one.recording.opened_at,
        closed_at=one.recording.closed_at,
        keep_until=one.keep_until,
        bytes=one.recording.bytes_written,
        holds=[_hold(hold, names) for hold in one.holds],
        destroyed=_destroyed(one.destroyed),
        waits_in=one.waits_in,
        barrier=one.barrier.value if one.barrier is not None else None,
    )


def _destroyed(one: Destroyed | None) -> DestroyedAnswer | None:
    if one is None:
        return None
    return DestroyedAnswer(
        purge_id=one.purge_id,
        purged_at=one.purged_at,
        removed_at=one.removed_at,
        refusal=one.refusal,
        tombstone=one.line.decode(),
    )
