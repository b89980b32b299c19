"""Receipts over HTTP: the vendor face for devices, by their certificate alone, and the console."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, status
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess, VendorAccess
from broker.identities.model import Principal, VendorConnection
from broker.receipts.model import KeptReceipt
from broker.receipts.service import Receipts
from spa_knock.wire.receipt import LINE_BYTES


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DueItem(_Schema):
    """A session of the connected device, and the last head that its recording's key signed. See `model.Due`."""

    site: str
    session_id: str
    grant_id: str
    device_id: str
    target: str
    recording_id: str
    signing_key: str
    header_sha256: str
    head: str
    head_signature: str
    end: Literal["running", "sealed", "broken"]
    began_ms: int
    ended_ms: int


class DueList(_Schema):
    """At most 50, oldest first."""

    items: list[DueItem]


class ReceiptBody(_Schema):
    """A receipt's line, as its device signed it."""

    receipt: str = Field(max_length=LINE_BYTES)


class TakenAnswer(_Schema):
    """What the plant keeps now."""

    session_id: str
    state: Literal["received", "refused"]


class ReceiptAnswer(_Schema):
    """What a session's device said of it.

    `state`: `received`, `refused` (see `refusal`), `missing`, or `awaited` while it has time. `receipt`: the line that
    the device signed.
    """

    state: Literal["received", "refused", "missing", "awaited"]
    at: datetime | None
    refusal: str | None
    receipt: str | None


def vendor_router(receipts: Receipts, access: VendorAccess) -> APIRouter:
    """The vendor face's routes under `/receipts`: only one's own device's."""
    router = APIRouter(tags=["receipts"])
    connection: Callable[[Request], VendorConnection] = access.connection
    device = Annotated[VendorConnection, Depends(connection)]

    @router.get("/receipts/due", operation_id="list_due_receipts")
    def list_due_receipts(caller: device) -> DueList:
        due = receipts.due(caller.device_id, caller.certificate_der)
        return DueList(items=[DueItem.model_validate(asdict(one)) for one in due])

    @router.post("/receipts", operation_id="give_receipt", status_code=status.HTTP_201_CREATED)
    def give_receipt(body: ReceiptBody, caller: device) -> TakenAnswer:
        kept = receipts.take(caller.device_id, caller.certificate_der, body.receipt)
        return TakenAnswer.model_validate({"session_id": kept.session_id, "state": kept.state.value})

    return router


def plant_router(receipts: Receipts, access: PlantAccess) -> APIRouter:
    """The console's route."""
    router = APIRouter(tags=["receipts"])
    reader = Annotated[Principal, Depends(access.requires("sessions.session.read"))]

    @router.get("/sessions/{session_id}/receipt", operation_id="read_receipt")
    def read_receipt(session_id: str, _: reader) -> ReceiptAnswer:
        return _answer(receipts.of_session(session_id))

    return router


def _answer(kept: KeptReceipt | None) -> ReceiptAnswer:
    if kept is None:
        return ReceiptAnswer(state="awaited", at=None, refusal=None, receipt=None)
    return ReceiptAnswer(
        state=kept.state.value,
        at=kept.at,
        refusal=kept.refusal,
        receipt=kept.line.decode("ascii") if kept.line is not None else None,
    )
