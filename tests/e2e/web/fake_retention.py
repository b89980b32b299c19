"""Holds and purges at the stand-in: the same shapes, roles, refusals and moves as the plant API's."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from broker.identities.model import Role
from broker.identities.rules import PERMISSIONS
from tests.e2e.web import fake_models as m
from tests.e2e.web.fake_access import AnyHouse, RefusedError, Signed, found, need, page
from tests.e2e.web.fake_house import House, stamp

KEEP = timedelta(days=180)
Limit = Annotated[int, Query(ge=1, le=500)]
router = APIRouter()


class Ask(m.Shape):
    recording_ids: list[str] = Field(min_length=1, max_length=500)
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Reviewed(m.Shape):
    list_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class HoldItem(m.Shape):
    id: str
    recording_id: str
    reason: str
    placed_by: m.Named
    placed_at: str
    lifted_by: m.Named | None = None
    lifted_at: str | None = None
    lift_reason: str | None = None


class Holds(m.Shape):
    items: list[HoldItem]
    next_cursor: str | None = None


class DestroyedItem(m.Shape):
    purge_id: str
    purged_at: str
    removed_at: str | None = None
    refusal: str | None = None
    tombstone: str


class SessionWords(m.Shape):
    grant_id: str
    person: str
    target: str


class KeptItem(m.Shape):
    recording_id: str
    session_id: str
    session: SessionWords | None
    state: str
    opened_at: str
    closed_at: str | None
    keep_until: str | None
    bytes: int
    holds: list[HoldItem]
    destroyed: DestroyedItem | None
    waits_in: str | None
    barrier: str | None


class KeptItems(m.Shape):
    items: list[KeptItem]
    keep_days: int
    next_cursor: str | None = None


class PurgeItem(m.Shape):
    id: str
    state: str
    reason: str
    recordings: int
    bytes: int
    list_sha256: str
    asked_by: m.Named
    asked_at: str
    expires_at: str
    decided_by: m.Named | None = None
    decided_at: str | None = None
    decision_reason: str | None = None


class Purges(m.Shape):
    items: list[PurgeItem]
    next_cursor: str | None = None


class PurgeList(m.Shape):
    purge: PurgeItem
    items: list[KeptItem]


class StorageItem(m.Shape):
    forecast: m.ForecastItem | None
    on_hold: int
    waiting_for_removal: int


@dataclass
class Archive:
    """Holds, purges with their lists, and tombstones of one house."""

    holds: dict[str, HoldItem] = field(default_factory=dict)
    purges: dict[str, PurgeItem] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    destroyed: dict[str, DestroyedItem] = field(default_factory=dict)


def archive_of(house: House) -> Archive:
    """The house's archive, begun at the first question."""
    if not isinstance(house.archive, Archive):
        house.archive = Archive()
    return house.archive


def waiting_purge(house: House) -> str:
    """The id of a purge of two old recordings that waits for an auditor; the second has been held since."""
    purge = ask_purge(
        Ask(recording_ids=["rec_4", "rec_5"], reason="磁盘将满：去年冬天的录像"), house, house.people["root"]
    )
    place_hold("rec_5", m.Reason(reason="Accident of line 3 三号线事故"), house, house.people["audit"])
    return purge.id


def _named(person: m.PersonItem) -> m.Named:
    return m.Named(id=person.id, display_name=person.display_name)


def _kept(house: House, recording: m.RecordingView, person: m.PersonItem) -> KeptItem:
    archive, session = archive_of(house), house.sessions[recording.session_id]
    until = datetime.fromisoformat(recording.closed_at) + KEEP if recording.closed_at else None
    holds = [one for one in archive.holds.values() if one.recording_id == recording.id]
    destroyed = archive.destroyed.get(recording.id)
    barrier = None
    if destroyed:
        barrier = "already_purged"
    elif until is None:
        barrier = "open"
    elif house.now < until:
        barrier = "too_young"
    elif any(one.lifted_at is None for one in holds):
        barrier = "on_hold"
    words = SessionWords(grant_id=session.grant_id, person=session.person.display_name, target=session.target.name)
    return KeptItem(
        recording_id=recording.id,
        session_id=recording.session_id,
        session=words if "sessions.session.read" in PERMISSIONS[Role(person.role)] else None,
        state=recording.state,
        opened_at=recording.opened_at,
        closed_at=recording.closed_at,
        keep_until=stamp(until) if until else None,
        bytes=recording.bytes,
        holds=holds,
        destroyed=destroyed,
        waits_in=next(
            (one for one, ids in archive.lists.items() if recording.id in ids and archive.purges[one].state == "asked"),
            None,
        ),
        barrier=barrier,
    )


