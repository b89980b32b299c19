"""A real spool, handed to a real control as the gateway does it, and everything somebody may do to it in between."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.gateway.spool import Spool, Spooled
from broker.gateway.testing import a_boot_key
from broker.identities.testing import NOON
from broker.kernel.errors import Conflict
from broker.sessions.model import GatewayIdentity, Report, ReportedEvent
from broker.sessions.sequence import EventSequence
from broker.sessions.sequence_rules import Told
from broker.sessions.spooled import signed
from recorder.sequence import ORIGIN
from tests.unit.broker.sessions.plant import EVIDENCE_KEY, GATEWAY, Plant

ALARMS = ("gateway.report.gap", "gateway.sequence.cut", "gateway.entry.refused")


class Machine:
    """A gateway's folder and control, with a wire between them that a test may hold in its hands."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        self.plant, self.path = plant, folder / "spool.jsonl"
        self.said = 0

    def start(self, boot: str) -> Spool:
        return Spool(self.path, a_boot_key("w1", boot, EVIDENCE_KEY))

    def say(self, spool: Spool, count: int = 1) -> None:
        for _ in range(count):
            self.said += 1
            event = {"code": "gateway.test", "at_ms": 1, "params": {"n": self.said}}
            spool.add({"type": "report", "session_id": None, "events": [event]})

    def hand(self, one: Spooled) -> str | None:
        """Give one entry to control; the reason of its refusal, None when it was answered."""
        try:
            self.plant.reports.spooled(GATEWAY, signed(json.loads(json.dumps(one.to_json()))))
        except Conflict as refused:
            return str(refused.params["why"])
        return None

    def deliver(self, spool: Spool, count: int = 1_000) -> list[str]:
        """As the gateway does; the reasons of what was refused."""
        refusals = []
        while count and (one := spool.first()) is not None:
            refused = self.hand(one)
            refusals += [refused] if refused is not None else []
            spool.done(one)
            count -= 1
        return refusals

    def alarms(self) -> list[tuple[str, object]]:
        what = {"gateway.report.gap": "expected_seq", "gateway.sequence.cut": "known_seq"}
        return [
            (record.code.removeprefix("gateway."), record.params[what.get(record.code, "reason")])
            for record in self.plant.world.trail()
            if record.code in ALARMS
        ]

    def heard(self) -> list[int]:
        return [
            json.loads(str(record.params["details"]))["n"]
            for record in self.plant.world.trail()
            if record.params.get("event") == "gateway.test"
        ]

    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def machine(plant: Plant, tmp_path: Path) -> Iterator[Machine]:
    return Machine(plant, tmp_path)


def test_starts_and_events_reach_the_trail_once_and_in_order(machine: Machine) -> None:
    for boot in ("b1", "b2", "b3"):
        spool = machine.start(boot)
        machine.say(spool, 2)
        assert machine.deliver(spool, count=2) == []
        spool.close()
    last = machine.start("b4")
    assert machine.deliver(last) == []
    last.close()
    assert machine.heard() == [1, 2, 3, 4, 5, 6]
    assert machine.alarms() == []
    starts = [record for record in machine.plant.world.trail() if record.code == "gateway.worker.started"]
    assert [(one.subject, one.params["boot_id"], one.params["previous_seq"]) for one in starts] == [
        ("gateway:w1", "b1", None),
        ("gateway:w1", "b2", 3),
        ("gateway:w1", "b3", 3),
        ("gateway:w1", "b4", 3),
    ]


