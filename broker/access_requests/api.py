"""Access requests over HTTP: asking at the vendor face, deciding at the plant face."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from broker.access_requests.model import (
    REASON_CHARACTERS,
    REFUSAL_CHARACTERS,
    WORK_ORDER_CHARACTERS,
    RequestState,
    Wish,
)
from broker.access_requests.service import AccessRequestService, Asker, RequestView
from broker.identities.access import PlantAccess, VendorAccess
from broker.identities.model import Principal, VendorPrincipal

GrantIds = Callable[[Collection[str]], Mapping[str, str]]
"""The grants' ids by their requests' (grants lie above; `app.wiring` passes their service's method)."""

_LONGEST_SECONDS = 31 * 86_400


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskBody(_Schema):
    """What a vendor asks for. Without `starts_at` access begins with the approval."""

    target: str = Field(min_length=1, max_length=63)
    account: str | None = Field(default=None, min_length=1, max_length=64)
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS)
    work_order: str = Field(min_length=1, max_length=WORK_ORDER_CHARACTERS)
    starts_at: AwareDatetime | None = None
    duration_seconds: int = Field(ge=1, le=_LONGEST_SECONDS)


class ApproveBody(_Schema):
    """A yes; `duration_seconds` shortens what was asked."""

    duration_seconds: int | None = Field(default=None, ge=1, le=_LONGEST_SECONDS)


class DenyBody(_Schema):
    """A no, with its reason."""

    reason: str = Field(min_length=1, max_length=REFUSAL_CHARACTERS)


class OwnRequest(_Schema):
    """A request as its requester sees it."""

    id: str
    target: str
    account: str
    protocol: str
    reason: str
    work_order: str
    starts_at: datetime
    ends_at: datetime
    state: str
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None
    grant_id: str | None


class OwnRequests(_Schema):
    """A page of one's own requests, newest first."""

    items: list[OwnRequest]
    next_cursor: str | None


class NamedPerson(_Schema):
    """A person."""

    id: str
    display_name: str


class NamedThing(_Schema):
    """A target or a zone."""

    id: str
    name: str


class NamedDevice(_Schema):
    """A device and how it stands now."""

    id: str
    name: str
    state: str


class ApprovalItem(_Schema):
    """One person's yes."""

    person: NamedPerson
    at: datetime
    duration_seconds: int


class NoticeItem(_Schema):
    """Something to see before deciding: the console has the words for the code."""

    code: str
    params: dict[str, str]


class PlantRequest(_Schema):
    """A request as an approver sees it."""

    id: str
    person: NamedPerson
    company: str | None
    device: NamedDevice
    source: str
    target: NamedThing
    zone: NamedThing
    account: str
    protocol: str
    reason: str
    work_order: str
    starts_at: datetime
    ends_at: datetime
    starts_on_approval: bool
    duration_seconds: int
    state: str
    submitted_at: datetime
    decided_by: NamedPerson | None
    decided_at: datetime | None
    decision_reason: str | None
    approvals: list[ApprovalItem]
    notices: list[NoticeItem]


class PlantRequests(_Schema):
    """A page of requests, newest first."""

    items: list[PlantRequest]
    next_cursor: str | None