@router.get("/retention/storage", dependencies=[need("recordings.retention.read")])
def read_storage(house: AnyHouse) -> StorageItem:
    archive = archive_of(house)
    return StorageItem(
        forecast=house.forecast,
        on_hold=len({one.recording_id for one in archive.holds.values() if one.lifted_at is None}),
        waiting_for_removal=sum(one.removed_at is None for one in archive.destroyed.values()),
    )


@router.get("/retention/recordings", dependencies=[need("recordings.retention.read")])
def list_over(house: AnyHouse, person: Signed, limit: Limit = 50, cursor: str | None = None) -> KeptItems:
    kept = [_kept(house, one, person) for one in house.recordings.values()]
    over = [one for one in kept if one.barrier not in {"open", "too_young", "already_purged"}]
    items, following = page(over, limit, cursor)
    return KeptItems(items=items, keep_days=KEEP.days, next_cursor=following)


@router.get("/retention/recordings/{recording_id}", dependencies=[need("recordings.retention.read")])
def read_kept(recording_id: str, house: AnyHouse, person: Signed) -> KeptItem:
    return _kept(house, found(house.recordings.get(recording_id)), person)


@router.post("/recordings/{recording_id}/holds", status_code=201, dependencies=[need("recordings.hold.place")])
def place_hold(recording_id: str, body: m.Reason, house: AnyHouse, person: Signed) -> HoldItem:
    found(house.recordings.get(recording_id))
    archive = archive_of(house)
    if recording_id in archive.destroyed:
        raise RefusedError(409, "recordings.purged", "The recording was destroyed.", id=recording_id)
    hold = HoldItem(
        id=house.next_id("hld"),
        recording_id=recording_id,
        reason=body.reason,
        placed_by=_named(person),
        placed_at=stamp(house.now),
    )
    archive.holds[hold.id] = hold
    house.tell("recordings.hold.placed", person.id, recording_id, reason=body.reason)
    return hold


