"""Grants over HTTP: using one at the vendor face, reading and revoking at the plant face."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from broker.grants.rules import REASON_CHARACTERS
from broker.grants.service import GrantService, GrantView, Holder
from broker.identities.access import PlantAccess, VendorAccess
from broker.identities.model import Principal, VendorPrincipal


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CertificateBody(_Schema):
    """The public half of the agent's session key, as one OpenSSH line."""

    public_key: str = Field(min_length=1, max_length=1024)


class RevokeBody(_Schema):
    """Why a grant is taken back."""

    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS)


class CertificateAnswer(_Schema):
    """A certificate; `serial` is a number of up to 63 bits."""

    certificate: str
    serial: int
    valid_before: datetime


class OwnGrant(_Schema):
    """A grant as its holder sees it."""

    id: str
    target: str
    account: str
    protocol: str
    not_before: datetime
    not_after: datetime
    state: str


class OwnGrants(_Schema):
    """A page of one's own grants, newest first."""

    items: list[OwnGrant]
    next_cursor: str | None


class Named(_Schema):
    """A person."""

    id: str
    display_name: str


class NamedThing(_Schema):
    """A device or a target."""

    id: str
    name: str


class PlantGrant(_Schema):
    """A grant as the plant sees it."""

    id: str
    request_id: str
    person: Named
    device: NamedThing
    target: NamedThing
    account: str
    protocol: str
    not_before: datetime
    not_after: datetime
    state: str
    issued_at: datetime
    ended_at: datetime | None
    end_reason: str | None


class PlantGrants(_Schema):
    """A page of grants, newest first."""

    items: list[PlantGrant]
    next_cursor: str | None


def vendor_router(service: GrantService, access: VendorAccess) -> APIRouter:
    """The vendor face's routes under `/grants`: only one's own."""
    router = APIRouter(tags=["grants"])
    engineer = Annotated[VendorPrincipal, Depends(access.signed_in())]

    @router.get("/grants", operation_id="list_own_grants")
    def list_own_grants(
        caller: engineer,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> OwnGrants:
        views = service.grants(limit=limit, before_id=cursor, person_id=caller.person_id)
        return OwnGrants(
            items=[_own(view) for view in views],
            next_cursor=views[-1].grant.id if len(views) == limit else None,
        )

    @router.post("/grants/{grant_id}/ssh-certificate", operation_id="issue_ssh_certificate")
    def issue_ssh_certificate(grant_id: str, body: CertificateBody, caller: engineer) -> CertificateAnswer:
        issued = service.certify(_holder(caller), grant_id, body.public_key)
        return CertificateAnswer(certificate=issued.line, serial=issued.serial, valid_before=issued.valid_before)

    @router.post("/grants/{grant_id}/finish", operation_id="finish_grant")
    def finish_grant(grant_id: str, caller: engineer) -> OwnGrant:
        return _own(service.finish(_holder(caller), grant_id))

    return router


def plant_router(service: GrantService, access: PlantAccess) -> APIRouter:
    """The console's routes under `/grants`."""
    router = APIRouter(tags=["grants"])
    reader = Annotated[Principal, Depends(access.requires("grants.grant.read"))]
    revoker = Annotated[Principal, Depends(access.requires("grants.grant.revoke"))]

    @router.get("/grants", operation_id="list_grants")
    def list_grants(
        _: reader,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> PlantGrants:
        views = service.grants(limit=limit, before_id=cursor)
        return PlantGrants(
            items=[_plant(view) for view in views],
            next_cursor=views[-1].grant.id if len(views) == limit else None,
        )

    @router.post("/grants/{grant_id}/revoke", operation_id="revoke_grant")
    def revoke_grant(grant_id: str, body: RevokeBody, caller: revoker) -> PlantGrant:
        return _plant(service.revoke(caller.person_id, grant_id, body.reason))

    return router


def _holder(caller: VendorPrincipal) -> Holder:
    return Holder(caller.person_id, caller.device_id, caller.source)


def _own(view: GrantView) -> OwnGrant:
    grant = view.grant
    return OwnGrant(
        id=grant.id,
        target=view.target.name,
        account=grant.account,
        protocol=grant.protocol,
        not_before=grant.not_before,
        not_after=grant.not_after,
        state=grant.state.value,
    )


def _plant(view: GrantView) -> PlantGrant:
    grant = view.grant
    return PlantGrant(
        id=grant.id,
        request_id=grant.request_id,
        person=Named(id=view.person.id, display_name=view.person.display_name),
        device=NamedThing(id=view.device.id, name=view.device.name),
        target=NamedThing(id=view.target.id, name=view.target.name),
        account=grant.account,
        protocol=grant.protocol,
        not_before=grant.not_before,
        not_after=grant.not_after,
        state=grant.state.value,
        issued_at=grant.issued_at,
        ended_at=grant.ended_at,
        end_reason=grant.end_reason,
    )
