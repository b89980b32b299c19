import base64
import os
from datetime import timedelta

import pytest

from broker.identities.testing import NOON
from broker.recordings.model import ClosedFacts, RecordingState
from broker.sessions.model import Ended, GatewayIdentity, Report, ReportedEvent, SessionState
from recorder.manifest import Counts, sign_head
from recorder.seal import Signer
from tests.unit.broker.sessions.plant import GATEWAY, Plant

SEALED = ClosedFacts(RecordingState.SEALED, 7, 3, 999, b"h" * 32, b"s" * 64, NOON)


def _ended(session_id: str, recording: ClosedFacts | None = SEALED) -> Ended:
    return Ended(session_id, "client_left", NOON + timedelta(minutes=1), recording, 0)


def _blocked(text: str = "rm -rf /srv/data") -> ReportedEvent:
    return ReportedEvent("session.command.blocked", NOON, {"rule_id": "linux.recursive-removal", "text": text})


def _live(plant: Plant) -> str:
    admitted = plant.admitted()
    plant.lease(admitted)
    return admitted.session_id


def test_an_end_closes_session_and_recording_once(plant: Plant) -> None:
    session_id = _live(plant)
    for _ in range(3):
        plant.reports.ended(GATEWAY, "boot-1", 1, _ended(session_id))
    record = plant.sessions.get(session_id).record
    assert (record.state, record.end_reason, record.exit_status) == (SessionState.CLOSED, "client_left", 0)
    assert record.ended_at == NOON + timedelta(minutes=1)
    codes = plant.codes()
    assert codes.count("sessions.session.ended") == 1
    sealed = [one for one in plant.world.trail() if one.code == "recordings.recording.sealed"]
    assert [one.params["head_sha256"] for one in sealed] == [(b"h" * 32).hex()]


def test_an_end_without_recording_facts_leaves_the_recording_broken(plant: Plant) -> None:
    session_id = _live(plant)
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended(session_id, None))
    assert plant.codes().count("recordings.recording.broken") == 1


def test_a_device_that_the_firewall_reset_did_not_leave(plant: Plant) -> None:
    session_id = _live(plant)
    plant.world.devices.suspend(plant.inviter.id, plant.laptop.device.id)
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended(session_id))
    assert plant.sessions.get(session_id).record.end_reason == "device_not_trusted"


@pytest.mark.parametrize(("cut", "reason"), [(False, "grant_revoked"), (True, "cut")])
def test_an_ordered_end_keeps_its_reason_when_the_client_goes_first(plant: Plant, *, cut: bool, reason: str) -> None:
    session_id = _live(plant)
    if cut:
        plant.live.cut(plant.approver.id, session_id, "Line 3 must run now")
    else:
        plant.sessions.order_end(session_id, "grant_revoked")
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended(session_id))
    assert plant.sessions.get(session_id).record.end_reason == reason


def test_an_end_before_the_lease_has_no_recording(plant: Plant) -> None:
    admitted = plant.admitted()
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended(admitted.session_id))
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.CLOSED
    assert not any(code.startswith("recordings.") for code in plant.codes())


def test_an_end_of_an_earlier_start_is_taken_as_well(plant: Plant) -> None:
    session_id = _live(plant)
    restarted = GatewayIdentity("w1", "boot-2")
    plant.reports.ended(restarted, "boot-1", 1, _ended(session_id))
    assert plant.sessions.get(session_id).record.state is SessionState.CLOSED


def test_another_worker_cannot_end_a_session(plant: Plant) -> None:
    session_id = _live(plant)
    plant.reports.ended(GatewayIdentity("w2", "boot-9"), "boot-9", 1, _ended(session_id))
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended("ses_unknown"))
    assert plant.sessions.get(session_id).record.state is SessionState.LIVE


def test_a_blocked_command_is_in_the_trail_and_counted_once(plant: Plant) -> None:
    session_id = _live(plant)
    report = Report(session_id, "boot-1", 1, (_blocked(), _blocked("rm -r /etc")))
    plant.reports.report(GATEWAY, report)
    plant.reports.report(GATEWAY, report)
    assert plant.sessions.get(session_id).record.commands_blocked == 2
    blocked = [one for one in plant.world.trail() if one.code == "sessions.command.blocked"]
    assert [(one.subject, one.actor) for one in blocked] == [(session_id, plant.engineer.id)] * 2
    assert blocked[0].params["command"] == "rm -rf /srv/data"


def test_entered_commands_stand_in_the_recording_only(plant: Plant) -> None:
    session_id = _live(plant)
    before = plant.codes()
    entered = ReportedEvent("session.command.entered", NOON, {"text": "ls"})
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 1, (entered,)))
    assert plant.codes() == before


