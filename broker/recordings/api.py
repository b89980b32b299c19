"""Recordings over HTTP, at the plant face only. Looking into one is itself in the trail."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.recordings.copy_model import Copy
from broker.recordings.model import Details, Marker
from broker.recordings.service import RecordingService

_CAST_TYPE = "application/x-asciicast"
_NOT_KEPT = {"Cache-Control": "no-store"}


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VerificationAnswer(_Schema):
    """What checking it found: `verified`, `unfinished`, `incomplete`, `altered`, `missing` or `unreachable`.

    `heads`: with how many heads of the audit trail the file agrees. `trail`: `witnessed` when a checkpoint of the
    witness vouches for the trail's records about it, else `not_witnessed` or `altered`.
    """

    state: str
    checked_at: datetime
    first_bad: int | None
    kind: str | None
    heads: int
    trail: str


class CopyAnswer(_Schema):
    """A recording's copy in the object store: `growing`, `stored`, `verified` or `released` (the file here is gone).

    `problem` is why its last try failed; `is_held`: its object bears a legal hold.
    """

    state: str
    uploaded_bytes: int
    version: str | None
    locked_until: datetime | None
    verified_at: datetime | None
    released_at: datetime | None
    is_held: bool
    problem: str | None


class RecordingAnswer(_Schema):
    """A recording. `place`: it lies in the `local` file, in `both`, in the `object_store`, or is `gone`."""

    id: str
    session_id: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    duration_ms: int | None
    frames: int
    bytes: int
    width: int | None
    height: int | None
    signing_key: str
    head_sha256: str | None
    place: str
    copied: CopyAnswer | None
    verification: VerificationAnswer


class MarkerAnswer(_Schema):
    """A moment worth finding."""

    at_ms: int
    kind: str
    text: str
    rule_id: str | None


class MarkersAnswer(_Schema):
    """The moments of a recording, in order."""

    items: list[MarkerAnswer]


def plant_router(service: RecordingService, access: PlantAccess) -> APIRouter:
    """The console's routes under `/recordings`."""
    router = APIRouter(tags=["recordings"])
    reader = Annotated[Principal, Depends(access.requires("recordings.recording.read"))]
    viewer = Annotated[Principal, Depends(access.requires("recordings.recording.replay"))]

    @router.get("/recordings/{recording_id}", operation_id="get_recording")
    def get_recording(recording_id: str, _: reader) -> RecordingAnswer:
        return _answer(service.details(recording_id))

    @router.get(
        "/recordings/{recording_id}/cast",
        operation_id="replay_recording",
        response_class=StreamingResponse,
        responses={200: {"content": {_CAST_TYPE: {"schema": {"type": "string"}}}}},
    )
    def replay_recording(recording_id: str, caller: viewer) -> StreamingResponse:
        lines = service.cast(caller.person_id, recording_id)
        return StreamingResponse(lines, media_type=_CAST_TYPE, headers=_NOT_KEPT)

    @router.get("/recordings/{recording_id}/events", operation_id="list_recording_events")
    def list_recording_events(recording_id: str, caller: viewer) -> MarkersAnswer:
        return MarkersAnswer(items=[_marker(one) for one in service.markers(caller.person_id, recording_id)])

    return router


def _answer(details: Details) -> RecordingAnswer:
    recording, found = details.recording, details.verification
    return RecordingAnswer(
        id=recording.id,
        session_id=recording.session_id,
        state=recording.state.value,
        opened_at=recording.opened_at,
        closed_at=recording.closed_at,
        duration_ms=details.duration_ms,
        frames=recording.frames,
        bytes=recording.bytes_written,
        width=details.width,
        height=details.height,
        signing_key=recording.signing_public.hex(),
        head_sha256=recording.head_sha256.hex() if recording.head_sha256 is not None else None,
        place=details.place.value,
        copied=_copied(details.copy) if details.copy is not None else None,
        verification=VerificationAnswer(
            state=found.finding.value,
            checked_at=found.checked_at,
            first_bad=found.first_bad,
            kind=found.kind,
            heads=found.heads,
            trail=found.trail,
        ),
    )


def _copied(copy: Copy) -> CopyAnswer:
    return CopyAnswer(
        state=copy.state.value,
        uploaded_bytes=copy.uploaded_bytes,
        version=copy.stored.version if copy.stored is not None else None,
        locked_until=copy.locked_until,
        verified_at=copy.verified_at,
        released_at=copy.released_at,
        is_held=copy.is_held,
        problem=copy.problem,
    )


def _marker(marker: Marker) -> MarkerAnswer:
    return MarkerAnswer(at_ms=marker.at_ms, kind=marker.kind, text=marker.text, rule_id=marker.rule_id)
