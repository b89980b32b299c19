"""Devices over HTTP: invites and the registry at the plant face, enrolment at the vendor face."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field

from broker.devices.model import Device, Enrolment, EnrolmentRequest, Posture
from broker.devices.service import DeviceService


class Caller(Protocol):
    """Who acts at the console."""

    @property
    def person_id(self) -> str:
        """The person's id."""
        ...


class InvitedConnection(Protocol):
    """A connection made with an invite's certificate, or a device's."""

    @property
    def device_id(self) -> str:
        """The invite's id, or the device's."""
        ...

    @property
    def source(self) -> str:
        """The address it comes from."""
        ...

    @property
    def certificate_der(self) -> bytes:
        """The certificate it proved."""
        ...


class PlantDoor(Protocol):
    """What this router needs of `PlantAccess`."""

    def requires(self, permission: str) -> Callable[[Request], Caller]:
        """A dependency that gives the caller who holds this permission."""
        ...


class VendorDoor(Protocol):
    """What this router needs of `VendorAccess`."""

    def enrolling(self) -> Callable[[Request], InvitedConnection]:
        """A dependency that gives the invite's connection."""
        ...

    def signed_in(self) -> Callable[[Request], object]:
        """A dependency that lets in an engineer who is signed in on this connection's device."""
        ...

    def connection(self, request: Request) -> InvitedConnection:
        """A dependency that gives the device's connection."""
        ...


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InviteRequest(_Schema):
    """Whom to invite."""

    person_id: str = Field(max_length=40)


class InviteAnswer(_Schema):
    """An invite; its text is shown this once."""

    invite_id: str
    invite_text: str
    expires_at: datetime


class TrustRequest(_Schema):
    """The short code as it was read aloud."""

    short_code: str = Field(min_length=1, max_length=40)


class OwnerAnswer(_Schema):
    """Whose device it is."""

    id: str
    display_name: str


class DeviceAnswer(_Schema):
    """A device."""

    id: str
    person: OwnerAnswer
    name: str
    state: str
    short_code: str
    key_storage: str
    operating_system: str
    enrolled_at: datetime
    trusted_at: datetime | None
    last_knock_at: datetime | None
    certificate_not_after: datetime
    allow_header_address: bool
    loose_clock: bool
    renewal_pending: bool


class DeviceList(_Schema):
    """A page of devices, newest first."""

    items: list[DeviceAnswer]
    next_cursor: str | None


class PostureSchema(BaseModel):
    """What the client says of itself; further facts are ignored."""

    model_config = ConfigDict(extra="ignore")

    os: str = Field(default="", max_length=80)
    key_storage: str = Field(default="", max_length=40)


class EnrolRequest(_Schema):
    """A device's request to be enrolled."""

    code: str = Field(max_length=100, repr=False)
    csr_pem: str = Field(max_length=8192)
    device_name: str = Field(min_length=1, max_length=80)
    posture: PostureSchema = Field(default_factory=PostureSchema)


class DayKeyAnswer(_Schema):
    """The gate key of one day."""

    day: int
    key_b64: str = Field(repr=False)


class PolicyRequest(_Schema):
    """What a device's knocks may leave open."""

    allow_header_address: bool
    loose_clock: bool = False


class RenewalAnswer(_Schema):
    """What a device that renews itself must keep; the certificate is for its next sign-in."""

    certificate_pem: str
    knock_key_b64: str = Field(repr=False)
    day_keys: list[DayKeyAnswer]


class EnrolAnswer(_Schema):
    """What an enrolled device must keep."""

    device_id: str
    certificate_pem: str
    knock_key_b64: str = Field(repr=False)
    day_keys: list[DayKeyAnswer]
    short_code: str
    state: str


