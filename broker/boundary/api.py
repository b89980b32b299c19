"""The boundary's rules over HTTP, at the plant face only."""

from collections.abc import Callable
from typing import Annotated
from typing import Protocol as TypingProtocol

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from broker.boundary.compare import Kind
from broker.boundary.model import Format
from broker.boundary.parse import LONGEST_EXPORT
from broker.boundary.service import BoundaryService


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


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BoundaryRulesAnswer(_Schema):
    """Rules to load on the boundary firewall, and how to take them away again."""

    format: Format
    text: str
    undo: str
    sha256: str


class BoundaryCheckRequest(_Schema):
    """What the firewall's own tool exported."""

    format: Format
    text: str = Field(min_length=1, max_length=LONGEST_EXPORT)


class BoundaryFindingAnswer(_Schema):
    """One difference from the plan."""

    kind: Kind
    place: str
    text: str
    message: str


class BoundaryCheckAnswer(_Schema):
    """Every difference from the plan; none means that the firewall does what the plan says."""

    format: Format
    clean: bool
    findings: list[BoundaryFindingAnswer]


def plant_router(service: BoundaryService, access: PlantDoor) -> APIRouter:
    """The console's routes: `/boundary/rules` and `/boundary/check`."""
    router = APIRouter(tags=["boundary"])

    @router.get("/boundary/rules", operation_id="get_boundary_rules")
    def get_boundary_rules(
        caller: Annotated[Caller, Depends(access.requires("boundary.rules.read"))],
        rules_format: Annotated[Format, Query(alias="format")] = Format.NFTABLES,
    ) -> BoundaryRulesAnswer:
        rendered = service.render(caller.person_id, rules_format)
        return BoundaryRulesAnswer(
            format=rendered.format, text=rendered.text, undo=rendered.undo, sha256=rendered.sha256
        )

    @router.post("/boundary/check", operation_id="check_boundary")
    def check_boundary(
        body: BoundaryCheckRequest, caller: Annotated[Caller, Depends(access.requires("boundary.rules.check"))]
    ) -> BoundaryCheckAnswer:
        findings = service.check(caller.person_id, body.text, body.format)
        return BoundaryCheckAnswer(
            format=findings.format,
            clean=findings.is_clean,
            findings=[
                BoundaryFindingAnswer(kind=item.kind, place=item.place, text=item.text, message=item.message)
                for item in findings.items
            ],
        )

    return router