def test_a_missing_number_is_told(plant: Plant) -> None:
    session_id = _live(plant)
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 1, ()))
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 4, (_blocked(),)))
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 2, (_blocked(),)))
    (gap,) = [one for one in plant.world.trail() if one.code == "gateway.report.gap"]
    assert (gap.params["expected_seq"], gap.params["got_seq"]) == (2, 4)
    assert plant.sessions.get(session_id).record.commands_blocked == 1


def test_each_start_of_each_worker_counts_for_itself(plant: Plant) -> None:
    for worker in ("w1", "w2"):
        for boot in ("b1", "b2"):
            plant.reports.report(GatewayIdentity(worker, boot), Report(None, boot, 1, ()))
    assert "gateway.report.gap" not in plant.codes()


def test_a_gateway_that_connects_is_told_what_it_must_end(plant: Plant) -> None:
    live, closing, closed = _live(plant), _live(plant), _live(plant)
    plant.sessions.order_end(closing, "grant_revoked")
    plant.reports.ended(GATEWAY, "boot-1", 1, _ended(closed))
    orders = plant.reports.outstanding_orders("w1", [live, closing, closed, "ses_unknown", "junk"])
    assert [(order.session_id, order.reason) for order in orders] == [
        (closing, "grant_revoked"),
        (closed, "unknown_session"),
        ("ses_unknown", "unknown_session"),
        ("junk", "unknown_session"),
    ]
    assert [order.session_id for order in plant.reports.outstanding_orders("w2", [live])] == [live]


def test_what_a_gateway_does_not_hold_any_more_is_lost(plant: Plant) -> None:
    held, gone = _live(plant), _live(plant)
    plant.pass_time(seconds=1)
    connected_at = plant.world.clock.now()
    plant.pass_time(seconds=1)
    later = _live(plant)
    assert plant.reports.close_missing("w2", [], connected_at) == 0
    assert plant.reports.close_missing("w1", [held], connected_at) == 1
    states = {one: plant.sessions.get(one).record for one in (held, gone, later)}
    assert states[held].state is SessionState.LIVE
    assert states[later].state is SessionState.LIVE
    assert (states[gone].state, states[gone].end_reason) == (SessionState.CLOSED, "gateway_lost")
    assert plant.codes().count("recordings.recording.broken") == 1


def test_sessions_long_past_their_permit_are_closed(plant: Plant) -> None:
    session_id = _live(plant)
    plant.pass_time(hours=2, minutes=9)
    assert plant.reports.close_overdue() == 0
    plant.pass_time(minutes=2)
    assert plant.reports.close_overdue() == 1
    assert plant.sessions.get(session_id).record.end_reason == "gateway_lost"


def head_event(signer: Signer, batches: int = 64) -> ReportedEvent:
    head, _ = sign_head(Counts(batches, 80, 9_000, 5_000_000, b"c" * 32), bytes(32), signer.sign)
    params: dict[str, str | int | bool | None] = {
        "batches": head.batches,
        "frames": head.frames,
        "bytes": head.bytes,
        "at_us": head.at_us,
        "chain_sha256": head.chain_sha256.hex(),
        "signature_b64": base64.b64encode(head.signature).decode(),
    }
    return ReportedEvent("recordings.recording.anchored", NOON, params)


def _recorded_by(plant: Plant, signer: Signer) -> str:
    admitted = plant.admitted()
    plant.lease(admitted, signer.public)
    return admitted.session_id


def test_a_signed_head_of_a_running_recording_goes_into_the_trail(plant: Plant) -> None:
    signer = Signer.generate(os.urandom)
    session_id = _recorded_by(plant, signer)
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 1, (head_event(signer),)))
    (event,) = [one for one in plant.world.trail() if one.code == "recordings.recording.anchored"]
    assert (event.params["batches"], event.params["chain_sha256"]) == (64, (b"c" * 32).hex())


def test_a_head_that_the_recordings_key_did_not_sign_is_no_anchor_but_an_alarm(plant: Plant) -> None:
    session_id = _recorded_by(plant, Signer.generate(os.urandom))
    forged = head_event(Signer.generate(os.urandom))
    plant.reports.report(GATEWAY, Report(session_id, "boot-1", 1, (forged,)))
    assert "recordings.recording.anchored" not in plant.codes()
    assert plant.codes().count("recordings.recording.anchor_refused") == 1


def test_the_health_of_a_recording_shows_at_its_session(plant: Plant) -> None:
    session_id = _live(plant)
    seen = []
    for number, code in enumerate(("stalled", "resumed", "nearly_spent"), 1):
        event = ReportedEvent(f"recordings.recording.{code}", NOON, {"held_ms": 5})
        plant.reports.report(GATEWAY, Report(session_id, "boot-1", number, (event,)))
        seen.append(plant.sessions.get(session_id).record.recording_health)
    assert seen == ["held", "good", "nearly_spent"]
    assert [one for one in plant.codes() if one.startswith("recordings.recording.")][1:] == [
        "recordings.recording.stalled",
        "recordings.recording.resumed",
        "recordings.recording.nearly_spent",
    ]