def plant_router(service: DeviceService, access: PlantDoor) -> APIRouter:
    """The console's routes: `/device-invites` and `/devices`."""
    router = APIRouter(tags=["devices"])

    def answer(device: Device) -> DeviceAnswer:
        return _device_answer(device, service.owner_names([device]))

    @router.post("/device-invites", operation_id="create_device_invite", status_code=status.HTTP_201_CREATED)
    def create_device_invite(
        body: InviteRequest, caller: Annotated[Caller, Depends(access.requires("devices.invite.create"))]
    ) -> InviteAnswer:
        invite = service.enrolments.invite(caller.person_id, body.person_id)
        return InviteAnswer(invite_id=invite.id, invite_text=invite.text, expires_at=invite.expires_at)

    @router.get("/devices", operation_id="list_devices", dependencies=[Depends(access.requires("devices.device.read"))])
    def list_devices(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: Annotated[str | None, Query(max_length=40)] = None
    ) -> DeviceList:
        devices = service.devices(limit=limit, before=cursor)
        names = service.owner_names(devices)
        return DeviceList(
            items=[_device_answer(device, names) for device in devices],
            next_cursor=devices[-1].id if len(devices) == limit else None,
        )

    @router.get(
        "/devices/{device_id}",
        operation_id="get_device",
        dependencies=[Depends(access.requires("devices.device.read"))],
    )
    def get_device(device_id: str) -> DeviceAnswer:
        return answer(service.get(device_id))

    @router.post("/devices/{device_id}/trust", operation_id="trust_device")
    def trust_device(
        device_id: str,
        body: TrustRequest,
        caller: Annotated[Caller, Depends(access.requires("devices.device.trust"))],
    ) -> DeviceAnswer:
        return answer(service.trust(caller.person_id, device_id, body.short_code))

    @router.post("/devices/{device_id}/suspend", operation_id="suspend_device")
    def suspend_device(
        device_id: str, caller: Annotated[Caller, Depends(access.requires("devices.device.suspend"))]
    ) -> DeviceAnswer:
        return answer(service.suspend(caller.person_id, device_id))

    @router.post("/devices/{device_id}/resume", operation_id="resume_device")
    def resume_device(
        device_id: str, caller: Annotated[Caller, Depends(access.requires("devices.device.resume"))]
    ) -> DeviceAnswer:
        return answer(service.resume(caller.person_id, device_id))

    @router.post("/devices/{device_id}/retire", operation_id="retire_device")
    def retire_device(
        device_id: str, caller: Annotated[Caller, Depends(access.requires("devices.device.retire"))]
    ) -> DeviceAnswer:
        return answer(service.retire(caller.person_id, device_id))

    @router.put("/devices/{device_id}/policy", operation_id="change_device_policy")
    def change_device_policy(
        device_id: str,
        body: PolicyRequest,
        caller: Annotated[Caller, Depends(access.requires("devices.device.suspend"))],
    ) -> DeviceAnswer:
        changed = service.policies.change(
            caller.person_id, device_id, allow_header_address=body.allow_header_address, loose_clock=body.loose_clock
        )
        return answer(changed)

    return router


def vendor_router(
    service: DeviceService, access: VendorDoor, tell_guard: Callable[[], bool] = lambda: False
) -> APIRouter:
    """The vendor face's routes: `/enrol`, for an invite's connection, and `/device/renewal`, for a signed-in engineer.

    `tell_guard` returns when the guard has the roster of now, or after a short while.
    """
    router = APIRouter(tags=["devices"])

    @router.post("/device/renewal", operation_id="renew_device", dependencies=[Depends(access.signed_in())])
    def renew_device(connection: Annotated[InvitedConnection, Depends(access.connection)]) -> RenewalAnswer:
        renewal = service.renew(connection.device_id, connection.certificate_der, connection.source)
        # The client knocks with the new key as soon as it has it: the guard must know it first.
        tell_guard()
        return RenewalAnswer(
            certificate_pem=renewal.certificate_pem,
            knock_key_b64=base64.b64encode(renewal.knock_key).decode(),
            day_keys=[
                DayKeyAnswer(day=one.day, key_b64=base64.b64encode(one.key).decode()) for one in renewal.day_keys
            ],
        )

    @router.post("/enrol", operation_id="enrol_device", status_code=status.HTTP_201_CREATED)
    def enrol_device(
        body: EnrolRequest, connection: Annotated[InvitedConnection, Depends(access.enrolling())]
    ) -> EnrolAnswer:
        enrolment = service.enrolments.enrol(
            EnrolmentRequest(
                invite_id=connection.device_id,
                certificate_der=connection.certificate_der,
                source=connection.source,
                code=body.code,
                csr_pem=body.csr_pem,
                device_name=body.device_name.strip(),
                posture=Posture(body.posture.os, body.posture.key_storage),
            )
        )
        return _enrol_answer(enrolment)

    return router


def _device_answer(device: Device, owner_names: Mapping[str, str]) -> DeviceAnswer:
    return DeviceAnswer(
        id=device.id,
        person=OwnerAnswer(id=device.person_id, display_name=owner_names.get(device.person_id, "")),
        name=device.name,
        state=device.state.value,
        short_code=device.short_code,
        key_storage=device.key_storage,
        operating_system=device.operating_system,
        enrolled_at=device.enrolled_at,
        trusted_at=device.trusted_at,
        last_knock_at=device.last_knock_at,
        certificate_not_after=device.certificate_not_after,
        allow_header_address=device.allow_header_address,
        loose_clock=device.loose_clock,
        renewal_pending=device.renewal_pending,
    )


def _enrol_answer(enrolment: Enrolment) -> EnrolAnswer:
    return EnrolAnswer(
        device_id=enrolment.device.id,
        certificate_pem=enrolment.certificate_pem,
        knock_key_b64=base64.b64encode(enrolment.knock_key).decode(),
        day_keys=[DayKeyAnswer(day=one.day, key_b64=base64.b64encode(one.key).decode()) for one in enrolment.day_keys],
        short_code=enrolment.device.short_code,
        state=enrolment.device.state.value,
    )