def test_an_answer_that_got_lost_makes_nothing_count_twice(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.say(spool, 3)
    entries = list(spool._waiting)
    for one in (*entries, *entries, *entries[1:]):
        assert machine.hand(one) is None
    assert machine.heard() == [1, 2, 3]
    assert machine.alarms() == []
    spool.close()


Change = Callable[[list[bytes]], list[bytes]]


def _without(index: int) -> Change:
    return lambda lines: [*lines[:index], *lines[index + 1 :]]


def _altered(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b'\\"n\\":2', b'\\"n\\":7'), *lines[4:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def _added(lines: list[bytes]) -> list[bytes]:
    old = {"boot_id": "older", "seq": 9, "message": {"type": "report", "session_id": None, "events": []}}
    return [*lines, json.dumps(old).encode() + b"\n"]


@pytest.mark.parametrize(
    ("change", "heard", "alarms"),
    [
        (_altered, [1, 3], [("entry.refused", "forged"), ("report.gap", 3)]),
        (_without(3), [1, 3], [("report.gap", 3)]),
        (_swapped, [1, 3], [("report.gap", 3)]),
        (_added, [1, 2, 3], [("entry.refused", "adopted_late")]),
    ],
    ids=["altered", "taken out", "in another order", "one of the old format put in"],
)
def test_what_is_done_to_a_spool_that_waits_is_found(
    machine: Machine, change: Change, heard: list[int], alarms: list[tuple[str, object]]
) -> None:
    before = machine.start("b0")
    machine.deliver(before)
    before.close()
    spool = machine.start("b1")
    first, *_ = spool._waiting
    assert machine.hand(first) is None
    machine.say(spool, 3)
    spool.close()
    machine.path.write_bytes(b"".join(change(machine.lines())))
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.heard() == heard
    found = machine.alarms()
    assert found[: len(alarms)] == alarms
    again.close()


def test_a_spool_cut_below_what_control_took_is_found_at_the_next_start(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.say(spool, 3)
    machine.deliver(spool, count=3)
    spool.close()
    machine.path.write_bytes(b"".join(machine.lines()[:3]))
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.alarms() == [("sequence.cut", 3)]
    again.close()


def test_a_spool_that_was_removed_is_found_at_the_next_start(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    spool.close()
    machine.path.unlink()
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.alarms() == [("sequence.cut", 1)]
    again.close()


def test_a_spool_marked_as_delivered_is_found_at_the_next_start(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    machine.say(spool, 2)
    spool.close()
    machine.path.write_bytes(machine.path.read_bytes() + b'{"done":["b1",2]}\n{"done":["b1",3]}\n')
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.heard() == []
    assert machine.alarms() == [("sequence.cut", 1)]
    again.close()


def test_a_tail_that_the_gateway_had_announced_is_missed_when_it_is_cut_off(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    machine.say(spool, 2)
    machine.plant.reports.newest(GATEWAY, Told("b1", spool.newest_seq))
    machine.plant.reports.newest(GATEWAY, Told("b1", 1))
    machine.plant.reports.newest(GATEWAY, Told("b2", 1))
    spool.close()
    machine.path.write_bytes(b"".join(machine.lines()[:-2]))
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.alarms() == [("sequence.cut", 3)]
    again.close()


def test_a_tail_that_nobody_heard_of_can_be_cut_off_unseen(machine: Machine) -> None:
    """The limit that docs/threat-model.md names: nothing outside the gateway knew of these entries."""
    spool = machine.start("b1")
    machine.deliver(spool)
    machine.say(spool, 2)
    spool.close()
    machine.path.write_bytes(b"".join(machine.lines()[:-2]))
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.heard() == []
    assert machine.alarms() == []
    again.close()


def test_a_tail_that_was_put_back_after_a_start_is_not_taken(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    machine.say(spool)
    hidden = spool.first()
    assert hidden is not None
    spool.close()
    machine.path.write_bytes(b"".join(machine.lines()[:-1]))
    again = machine.start("b2")
    machine.deliver(again)
    assert machine.hand(hidden) == "boot_is_over"
    again.close()


def test_an_old_copy_of_the_spool_is_found_at_the_next_start(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.say(spool, 2)
    copy = machine.path.read_bytes()
    machine.say(spool, 2)
    machine.deliver(spool)
    spool.close()
    machine.path.write_bytes(copy)
    again = machine.start("b2")
    assert machine.deliver(again) == []
    assert machine.heard() == [1, 2, 3, 4]
    assert machine.alarms() == [("sequence.cut", 5)]
    again.close()


def test_who_has_the_evidence_key_but_not_the_memory_adds_nothing_to_a_start_that_is_known(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    assert spool._newest is not None
    forged = a_boot_key("w1", "b1", EVIDENCE_KEY)
    entry = forged.entry(2, spool._newest.link, '{"type":"report","session_id":null,"events":[]}')
    assert machine.hand(Spooled(forged.boot, entry)) == "other_key"
    own = spool.add({"type": "report", "session_id": None, "events": []})
    assert machine.hand(Spooled(own.boot, replace(own.entry, payload=own.entry.payload + " "))) == "forged"
    assert machine.hand(own) is None
    spool.close()


def test_a_key_that_the_evidence_key_does_not_vouch_for_speaks_for_nobody(machine: Machine) -> None:
    stranger = a_boot_key("w1", "b1", Ed25519PrivateKey.generate())
    assert machine.hand(Spooled(stranger.boot, stranger.entry(1, ORIGIN, '{"type":"started"}'))) == "forged"
    other = a_boot_key("w2", "b1", EVIDENCE_KEY)
    assert machine.hand(Spooled(other.boot, other.entry(1, ORIGIN, '{"type":"started"}'))) == "other_worker"
    assert machine.alarms() == [("entry.refused", "forged"), ("entry.refused", "other_worker")]


def test_a_refusal_is_told_once_however_often_it_is_tried(machine: Machine) -> None:
    stranger = a_boot_key("w1", "b1")
    for _ in range(5):
        machine.hand(Spooled(stranger.boot, stranger.entry(1, ORIGIN, '{"type":"started"}')))
    assert machine.alarms() == [("entry.refused", "forged")]


def test_refusals_do_not_flood_the_trail(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.sessions.sequence._MOST_REFUSALS", 3)
    stranger = a_boot_key("w1", "b1")
    for seq in range(1, 9):
        machine.hand(Spooled(stranger.boot, stranger.entry(seq, ORIGIN, '{"type":"started"}')))
    assert len(machine.alarms()) == 3


def test_what_a_worker_says_of_itself_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.sessions.sequence._MOST_TOLD", 3)
    sequence = EventSequence(bytes(32))
    for number in range(9):
        sequence.tell("w1", Told(f"b{number}", 1))
    assert len(sequence._told) == 3


def _report(seq: int, *, boot: str = "old", code: str = "gateway.test") -> Report:
    return Report(None, boot, seq, (ReportedEvent(code, NOON, {"n": seq}),))


def test_a_gateway_that_does_not_sign_is_heard_until_it_has_signed_once(machine: Machine) -> None:
    machine.plant.reports.report(GATEWAY, _report(1))
    spool = machine.start("b1")
    machine.deliver(spool)
    with pytest.raises(Conflict) as refused:
        machine.plant.reports.report(GATEWAY, _report(2))
    assert refused.value.params == {"why": "unsigned"}
    other = GatewayIdentity("w2", "old")
    machine.plant.reports.report(other, _report(1, code="gateway.other"))
    assert machine.heard() == [1]
    assert machine.alarms() == [("entry.refused", "unsigned")]
    spool.close()


def test_an_upgrade_loses_nothing_and_counts_nothing_twice(machine: Machine) -> None:
    def event(n: int) -> dict[str, object]:
        events = [{"code": "gateway.test", "at_ms": 1, "params": {"n": n}}]
        return {"boot_id": "old", "seq": n, "message": {"type": "report", "session_id": None, "events": events}}

    old = [event(n) for n in (1, 2, 3, 4)]
    machine.path.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in old))
    for n in (1, 2):  # taken, but the gateway died before it had the answer
        machine.plant.reports.report(GATEWAY, _report(n))
    spool = machine.start("b1")
    machine.deliver(spool, count=2)
    spool.close()
    again = machine.start("b2")
    assert machine.deliver(again) == []
    assert machine.heard() == [1, 2, 3, 4]
    assert machine.alarms() == []
    again.close()


def test_nothing_is_taken_over_under_the_name_of_a_start_that_signs(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.deliver(spool)
    inner = {"type": "report", "session_id": None, "events": []}
    spool.add({"type": "adopted", "boot_id": "b1", "seq": 9, "message": inner})
    assert machine.deliver(spool) == ["adopted_late"]
    spool.close()


def test_a_database_from_a_backup_hears_on_and_alarms(machine: Machine) -> None:
    spool = machine.start("b1")
    machine.say(spool, 3)
    entries = list(spool._waiting)
    assert machine.hand(entries[3]) is None
    assert machine.heard() == [3]
    assert machine.alarms() == [("report.gap", 1)]
    spool.close()
