"""Zones and targets over HTTP: entered and read at the plant face; what an engineer may ask for at the vendor face."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from typing import Protocol as TypingProtocol

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field

from broker.targets.model import Protocol, Target, Zone
from broker.targets.service import TargetService


class Caller(TypingProtocol):
    """Who acts at the console."""

    @property
    def person_id(self) -> str:
        """The person's id."""
        ...


class PlantDoor(TypingProtocol):
    """What this router needs of `PlantAccess`."""

    def requires(self, permission: str) -> Callable[[Request], Caller]:
        """A dependency that gives the caller who holds this permission."""
        ...


class VendorDoor(TypingProtocol):
    """What this router needs of `VendorAccess`."""

    def signed_in(self) -> Callable[[Request], Caller]:
        """A dependency that gives the engineer who is signed in."""
        ...


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ZoneRequest(_Schema):
    """A new zone."""

    name: str = Field(min_length=1, max_length=80)


class ZoneAnswer(_Schema):
    """A zone."""

    id: str
    name: str
    created_at: datetime


class ZoneList(_Schema):
    """A page of zones, oldest first."""

    items: list[ZoneAnswer]
    next_cursor: str | None


class EndpointRequest(_Schema):
    """Where a target is, and the host key it is pinned to."""

    address: str = Field(min_length=2, max_length=45)
    port: int = Field(ge=1, le=65535)
    host_key: str = Field(min_length=1, max_length=4096)


class TargetRequest(EndpointRequest):
    """A new target."""

    name: str = Field(min_length=1, max_length=63)
    zone_id: str = Field(max_length=40)
    protocol: Protocol = Protocol.SSH
    description: str = Field(default="", max_length=500)
    accounts: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=50)


class TargetAnswer(_Schema):
    """A target."""

    id: str
    name: str
    zone_id: str
    zone: str
    address: str
    port: int
    protocol: Protocol
    host_key: str
    description: str
    accounts: list[str]
    created_at: datetime
    retired_at: datetime | None


class TargetList(_Schema):
    """A page of targets, oldest first."""

    items: list[TargetAnswer]
    next_cursor: str | None


class VendorTargetAnswer(_Schema):
    """A target as an engineer may know it: no address."""

    name: str
    protocol: Protocol
    description: str
    accounts: list[str]


class VendorTargetList(_Schema):
    """What an engineer may ask for."""

    items: list[VendorTargetAnswer]


def plant_router(service: TargetService, access: PlantDoor) -> APIRouter:
    """The console's routes: `/zones` and `/targets`."""
    router = APIRouter(tags=["targets"])

    @router.get("/zones", operation_id="list_zones", dependencies=[Depends(access.requires("targets.zone.read"))])
    def list_zones(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: Annotated[str | None, Query(max_length=40)] = None
    ) -> ZoneList:
        zones = service.zones(limit=limit, after=cursor)
        return ZoneList(
            items=[_zone_answer(zone) for zone in zones], next_cursor=zones[-1].id if len(zones) == limit else None
        )

    @router.post("/zones", operation_id="create_zone", status_code=status.HTTP_201_CREATED)
    def create_zone(
        body: ZoneRequest, caller: Annotated[Caller, Depends(access.requires("targets.zone.create"))]
    ) -> ZoneAnswer:
        return _zone_answer(service.create_zone(caller.person_id, body.name))

    @router.get("/targets", operation_id="list_targets", dependencies=[Depends(access.requires("targets.target.read"))])
    def list_targets(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: Annotated[str | None, Query(max_length=40)] = None
    ) -> TargetList:
        targets = service.targets(limit=limit, after=cursor)
        return TargetList(
            items=[_target_answer(target) for target in targets],
            next_cursor=targets[-1].id if len(targets) == limit else None,
        )

    @router.post("/targets", operation_id="create_target", status_code=status.HTTP_201_CREATED)
    def create_target(
        body: TargetRequest, caller: Annotated[Caller, Depends(access.requires("targets.target.create"))]
    ) -> TargetAnswer:
        target = service.create_target(
            caller.person_id,
            name=body.name,
            zone_id=body.zone_id,
            address=body.address,
            port=body.port,
            protocol=body.protocol,
            host_key=body.host_key,
            description=body.description,
            accounts=body.accounts,
        )
        return _target_answer(target)

    @router.get(
        "/targets/{target_id}",
        operation_id="get_target",
        dependencies=[Depends(access.requires("targets.target.read"))],
    )
    def get_target(target_id: str) -> TargetAnswer:
        return _target_answer(service.get(target_id))

    @router.put("/targets/{target_id}/endpoint", operation_id="change_target_endpoint")
    def change_target_endpoint(
        target_id: str,
        body: EndpointRequest,
        caller: Annotated[Caller, Depends(access.requires("targets.target.change"))],
    ) -> TargetAnswer:
        target = service.change_endpoint(
            caller.person_id, target_id, address=body.address, port=body.port, host_key=body.host_key
        )
        return _target_answer(target)

    @router.post("/targets/{target_id}/retire", operation_id="retire_target")
    def retire_target(
        target_id: str, caller: Annotated[Caller, Depends(access.requires("targets.target.retire"))]
    ) -> TargetAnswer:
        return _target_answer(service.retire(caller.person_id, target_id))

    return router


def vendor_router(service: TargetService, access: VendorDoor) -> APIRouter:
    """The vendor face's route `/targets`."""
    router = APIRouter(tags=["targets"])

    @router.get("/targets", operation_id="list_vendor_targets", dependencies=[Depends(access.signed_in())])
    def list_vendor_targets() -> VendorTargetList:
        return VendorTargetList(
            items=[
                VendorTargetAnswer(
                    name=target.name,
                    protocol=target.protocol,
                    description=target.description,
                    accounts=[account.username for account in target.accounts],
                )
                for target in service.targets(limit=1000, only_in_use=True)
            ]
        )

    return router


def _zone_answer(zone: Zone) -> ZoneAnswer:
    return ZoneAnswer(id=zone.id, name=zone.name, created_at=zone.created_at)


def _target_answer(target: Target) -> TargetAnswer:
    return TargetAnswer(
        id=target.id,
        name=target.name,
        zone_id=target.zone_id,
        zone=target.zone_name,
        address=target.address,
        port=target.port,
        protocol=target.protocol,
        host_key=target.host_key,
        description=target.description,
        accounts=[account.username for account in target.accounts],
        created_at=target.created_at,
        retired_at=target.retired_at,
    )
