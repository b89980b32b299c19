from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlmodel import select

from broker.app import reaction_table
from broker.app.house import House
from broker.audit.reactions import Reactions
from broker.audit.store import AuditEventRow
from broker.grants.model import GrantState
from broker.identities.model import Role
from broker.identities.sign_in import Credentials, VendorSignIn
from broker.identities.testing import PASSWORD, a_vendor_connection, code_at
from broker.kernel.errors import Unauthenticated
from broker.kernel.sensitivity import SecretText
from broker.knock_link.facts import Knocks
from broker.knock_link.sources import SourceWatch
from broker.sessions.events import ConnectionRefused
from broker.sessions.model import Report, ReportedEvent, SessionState
from broker.targets.testing import a_host_key
from broker.vault.model import CredentialKind, CredentialState
from tests.unit.broker.knock_link.knocking import a_knock
from tests.unit.broker.sessions.plant import GATEWAY, SOURCE, Plant, a_plant


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
        knock_link=SimpleNamespace(
            push=lambda: pushed.append("roster"), revoke=lambda device: pushed.append(f"revoked {device}")
        ),
        sessions=plant.sessions,
        live=plant.live,
        grants=plant.grants,
        vault=plant.world.vault,
        devices=plant.world.devices,
        knocks=Knocks(plant.world.database, plant.world.devices),
        sources=SourceWatch(),
        clock=plant.world.clock,
        database=plant.world.database,
    )
    reaction_table.subscribe(parts)  # type: ignore[arg-type]
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


def ordered_ends(plant: Plant) -> list[tuple[str, object]]:
    return [
        (one.subject, one.params["reason"]) for one in plant.world.trail() if one.code == "sessions.session.end_ordered"
    ]


def running(plant: Plant) -> str:
    admitted = plant.admitted()
    plant.lease(admitted)
    return admitted.session_id


@pytest.mark.parametrize("what", ["address", "port", "host_key"])
def test_a_target_that_moves_or_gets_another_key_ends_its_sessions_and_closes_the_way(plant: Plant, what: str) -> None:
    session_id, target = running(plant), plant.target
    firewall, _ = reacting(plant)
    now = {"address": target.address, "port": target.port, "host_key": target.host_key}
    other = {"address": "10.9.9.9", "port": 2222, "host_key": a_host_key(2)}
    plant.world.targets.change_endpoint("psn_sec", target.id, **{**now, what: other[what]})  # type: ignore[arg-type]
    assert ordered_ends(plant) == [(session_id, "target_changed")]
    is_left = ("end_egress", target.address, target.port) in firewall.asked
    assert is_left is (what != "host_key")


def test_a_target_that_is_confirmed_as_it_was_ends_nothing(plant: Plant) -> None:
    running(plant)
    reacting(plant)
    target = plant.target
    plant.world.targets.change_endpoint(
        "psn_sec", target.id, address=target.address, port=target.port, host_key=target.host_key
    )
    assert ordered_ends(plant) == []


def test_a_retired_target_loses_its_sessions_grants_credential_and_way_and_keeps_its_history(plant: Plant) -> None:
    grant, session_id, target = plant.a_grant(), running(plant), plant.target
    firewall, pushed = reacting(plant)
    plant.world.targets.retire("psn_sec", target.id)
    assert ordered_ends(plant) == [(session_id, "target_retired")]
    assert plant.grants.get(grant.id).grant.state is GrantState.REVOKED
    assert plant.grants.live_grants() == {}
    assert set(pushed) == {"roster"}
    assert ("end_egress", target.address, target.port) in firewall.asked
    (state,) = {state for _, state in plant.world.vault.states(target.id)}
    assert state is CredentialState.ABSENT
    assert plant.sessions.get(session_id).target.name == target.name
    assert [view.target.name for view in plant.requests.requests(limit=5)] == [target.name] * 2


def test_a_replaced_credential_ends_the_sessions_that_use_it(plant: Plant) -> None:
    session_id = running(plant)
    reacting(plant)
    vault = plant.world.vault
    vault.put_credential(
        plant.inviter.id, plant.target.id, "maint", CredentialKind.PASSWORD, SecretText("another secret")
    )
    assert ordered_ends(plant) == [(session_id, "credential_changed")]
    later = running(plant)
    assert plant.sessions.get(later).record.state is SessionState.LIVE


