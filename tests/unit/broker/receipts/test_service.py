"""What is due, what is taken, and what is told of what did not come or was not right."""

import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.kernel.errors import SallyportError
from broker.receipts.model import ReceiptState
from broker.sessions.model import Report
from recorder.seal import Signer
from spa_knock.wire.receipt import head_facts
from tests.unit.broker.receipts.giving import Giving, giving
from tests.unit.broker.recordings.files import open_recording_of
from tests.unit.broker.sessions.plant import GATEWAY, Plant
from tests.unit.broker.sessions.test_reports import head_event


@pytest.fixture
def site(plant: Plant) -> Giving:
    return giving(plant)


def told(site: Giving) -> list[str]:
    return [code for code in site.plant.codes() if code.startswith("receipts.")]


def test_a_running_session_is_told_with_the_newest_head_of_its_recording(plant: Plant) -> None:
    site, signer = giving(plant), Signer.generate(os.urandom)
    admitted = plant.admitted()
    plant.lease(admitted, signer.public)
    (running,) = site.due()
    assert (running.session_id, running.end, running.ended_ms) == (admitted.session_id, "running", 0)
    assert (running.head, running.head_signature) == ("", "")
    for seq, batches in enumerate((64, 128), 1):
        plant.reports.report(GATEWAY, Report(admitted.session_id, "b1", seq, (head_event(signer, batches),)))
    (running,) = site.due()
    facts = head_facts(running.head, running.head_signature, running.header_sha256, running.signing_key)
    assert (facts.is_sealed, facts.batches) == (False, 128)
    with pytest.raises(SallyportError) as caught:
        site.give(site.signed(running))
    assert caught.value.code == "sessions.receipt_too_early"
    assert told(site) == ["receipts.receipt.not_taken"]


def test_a_sealed_session_is_confirmed_once(site: Giving) -> None:
    recorded = site.recorded()
    (due,) = site.due()
    assert (due.session_id, due.end, due.target) == (recorded.session_id, "sealed", "press-4")
    facts = head_facts(due.head, due.head_signature, due.header_sha256, due.signing_key)
    assert (facts.is_sealed, facts.batches) == (True, 6)
    assert site.receipts.of_session(due.session_id) is None
    signed = site.signed(due)
    assert [site.give(signed), site.give(signed)] == ["received", "received"]
    kept = site.receipts.of_session(due.session_id)
    assert kept is not None
    assert (kept.state, kept.line, kept.refusal) == (ReceiptState.RECEIVED, signed.line, None)
    assert site.due() == []
    (event,) = [one for one in site.plant.world.trail() if one.code == "receipts.receipt.received"]
    assert (event.subject, event.actor) == (due.session_id, due.device_id)
    assert (event.params["receipt_sha256"], event.params["is_late"]) == (signed.sha256, False)
    with pytest.raises(SallyportError) as caught:
        site.give(site.signed(due, heads_seen=9))
    assert caught.value.code == "sessions.receipt_already"


def test_a_recording_that_broke_off_shows_the_last_head_that_was_told(plant: Plant) -> None:
    site, signer = giving(plant), Signer.generate(os.urandom)
    admitted = plant.admitted()
    plant.lease(admitted, signer.public)
    plant.reports.report(GATEWAY, Report(admitted.session_id, "b1", 1, (head_event(signer),)))
    plant.pass_time(hours=2, minutes=11)
    assert plant.reports.close_overdue() == 1
    (due,) = site.due()
    assert (due.end, bool(due.head)) == ("broken", True)
    assert site.give(site.signed(due)) == "received"


def test_a_file_that_is_not_what_was_sealed_shows_no_head(site: Giving) -> None:
    recorded = site.recorded()
    recorded.path.write_bytes(recorded.path.read_bytes()[:-1])
    (due,) = site.due()
    assert (due.end, due.head) == ("sealed", "")
    assert site.give(site.signed(due, refusal="no_head")) == "refused"
    kept = site.receipts.of_session(recorded.session_id)
    assert kept is not None
    assert (kept.state, kept.refusal) == (ReceiptState.REFUSED, "no_head")
    assert told(site) == ["receipts.receipt.refused"]
    assert site.due() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"site": "ff" * 8}, "site"),
        ({"grant_id": "grt_other"}, "grant_id"),
        ({"device_id": "dev_other"}, "device_id"),
        ({"target": "press-5"}, "target"),
        ({"recording_id": "rec_other"}, "recording_id"),
        ({"signing_key": "00" * 32}, "signing_key"),
        ({"header_sha256": "00" * 32}, "header_sha256"),
        ({"head": "", "head_signature": ""}, "head"),
        ({"head_signature": "00" * 64}, "head_signature"),
        ({"end": "broken"}, "end"),
        ({"began_ms": 1}, "began_ms"),
        ({"ended_ms": 1}, "ended_ms"),
        ({"refusal": "went_back", "recording_id": "rec_other"}, "recording_id"),
    ],
)
def test_a_receipt_that_says_something_else_is_told_and_not_kept(
    site: Giving, changes: dict[str, Any], field: str
) -> None:
    site.recorded()
    (due,) = site.due()
    with pytest.raises(SallyportError) as caught:
        site.give(site.signed(due, **changes))
    assert (caught.value.code, caught.value.params["field"]) == ("sessions.receipt_differs", field)
    (event,) = [one for one in site.plant.world.trail() if one.code == "receipts.receipt.not_taken"]
    assert (event.subject, event.params["field"]) == (due.session_id, field)
    assert site.due() == [due]
    assert site.give(site.signed(due)) == "received"


