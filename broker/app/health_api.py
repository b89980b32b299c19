"""What the console's health page shows: which part answers, the trail's witness, space, certificates, the guard."""

import shutil
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import SQLAlchemyError

from broker.app.doctor import expiries
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.metrics import release
from broker.identities.access import PlantAccess
from broker.kernel.errors import Unavailable
from broker.knock_link.model import GuardStatus
from broker.recordings.retention_api import ForecastAnswer, forecast_answer

_MOST_COUNTERS: Final = 100


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Part(_Schema):
    """A process or store that is needed, and whether it answers."""

    name: str
    ready: bool


class Guard(_Schema):
    """What the guard last said of itself. Counters begin anew when it does."""

    state: str
    said_at: datetime
    roster_version: int
    roster_sent: int
    counters: dict[str, int]


class TrailWitness(_Schema):
    """How far the witness file is behind the audit trail. `problem` is null while checkpoints are written."""

    last_seq: int
    witnessed_seq: int
    witnessed_at: datetime | None
    records_behind: int
    problem: str | None


class Space(_Schema):
    """The file system of the recordings, in bytes; null when it cannot be read."""

    free_bytes: int
    size_bytes: int


class ObjectStore(_Schema):
    """The bucket that keeps recordings. `problem` is null while it answers and can lock objects.

    `copies`: how many are `growing`, `stored`, `verified` (and here too) and `released`; `failing`: whose last try
    failed; `waiting_bytes`: of recordings that ended and have no verified copy yet.
    """

    bucket: str
    problem: str | None
    checked_at: datetime | None
    copies: dict[str, int]
    failing: int
    waiting_bytes: int


class Expiry(_Schema):
    """When a certificate ends."""

    name: str
    ends_at: datetime


class Firewall(_Schema):
    """What the opener says of its rules: whether they are whole, open windows, ways of the gateway to targets."""

    is_whole: bool
    windows: int
    ways: int


class HealthAnswer(_Schema):
    """The state of the site, now. `guard`, `firewall` and `trail` are null while their part does not tell it.

    `object_store` is null when the site has none.
    """

    checked_at: datetime
    release: str
    parts: list[Part]
    gateway_workers: list[str]
    guard: Guard | None
    firewall: Firewall | None
    trail: TrailWitness | None
    recordings: Space | None
    forecast: ForecastAnswer | None
    object_store: ObjectStore | None
    certificates: list[Expiry]


def plant_router(house: House, layout: Layout, access: PlantAccess) -> APIRouter:
    """The console's route `/health`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", operation_id="get_health", dependencies=[Depends(access.requires("app.health.read"))])
    def get_health() -> HealthAnswer:
        """Every part is asked now; one that does not answer is told as not ready within some seconds."""
        firewall = _firewall(house)
        # The opener tells its state to two questions a second; who asks more often learns only whether it answers.
        opener = firewall is not None or house.opener.answers()
        # Control is what answers here.
        parts = {**house.readiness(), "opener": opener, "control": True}
        link = house.knock_link.health()
        return HealthAnswer(
            checked_at=house.clock.now(),
            release=release(),
            parts=[Part(name=name, ready=ready) for name, ready in sorted(parts.items())],
            gateway_workers=sorted(house.authority.workers),
            guard=_guard(link.status, link.sent_version) if link.is_connected and link.status is not None else None,
            firewall=firewall,
            trail=_trail(house),
            recordings=_space(layout),
            forecast=_forecast(house),
            object_store=_object_store(house),
            certificates=[Expiry(name=name, ends_at=ends_at) for name, ends_at in expiries(layout)],
        )

    return router


def _guard(status: GuardStatus, sent_version: int) -> Guard:
    return Guard(
        state=status.state,
        said_at=status.received_at,
        roster_version=status.roster_version,
        roster_sent=sent_version,
        counters=dict(sorted(status.counters.items())[:_MOST_COUNTERS]),
    )


def _firewall(house: House) -> Firewall | None:
    try:
        status = house.opener.status()
    except Unavailable:
        return None
    return Firewall(is_whole=status.rules_are_whole, windows=status.windows_total, ways=status.ways_total)


def _trail(house: House) -> TrailWitness | None:
    try:
        state = house.witness.state()
    except SQLAlchemyError:
        return None
    return TrailWitness(
        last_seq=state.witnessed_seq + state.records_behind,
        witnessed_seq=state.witnessed_seq,
        witnessed_at=state.witnessed_at,
        records_behind=state.records_behind,
        problem=state.problem,
    )


def _forecast(house: House) -> ForecastAnswer | None:
    try:
        return forecast_answer(house.forecasting)
    except SQLAlchemyError:
        return None


def _object_store(house: House) -> ObjectStore | None:
    if house.copying is None:
        return None
    try:
        state = house.copying.state()
    except SQLAlchemyError:
        return None
    return ObjectStore(
        bucket=state.bucket,
        problem=state.problem,
        checked_at=state.checked_at,
        copies=state.counts,
        failing=state.failing,
        waiting_bytes=state.waiting_bytes,
    )


def _space(layout: Layout) -> Space | None:
    try:
        usage = shutil.disk_usage(layout.recordings)
    except OSError:
        return None
    return Space(free_bytes=usage.free, size_bytes=usage.total)
