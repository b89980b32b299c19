"""Connection tests over HTTP, at the plant face only."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.sessions.probing import ProbeResult, TargetProbes
from broker.targets.model import Protocol
from broker.targets.rules import fingerprint


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProbeBody(_Schema):
    """A machine that is not entered yet."""

    address: str = Field(min_length=2, max_length=45)
    port: int = Field(ge=1, le=65535)
    protocol: Protocol = Protocol.SSH


class ProbeAnswer(_Schema):
    """How a test went. `outcome` is `key_shown` when the machine proved to hold `host_key`.

    `key_differs` is null unless there is a key and a pinned one.
    """

    probe_id: str
    at: datetime
    outcome: str
    host_key: str | None
    fingerprint: str | None
    pinned_fingerprint: str | None
    key_differs: bool | None
    milliseconds: int


def plant_router(probes: TargetProbes, access: PlantAccess) -> APIRouter:
    """The console's routes for testing connections. Each answers within about fifteen seconds."""
    router = APIRouter(tags=["targets"])
    prober = Annotated[Principal, Depends(access.requires("targets.target.probe"))]
    creator = Annotated[Principal, Depends(access.requires("targets.target.create"))]

    @router.post("/targets/{target_id}/probe", operation_id="probe_target")
    def probe_target(target_id: str, caller: prober) -> ProbeAnswer:
        """Test the way to a target and whether it shows its pinned key."""
        return _answer(probes.probe_target(caller.person_id, target_id))

    @router.post("/target-probes", operation_id="probe_address")
    def probe_address(body: ProbeBody, caller: creator) -> ProbeAnswer:
        """Read the host key of a machine before it is entered, to compare and to pin it."""
        return _answer(probes.probe_address(caller.person_id, body.address, body.port, body.protocol))

    return router


def _answer(result: ProbeResult) -> ProbeAnswer:
    return ProbeAnswer(
        probe_id=result.probe_id,
        at=result.at,
        outcome=result.outcome,
        host_key=result.host_key,
        fingerprint=fingerprint(result.host_key) if result.host_key is not None else None,
        pinned_fingerprint=fingerprint(result.pinned_key) if result.pinned_key is not None else None,
        key_differs=result.differs,
        milliseconds=result.milliseconds,
    )