def test_a_refusal_may_name_what_the_device_was_told_wrongly(site: Giving) -> None:
    site.recorded()
    (due,) = site.due()
    assert site.give(site.signed(due, refusal="other_recording", signing_key="00" * 32)) == "refused"


def test_another_key_another_device_and_no_session_are_not_told_apart(site: Giving) -> None:
    site.recorded()
    (due,) = site.due()
    plant = site.plant
    other = plant.world.device_of(plant.engineer, plant.inviter)
    key = site.signed(due, key=Ed25519PrivateKey.generate())
    none = site.signed(due, session_id="ses_none")
    stranger = site.signed(due, key=other.private_key)
    device = plant.laptop.device
    for caller, signed in ((device, key), (device, none), (other.device, stranger), (other.device, site.signed(due))):
        with pytest.raises(SallyportError) as caught:
            site.receipts.take(caller.id, caller.certificate_der, signed.line.decode())
        assert caught.value.code == "sessions.receipt_not_yours"
    assert told(site) == []


@pytest.mark.parametrize("line", ["", "{}", "\u6536", "x" * 5_000])
def test_what_is_no_receipt_is_refused(site: Giving, line: str) -> None:
    device = site.plant.laptop.device
    with pytest.raises(SallyportError) as caught:
        site.receipts.take(device.id, device.certificate_der, line)
    assert caught.value.code == "sessions.receipt_unreadable"


def test_a_device_that_is_not_trusted_any_more_is_not_heard(site: Giving) -> None:
    site.recorded()
    (due,) = site.due()
    site.plant.world.devices.suspend(site.plant.inviter.id, due.device_id)
    for call in (site.due, lambda: site.give(site.signed(due))):
        with pytest.raises(SallyportError) as caught:
            call()
        assert caught.value.code == "device_not_trusted"


def test_the_absence_of_a_receipt_is_entered_once_and_a_late_one_is_taken(site: Giving) -> None:
    recorded = site.recorded()
    site.plant.pass_time(minutes=14, seconds=59)
    assert site.receipts.enter_missing() == 0
    site.plant.pass_time(seconds=1)
    assert [site.receipts.enter_missing(), site.receipts.enter_missing()] == [1, 0]
    kept = site.receipts.of_session(recorded.session_id)
    assert kept is not None
    assert (kept.state, kept.line) == (ReceiptState.MISSING, None)
    (due,) = site.due()
    assert site.give(site.signed(due)) == "received"
    assert told(site) == ["receipts.receipt.missing", "receipts.receipt.received"]
    (event,) = [one for one in site.plant.world.trail() if one.code == "receipts.receipt.received"]
    assert event.params["is_late"] is True


def test_after_a_week_nobody_waits_any_more(site: Giving) -> None:
    site.recorded()
    (due,) = site.due()
    site.plant.pass_time(days=7)
    assert site.due() == []
    assert site.receipts.enter_missing() == 0
    with pytest.raises(SallyportError) as caught:
        site.give(site.signed(due))
    assert caught.value.code == "sessions.receipt_too_late"


def test_a_session_that_never_began_owes_nothing(site: Giving) -> None:
    admitted = site.plant.admitted()
    assert site.due() == []
    site.plant.pass_time(minutes=2)
    assert site.plant.reports.close_overdue() == 1
    site.plant.pass_time(minutes=20)
    assert site.receipts.enter_missing() == 0
    assert site.receipts.of_session(admitted.session_id) is None


def test_a_session_that_runs_on_is_not_missed(site: Giving) -> None:
    open_recording_of(site.plant)
    site.plant.pass_time(minutes=30)
    assert site.receipts.enter_missing() == 0
