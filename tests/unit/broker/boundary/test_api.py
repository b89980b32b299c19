from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fastapi import Request
from starlette.testclient import TestClient

from broker.boundary import api
from broker.boundary.service import BoundaryService
from broker.boundary.testing import exported_nftables, nft_text
from broker.identities.errors import not_permitted
from broker.targets.testing import a_target, a_zone
from tests.unit.broker.boundary.test_settings import SETTINGS
from tests.unit.broker.identities.world import World, an_application


@dataclass(frozen=True)
class Person:
    """Somebody at the console."""

    person_id: str = "psn_actor"


class Door:
    """Lets somebody with these permissions in."""

    def __init__(self, *permissions: str) -> None:
        self._permissions = permissions

    def requires(self, permission: str) -> Callable[[Request], Person]:
        def permitted(request: Request) -> Person:
            if permission not in self._permissions:
                raise not_permitted(permission)
            return Person()

        return permitted


@pytest.fixture
def service(world: World) -> BoundaryService:
    a_target(world.database, zone=a_zone(world.database))
    return BoundaryService(world.database, world.targets, SETTINGS)


def client(service: BoundaryService, *permissions: str) -> TestClient:
    return an_application(api.plant_router(service, Door(*permissions)))


def test_rules_are_read_in_each_format(world: World, service: BoundaryService) -> None:
    reader = client(service, "boundary.rules.read")
    for name, word in (("nftables", "chain forward"), ("iptables", "*filter"), ("ip6tables", "*filter")):
        answer = reader.get("/boundary/rules", params={"format": name}).json()
        assert answer["format"] == name
        assert word in answer["text"]
        assert len(answer["sha256"]) == 64
    assert reader.get("/boundary/rules", params={"format": "cisco"}).status_code == 422
    assert world.trail()[-1].actor == "psn_actor"


def test_an_export_is_checked(service: BoundaryService) -> None:
    checker = client(service, "boundary.rules.check")
    text = nft_text(exported_nftables(service.plan()))
    assert checker.post("/boundary/check", json={"format": "nftables", "text": text}).json() == {
        "format": "nftables",
        "clean": True,
        "findings": [],
    }
    empty = '{"nftables": [{"metainfo": {}}]}'
    answer = checker.post("/boundary/check", json={"format": "nftables", "text": empty}).json()
    assert (answer["clean"], answer["findings"][0]["kind"]) == (False, "missing")
    problem = checker.post("/boundary/check", json={"format": "iptables", "text": text})
    assert (problem.status_code, problem.json()["code"]) == (422, "boundary.unreadable_export")


def test_each_route_has_its_own_permission(service: BoundaryService) -> None:
    body = {"format": "nftables", "text": "{}"}
    assert client(service, "boundary.rules.check").get("/boundary/rules").status_code == 403
    assert client(service, "boundary.rules.read").post("/boundary/check", json=body).status_code == 403


def test_a_site_without_a_described_firewall_is_a_conflict(world: World) -> None:
    bare = BoundaryService(world.database, world.targets, None)
    answer = client(bare, "boundary.rules.read").get("/boundary/rules")
    assert (answer.status_code, answer.json()["code"]) == (409, "boundary.not_configured")
