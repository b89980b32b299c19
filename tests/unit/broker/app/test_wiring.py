from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlmodel import select

from broker.app import wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings
from broker.audit.reactions import Reactions
from broker.audit.store import AuditEventRow
from broker.grants.model import GrantState
from broker.sessions.events import ConnectionRefused
from broker.sessions.model import Report, ReportedEvent, SessionState
from tests.unit.broker.sessions.plant import GATEWAY, SOURCE, Plant, a_plant


def test_the_site_tells_clients_what_its_settings_say(house: House, settings: Settings) -> None:
    facts = wiring.site_facts(settings, Layout.of(settings))
    assert (facts.vendor_face.host, facts.vendor_face.port) == ("203.0.113.10", 443)
    assert facts.ssh.port == 22
    assert facts == house.devices.facts


def test_the_first_administrator_can_be_made_and_is_on_the_trail(house: House) -> None:
    token = house.people.first_administrator("chief")
    assert len(token.reveal()) >= 20
    assert house.reactions.deliver_pending() == 0


class Firewall:
    """What is asked of the opener."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *what: self.asked.append((name, *what))


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = a_plant(tmp_path)
    yield made
    made.world.database.close()


def reacting(plant: Plant) -> tuple[Firewall, list[str]]:
    """The product's reaction table over a plant's services; the firewall and the rosters that are pushed."""
    firewall, pushed = Firewall(), list[str]()
    parts = SimpleNamespace(
        reactions=Reactions(plant.world.database),
        opener=firewall,
        knock_link=SimpleNamespace(push=lambda: pushed.append("roster")),
        sessions=plant.sessions,
        live=plant.live,
        grants=plant.grants,
        devices=plant.world.devices,
    )
    wiring.subscribe(parts)  # type: ignore[arg-type]
    return firewall, pushed


def test_a_cut_takes_the_knock_away_and_closes_the_door(plant: Plant) -> None:
    grant = plant.a_grant()
    admitted = plant.admitted(grant)
    firewall, pushed = reacting(plant)
    plant.live.cut(plant.approver.id, admitted.session_id, "stop")
    assert pushed == ["roster"]
    assert plant.grants.live_grants().get(plant.laptop.device.id, []) == []
    assert ("close_door", 2, SOURCE) in firewall.asked


def test_another_end_leaves_the_door_to_its_own_time(plant: Plant) -> None:
    admitted = plant.admitted()
    firewall, _ = reacting(plant)
    plant.sessions.order_end(admitted.session_id, "grant_expired")
    assert firewall.asked == []


def test_a_cut_on_the_host_takes_the_grant_back_once_control_hears_of_it(plant: Plant) -> None:
    grant = plant.a_grant()
    admitted, other = plant.admitted(grant), plant.admitted(grant)
    plant.lease(admitted)
    _, pushed = reacting(plant)
    event = ReportedEvent("session.session.cut_on_host", plant.world.clock.now(), {"reason": "smoke", "operator": "li"})
    for _ in range(2):  # the spool delivers at least once
        plant.reports.report(GATEWAY, Report(admitted.session_id, "boot-1", 1, (event,)))
    (told,) = [one for one in plant.world.trail() if one.code == "sessions.session.cut_on_host"]
    assert (told.subject, told.actor) == (admitted.session_id, "system:host")
    assert (told.params["reason"], told.params["operator"]) == ("smoke", "li")
    assert plant.grants.get(grant.id).grant.state is GrantState.REVOKED
    assert plant.sessions.get(other.session_id).record.state is SessionState.CLOSING
    assert pushed == ["roster"]


def test_a_silent_gateway_is_answered_for_by_the_firewall(plant: Plant) -> None:
    admitted = plant.admitted()
    firewall, _ = reacting(plant)
    plant.live.cut(plant.approver.id, admitted.session_id, "stop")
    firewall.asked.clear()
    plant.pass_time(seconds=4)
    parts = SimpleNamespace(live=plant.live, opener=firewall)
    assert House._answer_for_silent_gateways(parts) == 1  # type: ignore[arg-type]
    assert firewall.asked == [
        ("reset", 2, SOURCE, 50123),
        ("reset_egress", plant.target.address, plant.target.port),
    ]


def test_an_address_of_two_parties_is_told_once_to_the_trail(house: House) -> None:
    def stranger() -> None:
        with house.database.unit_of_work() as unit:
            unit.emit(
                ConnectionRefused(
                    actor="system:gateway", subject="x", reason="wrong_proof", door=1, source="10.1.1.1", at_ms=0
                )
            )

    house.sources.knocked("10.1.1.1", "dev_1", "vera", house.clock.now())
    stranger()
    stranger()
    (shared,) = house.sources.shared(house.clock.now())
    assert shared.strangers == 2
    with house.database.reading() as session:
        codes = [row.code for row in session.exec(select(AuditEventRow)).all()]
    assert codes.count("knock.source.shared") == 1


def test_who_approved_alone_and_lets_the_device_in_again_loses_the_grant(plant: Plant) -> None:
    grant, device_id = plant.a_grant(), plant.laptop.device.id
    reacting(plant)
    plant.world.devices.suspend(plant.inviter.id, device_id)
    plant.world.devices.resume(plant.inviter.id, device_id)
    assert plant.grants.get(grant.id).grant.state is GrantState.ISSUED
    plant.world.devices.suspend(plant.inviter.id, device_id)
    plant.world.devices.resume(plant.approver.id, device_id)
    assert plant.grants.get(grant.id).grant.state is GrantState.REVOKED


def test_a_person_whose_factors_are_taken_away_has_no_session_left(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.lease(admitted)
    _, pushed = reacting(plant)
    plant.world.confirmation.reset(plant.approver.id, plant.engineer.id)
    record = plant.sessions.get(admitted.session_id).record
    assert (record.state, pushed) == (SessionState.CLOSING, ["roster"])
    assert [one.params["reason"] for one in plant.world.trail() if one.code == "sessions.session.end_ordered"] == [
        "person_reset"
    ]
