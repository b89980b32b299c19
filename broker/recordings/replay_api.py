"""Replay by chunks over HTTP, at the plant face only."""

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.recordings.replaying import Replaying

_NOT_KEPT = {"Cache-Control": "no-store"}


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TimelineAnswer(_Schema):
    """A recording's times, in milliseconds of raw recording time.

    `chunks`: when each begins. `silences`: (start, length) of what a player may shorten. While `state` is `preparing`
    the index is being made and the lists are empty: ask again in a second.
    """

    state: Literal["ready", "preparing"]
    created_at_ms: int
    columns: int
    rows: int
    duration_ms: int
    chunks: list[int]
    silences: list[tuple[int, int]]


class ChunkAnswer(_Schema):
    """`screen` brings an empty terminal of this size to the beginning; `events` are (time, `o` or `r`, text)."""

    at_ms: int
    columns: int
    rows: int
    screen: str
    events: list[tuple[int, Literal["o", "r"], str]]


def plant_router(replaying: Replaying, access: PlantAccess) -> APIRouter:
    """The routes under `/recordings/{id}/timeline` and `/recordings/{id}/chunks`."""
    router = APIRouter(tags=["recordings"])
    viewer = Annotated[Principal, Depends(access.requires("recordings.recording.replay"))]

    @router.get("/recordings/{recording_id}/timeline", operation_id="get_timeline")
    def get_timeline(recording_id: str, caller: viewer) -> TimelineAnswer:
        found = replaying.timeline(caller.person_id, recording_id)
        index = found.index
        if index is None:
            return TimelineAnswer(
                state="preparing",
                created_at_ms=found.created_at_ms,
                columns=0,
                rows=0,
                duration_ms=0,
                chunks=[],
                silences=[],
            )
        return TimelineAnswer(
            state="ready",
            created_at_ms=found.created_at_ms,
            columns=index.columns,
            rows=index.rows,
            duration_ms=index.duration_us // 1000,
            chunks=[one.at_us // 1000 for one in index.keyframes],
            silences=[(start // 1000, length // 1000) for start, length in index.silences],
        )

    @router.get("/recordings/{recording_id}/chunks/{number}", operation_id="get_chunk", response_model=ChunkAnswer)
    def get_chunk(recording_id: str, number: int, _: viewer) -> Response:
        chunk = replaying.chunk(recording_id, number)
        # Checked by its own construction: thousands of events a chunk are not worth a second look.
        content = {
            "at_ms": chunk.keyframe.at_us // 1000,
            "columns": chunk.keyframe.columns,
            "rows": chunk.keyframe.rows,
            "screen": chunk.keyframe.text,
            "events": [(one.at_us // 1000, one.code, one.text) for one in chunk.events],
        }
        return Response(orjson.dumps(content), media_type="application/json", headers=_NOT_KEPT)

    return router