def test_signing_in_from_another_address_ends_what_runs_from_the_old_one(plant: Plant) -> None:
    session_id = running(plant)
    reacting(plant)
    laptop = plant.laptop.device

    def sign_in(source: str) -> VendorSignIn:
        plant.pass_time(seconds=60)
        typed = Credentials(plant.engineer.username, SecretText(PASSWORD), SecretText(code_at(plant.world.clock.now())))
        connection = replace(a_vendor_connection(laptop.id, laptop.certificate_der), source=source)
        return plant.world.sign_in.sign_in_at_vendor_face(typed, connection)

    sign_in(SOURCE)
    assert ordered_ends(plant) == []
    sign_in("198.51.100.9")
    assert ordered_ends(plant) == [(session_id, "source_changed")]


def test_a_token_that_is_used_from_another_address_is_over_and_so_is_what_runs_from_the_old_one(plant: Plant) -> None:
    laptop = plant.laptop.device
    typed = Credentials(plant.engineer.username, SecretText(PASSWORD), SecretText(code_at(plant.world.clock.now())))
    here = replace(a_vendor_connection(laptop.id, laptop.certificate_der), source=SOURCE)
    token = plant.world.sign_in.sign_in_at_vendor_face(typed, here).token.reveal()
    session_id = running(plant)
    reacting(plant)
    plant.world.sign_in.vendor_principal(token, here)
    assert ordered_ends(plant) == []
    with pytest.raises(Unauthenticated) as refusal:
        plant.world.sign_in.vendor_principal(token, replace(here, source="198.51.100.9"))
    assert refusal.value.code == "source_changed"
    assert ordered_ends(plant) == [(session_id, "source_changed")]
    with pytest.raises(Unauthenticated) as refusal:
        plant.world.sign_in.vendor_principal(token, here)
    assert refusal.value.code == "not_signed_in"


def test_a_knock_from_another_address_ends_what_runs_from_the_old_one(plant: Plant) -> None:
    plant.pass_time(seconds=-60)
    session_id = running(plant)
    plant.pass_time(seconds=60)
    reacting(plant)
    knocks = Knocks(plant.world.database, plant.world.devices)
    assert knocks.record(a_knock(plant.world, plant.laptop, address=SOURCE))
    assert ordered_ends(plant) == []
    assert knocks.record(a_knock(plant.world, plant.laptop, address="198.51.100.9"))
    assert ordered_ends(plant) == [(session_id, "source_changed")]


def test_a_knock_that_is_told_late_leaves_what_has_begun_since(plant: Plant) -> None:
    knock = a_knock(plant.world, plant.laptop, address="198.51.100.9")
    plant.pass_time(seconds=60)
    running(plant)
    reacting(plant)
    assert Knocks(plant.world.database, plant.world.devices).record(knock)
    assert ordered_ends(plant) == []


def test_a_knock_of_another_device_ends_nobodys_session(plant: Plant) -> None:
    running(plant)
    plant.pass_time(seconds=60)
    reacting(plant)
    neighbour = plant.world.device_of(plant.world.somebody(), plant.world.somebody(Role.PLANT_ADMIN))
    knocks = Knocks(plant.world.database, plant.world.devices)
    assert knocks.record(a_knock(plant.world, neighbour, address="198.51.100.9"))
    assert ordered_ends(plant) == []


@pytest.mark.parametrize("how", ["suspend", "retire"])
def test_a_device_that_is_shut_out_loses_its_sessions_its_flows_and_its_knock(plant: Plant, how: str) -> None:
    session_id, device = running(plant), plant.laptop.device
    firewall, pushed = reacting(plant)
    getattr(plant.world.devices, how)(plant.inviter.id, device.id)
    assert ordered_ends(plant) == [(session_id, "device_not_trusted")]
    assert ("revoke", device.mark) in firewall.asked
    assert pushed == [f"revoked {device.id}"]


def test_a_suspended_person_and_the_end_of_a_grant_end_sessions_with_their_reason(plant: Plant) -> None:
    grant = plant.a_grant(hours=1)
    admitted = plant.admitted(grant)
    plant.lease(admitted)
    reacting(plant)
    plant.pass_time(hours=2)
    plant.grants.expire_over()
    assert ordered_ends(plant) == [(admitted.session_id, "grant_expired")]
    later = running(plant)
    plant.world.people.suspend_person("psn_root", plant.engineer.id)
    assert ordered_ends(plant)[1:] == [(later, "person_suspended")]