@router.get("/retention/holds", dependencies=[need("recordings.retention.read")])
def list_holds(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> Holds:
    standing = [one for one in reversed(archive_of(house).holds.values()) if one.lifted_at is None]
    items, following = page(standing, limit, cursor)
    return Holds(items=items, next_cursor=following)


@router.post("/retention/holds/{hold_id}/lift", dependencies=[need("recordings.hold.lift")])
def lift_hold(hold_id: str, body: m.Reason, house: AnyHouse, person: Signed) -> HoldItem:
    hold = found(archive_of(house).holds.get(hold_id))
    if hold.lifted_at is not None:
        raise RefusedError(409, "recordings.hold_not_standing", "This hold was lifted already.")
    hold.lifted_by, hold.lifted_at, hold.lift_reason = _named(person), stamp(house.now), body.reason
    house.tell("recordings.hold.lifted", person.id, hold.recording_id, reason=body.reason)
    return hold


@router.get("/retention/purges", dependencies=[need("recordings.retention.read")])
def list_purges(house: AnyHouse, state: str | None = None, limit: Limit = 50, cursor: str | None = None) -> Purges:
    purges = [one for one in reversed(archive_of(house).purges.values()) if state in {None, one.state}]
    items, following = page(purges, limit, cursor)
    return Purges(items=items, next_cursor=following)


@router.post("/retention/purges", status_code=201, dependencies=[need("recordings.purge.ask")])
def ask_purge(body: Ask, house: AnyHouse, person: Signed) -> PurgeItem:
    ids = sorted(body.recording_ids)
    kept = [_kept(house, found(house.recordings.get(one)), person) for one in ids]
    _destroyable(kept)
    for one in kept:
        if one.waits_in:
            raise RefusedError(409, "recordings.purge_pending", "It is in another purge.", id=one.recording_id)
    purge = PurgeItem(
        id=house.next_id("prg"),
        state="asked",
        reason=body.reason,
        recordings=len(ids),
        bytes=sum(one.bytes for one in kept),
        list_sha256=hashlib.sha256("".join(f"{one}\n" for one in ids).encode()).hexdigest(),
        asked_by=_named(person),
        asked_at=stamp(house.now),
        expires_at=stamp(house.now + timedelta(hours=72)),
    )
    archive = archive_of(house)
    archive.purges[purge.id], archive.lists[purge.id] = purge, ids
    house.tell("recordings.purge.asked", person.id, purge.id, reason=body.reason)
    return purge


@router.get("/retention/purges/{purge_id}", dependencies=[need("recordings.retention.read")])
def read_purge(purge_id: str, house: AnyHouse, person: Signed) -> PurgeList:
    purge = found(archive_of(house).purges.get(purge_id))
    ids = archive_of(house).lists[purge_id]
    return PurgeList(purge=purge, items=[_kept(house, house.recordings[one], person) for one in ids])


@router.post("/retention/purges/{purge_id}/confirm", dependencies=[need("recordings.purge.confirm")])
def confirm_purge(purge_id: str, body: Reviewed, house: AnyHouse, person: Signed) -> PurgeItem:
    archive = archive_of(house)
    purge = _asked(house, purge_id)
    if purge.asked_by.id == person.id:
        raise RefusedError(403, "recordings.purge_own", "You asked for this purge.")
    if body.list_sha256 != purge.list_sha256:
        raise RefusedError(409, "recordings.another_list", "This is another list.")
    kept = [_kept(house, house.recordings[one], person) for one in archive.lists[purge_id]]
    _destroyable(kept)
    _decide(house, purge, "confirmed", person)
    for one in kept:
        words = f'{{"recording_id":"{one.recording_id}","asked_by":"{purge.asked_by.id}","confirmed_by":"{person.id}"}}'
        archive.destroyed[one.recording_id] = DestroyedItem(
            purge_id=purge.id, purged_at=stamp(house.now), tombstone=words + "\n"
        )
        house.recordings[one.recording_id].verification.state = "purged"
        house.tell("recordings.recording.purged", person.id, one.recording_id, purge_id=purge.id)
    return purge


@router.post("/retention/purges/{purge_id}/decline", dependencies=[need("recordings.purge.confirm")])
def decline_purge(purge_id: str, body: m.Reason, house: AnyHouse, person: Signed) -> PurgeItem:
    return _decide(house, _asked(house, purge_id), "declined", person, body.reason)


@router.post("/retention/purges/{purge_id}/withdraw", dependencies=[need("recordings.purge.ask")])
def withdraw_purge(purge_id: str, house: AnyHouse, person: Signed) -> PurgeItem:
    return _decide(house, _asked(house, purge_id), "withdrawn", person)


def _asked(house: House, purge_id: str) -> PurgeItem:
    purge = found(archive_of(house).purges.get(purge_id))
    if purge.state != "asked":
        raise RefusedError(409, "recordings.purge_not_in_state", "It was decided already.", state=purge.state)
    return purge


def _destroyable(kept: list[KeptItem]) -> None:
    for one in kept:
        if one.barrier is not None:
            raise RefusedError(409, f"recordings.purge_{one.barrier}", "It may not be destroyed.", id=one.recording_id)


def _decide(house: House, purge: PurgeItem, state: str, person: m.PersonItem, reason: str | None = None) -> PurgeItem:
    purge.state, purge.decided_by, purge.decided_at = state, _named(person), stamp(house.now)
    purge.decision_reason = reason
    house.tell(f"recordings.purge.{state}", person.id, purge.id)
    return purge