def vendor_router(service: AccessRequestService, access: VendorAccess, grant_ids: GrantIds) -> APIRouter:
    """The vendor face's routes under `/access-requests`: only one's own."""
    router = APIRouter(tags=["access requests"])
    engineer = Annotated[VendorPrincipal, Depends(access.signed_in())]

    def answer(view: RequestView) -> OwnRequest:
        return _own(view, grant_ids([view.request.id]))

    @router.post("/access-requests", operation_id="submit_access_request", status_code=status.HTTP_201_CREATED)
    def submit_access_request(body: AskBody, caller: engineer) -> OwnRequest:
        return answer(
            service.submit(
                Asker(caller.person_id, caller.device_id, caller.source),
                body.target,
                body.account,
                Wish(body.reason, body.work_order, body.starts_at, timedelta(seconds=body.duration_seconds)),
            )
        )

    @router.get("/access-requests", operation_id="list_own_access_requests")
    def list_own_access_requests(
        caller: engineer,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> OwnRequests:
        views = service.requests(limit=limit, before_id=cursor, person_id=caller.person_id)
        grants = grant_ids([view.request.id for view in views])
        return OwnRequests(
            items=[_own(view, grants) for view in views],
            next_cursor=views[-1].request.id if len(views) == limit else None,
        )

    @router.get("/access-requests/{request_id}", operation_id="get_own_access_request")
    def get_own_access_request(request_id: str, caller: engineer) -> OwnRequest:
        return answer(service.get(request_id, person_id=caller.person_id))

    @router.post("/access-requests/{request_id}/withdraw", operation_id="withdraw_access_request")
    def withdraw_access_request(request_id: str, caller: engineer) -> OwnRequest:
        return answer(service.withdraw(caller.person_id, request_id))

    return router


def plant_router(service: AccessRequestService, access: PlantAccess) -> APIRouter:
    """The console's routes under `/access-requests`."""
    router = APIRouter(tags=["access requests"])
    reader = Annotated[Principal, Depends(access.requires("access_requests.request.read"))]
    approver = Annotated[Principal, Depends(access.requires("access_requests.request.approve"))]
    denier = Annotated[Principal, Depends(access.requires("access_requests.request.deny"))]

    @router.get("/access-requests", operation_id="list_access_requests")
    def list_access_requests(
        _: reader,
        state: RequestState | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
    ) -> PlantRequests:
        views = service.requests(limit=limit, before_id=cursor, state=state)
        return PlantRequests(
            items=[_plant(view) for view in views],
            next_cursor=views[-1].request.id if len(views) == limit else None,
        )

    @router.get("/access-requests/{request_id}", operation_id="get_access_request")
    def get_access_request(request_id: str, _: reader) -> PlantRequest:
        return _plant(service.get(request_id))

    @router.post("/access-requests/{request_id}/approve", operation_id="approve_access_request")
    def approve_access_request(request_id: str, body: ApproveBody, caller: approver) -> PlantRequest:
        duration = None if body.duration_seconds is None else timedelta(seconds=body.duration_seconds)
        return _plant(service.approve(caller.person_id, request_id, duration))

    @router.post("/access-requests/{request_id}/deny", operation_id="deny_access_request")
    def deny_access_request(request_id: str, body: DenyBody, caller: denier) -> PlantRequest:
        return _plant(service.deny(caller.person_id, request_id, body.reason))

    return router


def _own(view: RequestView, grant_ids: Mapping[str, str]) -> OwnRequest:
    request = view.request
    return OwnRequest(
        id=request.id,
        target=view.target.name,
        account=request.account,
        protocol=request.protocol,
        reason=request.wish.reason,
        work_order=request.wish.work_order,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        state=request.state.value,
        submitted_at=request.submitted_at,
        decided_at=request.decided_at,
        decided_by=_name(view, request.decided_by),
        decision_reason=request.decision_reason,
        grant_id=grant_ids.get(request.id),
    )


def _plant(view: RequestView) -> PlantRequest:
    request = view.request
    return PlantRequest(
        id=request.id,
        person=_person(view, request.person_id),
        company=view.person.company,
        device=NamedDevice(id=view.device.id, name=view.device.name, state=view.device.state.value),
        source=request.source,
        target=NamedThing(id=view.target.id, name=view.target.name),
        zone=NamedThing(id=view.target.zone_id, name=view.target.zone_name),
        account=request.account,
        protocol=request.protocol,
        reason=request.wish.reason,
        work_order=request.wish.work_order,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        starts_on_approval=request.window is None and request.wish.starts_at is None,
        duration_seconds=int(request.wish.duration.total_seconds()),
        state=request.state.value,
        submitted_at=request.submitted_at,
        decided_by=_person(view, request.decided_by) if request.decided_by is not None else None,
        decided_at=request.decided_at,
        decision_reason=request.decision_reason,
        approvals=[
            ApprovalItem(
                person=_person(view, approval.approver_id),
                at=approval.at,
                duration_seconds=int(approval.duration.total_seconds()),
            )
            for approval in view.approvals
        ],
        notices=[
            NoticeItem(code=notice.code, params={} if notice.value is None else {"value": notice.value})
            for notice in request.notices
        ],
    )


def _person(view: RequestView, person_id: str) -> NamedPerson:
    return NamedPerson(id=person_id, display_name=_name(view, person_id) or "")


def _name(view: RequestView, person_id: str | None) -> str | None:
    person = view.people.get(person_id) if person_id is not None else None
    return person.display_name if person is not None else None
