"""The client's agent and the plant agree on what a receipt is: its code against the vendor face's, on every store."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.identities.testing import a_vendor_connection
from broker.receipts import api
from broker.receipts.model import KeptReceipt, ReceiptState
from recorder.testing import FixedRandom
from spa_knock.client.confirming import Confirmer
from spa_knock.client.container import OtherRecording, check_holds
from spa_knock.client.errors import ClientError
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.vendor_link import Answer
from spa_knock.wire.receipt import Receipt, read
from tests.contract import postgres as servers
from tests.unit.broker.app.test_receipt_check import recorded_anew
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.receipts.giving import Giving, giving
from tests.unit.broker.recordings.files import NOW_MS, Recorded, leave_broken, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant, a_plant

postgres, database_url = servers.postgres, servers.database_url


class Line:
    """The vendor face without its knock and TLS: what the gateway passes on, with the device's certificate."""

    def __init__(self, site: Giving) -> None:
        device = site.plant.laptop.device
        connection = a_vendor_connection(device.id, device.certificate_der)
        self._client: TestClient = an_application(
            api.vendor_router(site.receipts, site.plant.world.vendor_access), connection=connection
        )
        self.is_down = False

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        if self.is_down and method == "POST":
            raise ClientError("no_answer", "The site did not answer", "the line is down")
        answer = self._client.request(method, path, json=body)
        return Answer(answer.status_code, answer.json(), 0, 0)


class Laptop:
    """The plant's own laptop, and the client's code on it."""

    def __init__(self, site: Giving, home: Path) -> None:
        self.site = site
        self.folder = ReceiptFolder(home)
        self.line = Line(site)
        plant = site.plant
        enrolment = SimpleNamespace(
            site=SimpleNamespace(audience=plant.world.authorities.audience), device_id=plant.laptop.device.id
        )
        home_of_it: Any = SimpleNamespace(enrolment=lambda: enrolment)
        line: Any = self.line
        key: Any = plant.laptop.private_key
        self.agent = Confirmer(home_of_it, self.folder, line, key, lambda: NOW_MS + 120_000)

    def knocked_for(self, recorded: Recorded, target: str | None = None) -> None:
        grant_id = self.site.plant.sessions.get(recorded.session_id).record.grant_id
        self.folder.ask(grant_id, target or self.site.plant.target.name, NOW_MS)

    def receipt(self, recorded: Recorded) -> Receipt:
        line = self.folder.kept(recorded.session_id)
        assert line is not None
        return read(line).receipt

    def at_the_plant(self, recorded: Recorded) -> KeptReceipt:
        kept = self.site.receipts.of_session(recorded.session_id)
        assert kept is not None
        return kept


@pytest.fixture
def plant(tmp_path: Path, database_url: str) -> Iterator[Plant]:
    made = a_plant(tmp_path, database_url)
    yield made
    made.world.database.close()


@pytest.fixture
def laptop(plant: Plant, tmp_path: Path) -> Laptop:
    return Laptop(giving(plant), tmp_path / "home")


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_session_is_watched_and_confirmed_and_both_sides_keep_the_same_line(
    laptop: Laptop, plant: Plant, *, is_broken: bool
) -> None:
    one = open_recording_of(plant)
    laptop.knocked_for(one)
    assert laptop.agent.confirm() is True
    if is_broken:
        leave_broken(plant, one)
    else:
        seal(plant, one)
    assert laptop.agent.confirm() is False
    kept = laptop.at_the_plant(one)
    assert kept.line is not None
    if is_broken:
        # No head was signed before it broke off, so there is nothing that could be confirmed.
        assert (kept.state, laptop.receipt(one).refusal) == (ReceiptState.REFUSED, "no_head")
    else:
        assert kept.state is ReceiptState.RECEIVED
        with one.path.open("rb") as stream:
            assert check_holds(stream, laptop.receipt(one)).is_sealed
    assert laptop.folder.kept(one.session_id) == kept.line
    assert laptop.agent.confirm() is False


def test_a_history_rewritten_with_every_key_of_the_plant_is_exposed_at_the_vendors(
    laptop: Laptop, plant: Plant
) -> None:
    one = open_recording_of(plant, random=FixedRandom("stolen"))
    laptop.knocked_for(one)
    seal(plant, one)
    laptop.agent.confirm()
    recorded_anew(plant, one, "stolen")
    with one.path.open("rb") as stream, pytest.raises(OtherRecording):
        check_holds(stream, laptop.receipt(one))


def test_a_session_that_the_laptop_did_not_ask_for_is_refused_and_the_plant_keeps_the_refusal(
    laptop: Laptop, plant: Plant
) -> None:
    one = open_recording_of(plant)
    laptop.knocked_for(one, "another-machine")
    seal(plant, one)
    laptop.agent.confirm()
    kept = laptop.at_the_plant(one)
    assert (kept.state, kept.refusal) == (ReceiptState.REFUSED, "other_target")


def test_a_dead_client_is_missing_after_its_time_and_a_late_receipt_still_counts(laptop: Laptop, plant: Plant) -> None:
    one = open_recording_of(plant)
    laptop.knocked_for(one)
    seal(plant, one)
    plant.pass_time(minutes=15)
    assert laptop.site.receipts.enter_missing() == 1
    assert laptop.at_the_plant(one).state is ReceiptState.MISSING
    assert laptop.agent.confirm() is False
    assert laptop.at_the_plant(one).state is ReceiptState.RECEIVED


def test_a_receipt_whose_way_broke_off_arrives_as_it_was_signed(laptop: Laptop, plant: Plant) -> None:
    one = open_recording_of(plant)
    laptop.knocked_for(one)
    seal(plant, one)
    laptop.line.is_down = True
    with pytest.raises(ClientError):
        laptop.agent.confirm()
    kept = laptop.folder.kept(one.session_id)
    laptop.line.is_down = False
    assert laptop.agent.confirm() is False
    assert laptop.at_the_plant(one).line == kept
    assert json.loads(kept or b"")["receipt"]["session_id"] == one.session_id
