import hashlib
from datetime import timedelta

import pytest

from broker.boundary.model import Format
from broker.boundary.service import BoundaryService
from broker.boundary.testing import exported_nftables, nft_text
from broker.kernel.errors import Conflict, Invalid
from broker.targets.testing import NOON, a_target, a_zone
from tests.unit.broker.boundary.test_settings import SETTINGS
from tests.unit.broker.identities.world import World


@pytest.fixture
def service(world: World) -> BoundaryService:
    a_target(world.database, zone=a_zone(world.database))
    return BoundaryService(world.database, world.targets, SETTINGS)


def test_rules_are_rendered_from_the_registry_and_told_with_their_digest(
    world: World, service: BoundaryService
) -> None:
    rendered = service.render("psn_actor", Format.NFTABLES)
    assert "ip daddr 10.20.0.4 tcp dport 22" in rendered.text
    assert "delete table" in rendered.undo
    record = world.trail()[-1]
    assert (record.code, record.actor) == ("boundary.rules.rendered", "psn_actor")
    assert record.params["sha256"] == rendered.sha256 == hashlib.sha256(rendered.text.encode()).hexdigest()
    assert record.params["format"] == "nftables"


def test_a_check_is_told_with_the_number_of_its_findings(world: World, service: BoundaryService) -> None:
    export = nft_text(exported_nftables(service.plan()))
    assert service.check("psn_actor", export, Format.NFTABLES).is_clean
    assert len(service.check("psn_actor", '{"nftables": [{"metainfo": {}}]}', Format.NFTABLES).items) == 1
    records = world.trail()[-2:]
    assert [(record.code, record.params["findings"]) for record in records] == [
        ("boundary.rules.checked", 0),
        ("boundary.rules.checked", 1),
    ]
    assert records[0].params["export_sha256"] == hashlib.sha256(export.encode()).hexdigest()


def test_a_target_entered_after_the_rules_were_loaded_is_a_finding(world: World, service: BoundaryService) -> None:
    export = nft_text(exported_nftables(service.plan()))
    zone = world.targets.zones()[0]
    a_target(world.database, name="press-9", zone=zone, address="10.20.0.9")
    assert [item.kind.value for item in service.check("psn_actor", export, Format.NFTABLES).items] == ["missing"]


def test_an_export_that_cannot_be_read_is_refused_and_not_told(world: World, service: BoundaryService) -> None:
    with pytest.raises(Invalid):
        service.check("psn_actor", "x", Format.IPTABLES)
    assert "boundary.rules.checked" not in world.codes()


def test_every_target_is_in_the_plan_however_many_pages_there_are(world: World, service: BoundaryService) -> None:
    zone = world.targets.zones()[0]
    for number in range(205):
        a_target(
            world.database,
            name=f"cell-{number}",
            zone=zone,
            address=f"10.20.1.{number + 1}",
            at=NOON + timedelta(milliseconds=number + 1),
        )
    assert len(service.plan().zones[0].management) == 206


def test_a_site_without_a_described_firewall_says_so(world: World) -> None:
    with pytest.raises(Conflict) as refusal:
        BoundaryService(world.database, world.targets, None).render("psn_actor", Format.NFTABLES)
    assert refusal.value.code == "boundary.not_configured"


def test_a_retired_target_has_no_rule_and_one_that_a_firewall_still_has_is_a_finding(
    world: World, service: BoundaryService
) -> None:
    export = nft_text(exported_nftables(service.plan()))
    zone = world.targets.zones()[0]
    a_target(world.database, name="press-9", zone=zone, address="10.20.0.9")
    gone = world.targets.named("press-4")
    world.targets.retire("psn_sec", gone.id)
    assert gone.address + " " not in service.render("psn_actor", Format.NFTABLES).text
    assert not service.check("psn_actor", export, Format.NFTABLES).is_clean
