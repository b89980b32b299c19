"""Unmasking over HTTP, at the plant face. Private keys never come here: only one opened part of a recording's key."""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.kernel.errors import Invalid
from broker.recordings.unmasking import Unmasking

_NOT_KEPT = {"Cache-Control": "no-store"}


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SealedPart(_Schema):
    """One part of a recording's mask key, sealed to one auditor's public key (hex)."""

    auditor_key: str
    ephemeral_public_b64: str
    sealed_b64: str


class SealedParts(_Schema):
    """Both parts, in their order."""

    parts: list[SealedPart]


class OpenedPart(_Schema):
    """The part that its auditor opened; `part` is 1 or 2."""

    part: int = Field(ge=1, le=2)
    secret_b64: str = Field(max_length=64)


class HiddenPiece(_Schema):
    """What was typed and not shown, up to this moment."""

    at_ms: int
    channel: int
    text: str


class UnmaskAnswer(_Schema):
    """`waiting` for the other auditor, or `opened` with what was typed."""

    state: str
    items: list[HiddenPiece]


def plant_router(unmasking: Unmasking, access: PlantAccess) -> APIRouter:
    """The routes under `/recordings/{id}/masked`."""
    router = APIRouter(tags=["recordings"])
    auditor = Annotated[Principal, Depends(access.requires("recordings.recording.unmask"))]

    @router.get("/recordings/{recording_id}/masked", operation_id="get_masked_parts")
    def get_masked_parts(recording_id: str, _: auditor) -> SealedParts:
        parts = unmasking.sealed_parts(recording_id)
        return SealedParts(
            parts=[
                SealedPart(
                    auditor_key=one.recipient_public.hex(),
                    ephemeral_public_b64=base64.b64encode(one.ephemeral_public).decode(),
                    sealed_b64=base64.b64encode(one.sealed).decode(),
                )
                for one in parts
            ]
        )

    @router.post("/recordings/{recording_id}/masked", operation_id="unmask_recording", response_model=UnmaskAnswer)
    def unmask_recording(recording_id: str, body: OpenedPart, caller: auditor) -> JSONResponse:
        try:
            secret = base64.b64decode(body.secret_b64, validate=True)
        except binascii.Error:
            secret = b""
        if len(secret) != 32:
            raise Invalid("recordings.no_part", "A part has 32 bytes, in base64.")
        found = unmasking.offer(caller.person_id, recording_id, body.part - 1, secret).pieces
        items = [
            HiddenPiece(at_ms=one.at_us // 1000, channel=one.channel, text=one.keys.decode("utf-8", "replace"))
            for one in found or ()
        ]
        answer = UnmaskAnswer(state="waiting" if found is None else "opened", items=items)
        return JSONResponse(answer.model_dump(), headers=_NOT_KEPT)

    return router
