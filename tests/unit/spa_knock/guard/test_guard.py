"""The guard's conduct with honest answers, silence, floods, revocations and a clock that jumps."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from spa_knock.guard import guard as guard_module
from spa_knock.guard.clock import Moment
from spa_knock.guard.errors import RosterError, StampStoreError
from spa_knock.guard.guard import Fault, Guard, State
from spa_knock.guard.handover import Receiver, Send
from spa_knock.guard.stamps import StampStore
from tests.unit.spa_knock.guard.testing import NOW_MS, Workstation, roster_message

SOURCE = ip_address("198.51.100.7")
DEVICE, OTHER = Workstation(1), Workstation(2)


class Post:
    """A guard with its three links; the links take everything while they are up."""

    def __init__(self, path: Path, *, roster: bool = True) -> None:
        StampStore.create_for_new_site(path, capacity=8)
        self.path = path
        self.now = 100.0
        self.now_ms = NOW_MS
        self.sent: list[Send] = []
        # What the opener says when it is asked whether it could open; None: nothing.
        self.check: dict[str, Any] | None = {"type": "done"}
        self.start()
        if roster:
            self.tell(roster_message(DEVICE.entry(), OTHER.entry()))

    def start(self) -> None:
        self.store = StampStore(self.path, boot_id=b"boot-one-16bytes", started_ms=self.now_ms, capacity=8)
        self.guard = Guard(doors=[1, 2], ports=[62201, 62201], store=self.store, moment=self.moment(), send=self._send)
        for receiver in Receiver:
            self.guard.link_changed(receiver, is_up=True)

    def crash_and_start(self) -> None:
        self.store.abandon()
        self.start()
        self.tell(roster_message(DEVICE.entry(), OTHER.entry()))

    def moment(self, *, is_steady: bool = True, went_back: bool = False) -> Moment:
        return Moment(self.now_ms, is_steady=is_steady, went_back=went_back)

    def tell(self, message: dict[str, Any]) -> None:
        self.guard.message(Receiver.CONTROL, message, self.now)

    def knock(self, packet: bytes) -> None:
        self.guard.datagram(packet, SOURCE, self.now)

    def answer(self) -> None:
        """The gateway and the opener do what the last message asks."""
        last = self.sent[-1]
        kind = {"expect": "expecting", "open": "done"}[str(last.message["type"])]
        self.guard.message(last.to, {"type": kind, "knock_id": last.message["knock_id"]}, self.now)

    def open(self, packet: bytes) -> None:
        self.knock(packet)
        self.answer()
        self.answer()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.now_ms += int(seconds * 1000)
        self.guard.tick(self.moment(), self.now)

    def sent_types(self) -> list[object]:
        return [send.message["type"] for send in self.sent]

    def _send(self, send: Send) -> bool:
        if send.message["type"] == "check":
            if self.check is not None:
                self.guard.message(Receiver.OPENER, {**self.check, "id": send.message["id"]}, self.now)
            return True
        self.sent.append(send)
        return True


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    post = Post(tmp_path / "stamps")
    yield post
    post.store.close()


def test_a_good_knock_is_expected_opened_told_and_counted(post: Post) -> None:
    post.open(DEVICE.knock())
    assert post.sent_types() == ["expect", "open", "knock"]
    assert post.guard.counters == {"accepted": 1}


def test_the_stamp_is_stored_before_anybody_is_asked(post: Post) -> None:
    stamps: list[int] = []

    def look(_send: Send) -> bool:
        stamps.append(post.store.last_ms(DEVICE.device_id))
        return True

    post.guard._send = look
    post.knock(DEVICE.knock())
    assert stamps == [NOW_MS]


def test_a_replay_is_refused_live_and_after_a_crash(post: Post) -> None:
    packet = DEVICE.knock()
    post.open(packet)
    post.knock(packet)
    assert post.guard.counters["refused_replayed"] == 1
    post.crash_and_start()
    post.knock(packet)
    assert post.guard.counters == {"refused_replayed": 1}
    post.open(DEVICE.knock(stamp_ms=NOW_MS + 1))
    assert post.guard.counters["accepted"] == 1


def test_a_knock_stolen_before_it_arrived_opens_nothing_elsewhere_and_still_works_for_its_owner(post: Post) -> None:
    packet = DEVICE.knock(address=SOURCE)
    post.guard.datagram(packet, ip_address("203.0.113.9"), post.now)
    assert post.sent == []
    post.open(packet)
    assert post.guard.counters == {"refused_address": 1, "accepted": 1}


def test_junk_moves_a_counter_and_nothing_else(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    for packet in (b"", b"x", bytes(192), bytes(193), DEVICE.knock(site_key=bytes(32))):
        post.knock(packet)
    assert post.guard.counters == {"refused_length": 3, "refused_key_id": 1, "refused_gate": 1}
    assert (post.sent, caplog.records) == ([], [])


@pytest.mark.parametrize("answered", [0, 1])
def test_a_daemon_that_does_not_answer_fails_the_knock_which_is_used_up(post: Post, answered: int) -> None:
    packet = DEVICE.knock()
    post.knock(packet)
    for _ in range(answered):
        post.answer()
    post.pass_time([0.25, 2.6][answered])
    assert post.guard.counters == {f"refused_{['gateway', 'opener'][answered]}": 1}
    assert "knock" not in post.sent_types()
    post.knock(packet)
    assert post.guard.counters["refused_replayed"] == 1


def test_knocks_of_several_devices_are_under_way_at_once(post: Post) -> None:
    post.knock(DEVICE.knock())
    post.knock(OTHER.knock())
    assert post.sent_types() == ["expect", "expect"]


def test_nothing_is_judged_before_the_first_roster(tmp_path: Path) -> None:
    post = Post(tmp_path / "fresh", roster=False)
    post.knock(DEVICE.knock())
    assert (post.guard.state, post.guard.counters) == (State.STARTING, {"refused_not_ready": 1})
    post.store.close()


@pytest.mark.parametrize("receiver", [Receiver.GATEWAY, Receiver.OPENER])
def test_without_gateway_or_opener_no_knock_is_used_up(post: Post, receiver: Receiver) -> None:
    post.guard.link_changed(receiver, is_up=False)
    packet = DEVICE.knock()
    post.knock(packet)
    assert (post.guard.state, post.guard.counters) == (State.DEGRADED, {"refused_not_ready": 1})
    post.guard.link_changed(receiver, is_up=True)
    post.open(packet)
    assert post.guard.counters["accepted"] == 1


def test_without_control_the_roster_serves_until_it_expires_and_facts_wait(post: Post) -> None:
    post.guard.link_changed(Receiver.CONTROL, is_up=False)
    post.open(DEVICE.knock())
    assert post.sent_types() == ["expect", "open"]
    post.guard.link_changed(Receiver.CONTROL, is_up=True)
    post.pass_time(0.1)
    assert post.sent_types() == ["expect", "open", "knock", "status"]
    post.pass_time(600)
    assert post.guard.state is State.DEGRADED
    post.knock(DEVICE.knock(stamp_ms=post.now_ms))
    assert post.guard.counters["refused_not_ready"] == 1


def test_when_too_many_facts_wait_no_knock_is_accepted(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "MAX_FACTS", 1)
    post.guard.link_changed(Receiver.CONTROL, is_up=False)
    post.open(DEVICE.knock())
    post.knock(DEVICE.knock(stamp_ms=NOW_MS + 1))
    assert post.guard.counters["refused_facts_waiting"] == 1


def test_a_device_that_knocks_too_often_is_slowed_and_others_are_not(post: Post) -> None:
    for number in range(40):
        post.knock(DEVICE.knock(stamp_ms=NOW_MS + number))
    assert post.guard.counters["refused_rate"] == 10
    post.knock(OTHER.knock())
    assert post.sent[-1].message["device_id"] == OTHER.device_id


def test_a_revoked_device_is_out_at_once_with_what_it_has_under_way(post: Post) -> None:
    post.knock(DEVICE.knock())
    post.tell({"type": "revoke", "device_id": DEVICE.device_id})
    post.answer()
    assert post.sent_types() == ["expect"]
    post.knock(DEVICE.knock(stamp_ms=NOW_MS + 1))
    assert post.guard.counters == {"refused_key_id": 1}
    post.open(OTHER.knock())
    assert post.guard.counters["accepted"] == 1


def test_a_new_roster_replaces_the_old_one_whole(post: Post) -> None:
    post.tell(roster_message(OTHER.entry(), version=2))
    post.knock(DEVICE.knock())
    assert post.guard.counters == {"refused_key_id": 1}


def test_half_a_roster_does_not_go_on_over_another_link(post: Post) -> None:
    post.tell(roster_message(OTHER.entry(), part=1, parts=2, version=2))
    post.guard.link_changed(Receiver.CONTROL, is_up=True)
    with pytest.raises(RosterError):
        post.tell(roster_message(part=2, parts=2, version=2))
    post.open(DEVICE.knock())


@pytest.mark.parametrize("message", [{"type": "nonsense"}, {"type": "revoke"}, {"type": "roster"}])
def test_nonsense_from_control_is_an_error(post: Post, message: dict[str, Any]) -> None:
    with pytest.raises(RosterError):
        post.tell(message)


def test_a_jump_of_the_clock_stops_the_guard_until_it_is_steady(post: Post) -> None:
    post.guard.tick(post.moment(is_steady=False), post.now)
    post.knock(DEVICE.knock())
    assert (post.guard.state, post.guard.counters) == (State.DEGRADED, {"refused_not_ready": 1})
    post.guard.tick(post.moment(), post.now)
    post.open(DEVICE.knock())


def test_a_clock_set_back_does_not_make_withheld_packets_valid_again(post: Post) -> None:
    withheld = OTHER.knock(stamp_ms=NOW_MS - 10)
    post.open(DEVICE.knock())
    post.now_ms -= 60_000
    post.guard.tick(post.moment(is_steady=False, went_back=True), post.now)
    post.guard.tick(post.moment(), post.now)
    post.now_ms += 45_000
    post.guard.tick(post.moment(), post.now)
    post.knock(withheld)
    assert post.guard.counters["refused_fenced"] == 1


def test_control_hears_the_state_every_five_seconds_and_when_it_changes(post: Post) -> None:
    post.pass_time(0.1)
    (status,) = [send.message for send in post.sent]
    assert status == {
        "type": "status",
        "state": "armed",
        "faults": [],
        "gate": "",
        "roster_version": 1,
        "counters": {},
        "ports": [62201],
        "refusals": [],
    }
    post.pass_time(4.9)
    assert post.sent_types() == ["status"]
    post.pass_time(0.2)
    assert post.sent_types() == ["status"] * 2
    post.guard.link_changed(Receiver.OPENER, is_up=False)
    post.pass_time(0.1)
    assert [send.message["state"] for send in post.sent] == ["armed", "armed", "degraded"]
    assert post.sent[-1].message["faults"] == ["opener_link"]


def test_time_moves_the_key_ids_on(post: Post) -> None:
    for _ in range(4):
        post.tell(roster_message(DEVICE.entry(), expires_at_ms=post.now_ms + 3_600_000))
        post.open(DEVICE.knock(stamp_ms=post.now_ms))
        post.pass_time(600)
    assert post.guard.counters["accepted"] == 4


def test_control_hears_why_a_device_was_last_refused_until_it_is_let_in(post: Post) -> None:
    post.knock(DEVICE.knock(stamp_ms=NOW_MS - 45_000))
    post.pass_time(0.1)
    (told,) = post.sent[-1].message["refusals"]
    assert (told["device_id"], told["reason"], told["clock_off_ms"]) == (DEVICE.device_id, "clock", -45_000)
    post.open(DEVICE.knock())
    post.pass_time(5.1)
    assert post.sent[-1].message["refusals"] == []


def test_a_copy_of_the_last_accepted_knock_is_counted_and_not_held_against_its_device(post: Post) -> None:
    older, newer = DEVICE.knock(), DEVICE.knock(stamp_ms=NOW_MS + 5)
    post.open(older)
    post.open(newer)
    post.knock(newer)
    post.pass_time(5.1)
    assert post.guard.counters["refused_replayed"] == 1
    assert post.sent[-1].message["refusals"] == []
    post.knock(older)
    post.pass_time(5.1)
    assert [one["reason"] for one in post.sent[-1].message["refusals"]] == ["replayed"]


@pytest.mark.parametrize("answer", [{"type": "refused", "code": "rules_changed"}, None])
def test_while_the_opener_could_not_open_no_knock_is_used_up(post: Post, answer: dict[str, Any] | None) -> None:
    post.check = answer
    post.pass_time(0.1)
    post.pass_time(2.1)
    assert (post.guard.state, post.guard.faults) == (State.DEGRADED, (Fault.FIREWALL,))
    packet = DEVICE.knock(stamp_ms=post.now_ms)
    post.knock(packet)
    assert post.guard.counters["refused_not_ready"] == 1
    post.check = {"type": "done"}
    post.pass_time(2.1)
    post.open(packet)
    assert post.guard.counters["accepted"] == 1


def test_a_kernel_that_refuses_to_open_stops_the_guard_until_a_check_passes(post: Post) -> None:
    post.knock(DEVICE.knock())
    post.answer()
    refusal = {"type": "refused", "code": "kernel_refused", "knock_id": post.sent[-1].message["knock_id"]}
    post.guard.message(Receiver.OPENER, refusal, post.now)
    assert post.guard.faults == (Fault.FIREWALL,)
    post.pass_time(1.1)
    assert post.guard.faults == ()


def test_a_full_set_refuses_its_knock_and_is_counted_but_stops_nothing_else(post: Post) -> None:
    post.knock(DEVICE.knock())
    post.answer()
    refusal = {"type": "refused", "code": "full", "knock_id": post.sent[-1].message["knock_id"]}
    post.guard.message(Receiver.OPENER, refusal, post.now)
    assert post.guard.counters == {"refused_opener": 1, "firewall_full": 1}
    assert post.guard.state is State.ARMED


def test_stamps_that_cannot_be_written_stop_the_guard_until_they_can(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StampStoreError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(post.store, "flush", fail)
        post.guard.flush()
        assert post.guard.faults == (Fault.STAMPS,)
        post.knock(DEVICE.knock())
        assert post.guard.counters == {"refused_not_ready": 1}
    post.guard.flush()
    post.open(DEVICE.knock())


def test_a_nonce_whose_packets_fail_for_ever_is_shed_in_the_kernel(post: Post) -> None:
    packet = DEVICE.knock()
    for number in range(guard_module.FAILURES_OF_A_NONCE - 1):
        post.knock(packet[:-2] + number.to_bytes(2, "big"))
    assert post.sent == []
    post.knock(packet[:-2] + b"zz")
    assert post.sent[-1].message == {"type": "shed", "knock_id": packet[8:20].hex()}
    assert post.guard.counters["nonces_shed"] == 1


def test_a_stolen_packet_that_fails_only_elsewhere_is_not_shed_from_under_its_owner(post: Post) -> None:
    packet = DEVICE.knock(address=ip_address("198.51.100.99"))
    for _ in range(2 * guard_module.FAILURES_OF_A_NONCE):
        post.knock(packet)
    assert post.sent == []
    assert post.guard.counters == {"refused_address": 2 * guard_module.FAILURES_OF_A_NONCE}


def test_the_gates_keys_follow_roster_and_time(tmp_path: Path) -> None:
    post = Post(tmp_path / "fresh", roster=False)
    assert post.guard.gate_keys == ()
    post.tell(roster_message(DEVICE.entry(), expires_at_ms=NOW_MS + 7_200_000))
    first = post.guard.gate_keys
    post.pass_time(600)
    assert first != post.guard.gate_keys
    post.store.close()


def test_the_status_tells_what_the_kernels_gate_does(post: Post) -> None:
    post.guard.note_gate("keyed", 7)
    post.pass_time(0.1)
    status = post.sent[-1].message
    assert (status["gate"], status["counters"]) == ("keyed", {"shed_at_socket": 7})
