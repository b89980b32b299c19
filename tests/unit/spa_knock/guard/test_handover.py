"""An accepted knock on its way: gateway, opener, control, each in its turn and in its time."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from spa_knock.guard.handover import HELD_UP_SECONDS, MAX_UNDER_WAY, STEP_SECONDS, Failed, Handover, Receiver, Send
from spa_knock.guard.rules import Accepted, Reason, Stand, judge
from spa_knock.link.framing import encode
from tests.unit.spa_knock.guard.testing import BIND, GRANT_ID, NOW_MS, Workstation, a_table

DEVICE = Workstation(1)
SOURCE = ip_address("198.51.100.7")


def a_knock() -> Accepted:
    stand = Stand(a_table(DEVICE.entry()), {1, 2}, lambda _device_id: 0, 0, NOW_MS)
    judgement = judge(DEVICE.knock(door=2, grant_id=GRANT_ID), SOURCE, stand)
    assert isinstance(judgement, Accepted)
    return judgement


def test_the_three_messages_go_out_one_after_the_other() -> None:
    handover, knock = Handover(), a_knock()
    first = handover.begin(knock, at_ms=NOW_MS, now=0.0)
    assert first.to is Receiver.GATEWAY
    expect = first.message
    assert (expect["type"], expect["knock_id"], expect["door"], expect["mark"]) == ("expect", knock.knock_id, 2, 1)
    assert (expect["bind_hex"], expect["expires_at_ms"]) == (BIND.hex(), NOW_MS + 8_000)
    second = handover.answered(Receiver.GATEWAY, {"type": "expecting", "knock_id": knock.knock_id}, 0.1)
    assert second == Send(
        Receiver.OPENER,
        {"type": "open", "door": 2, "address": "198.51.100.7", "seconds": 8, "knock_id": knock.knock_id},
    )
    third = handover.answered(Receiver.OPENER, {"type": "done", "knock_id": knock.knock_id}, 0.2)
    assert isinstance(third, Send)
    assert third.to is Receiver.CONTROL
    fact = third.message
    assert (fact["type"], fact["grant_id"], fact["at_ms"], fact["window_seconds"]) == ("knock", GRANT_ID, NOW_MS, 8)
    assert handover.next_limit() is None
    for message in (first.message, fact):
        assert encode(message)


def test_a_step_that_takes_too_long_fails_the_knock() -> None:
    handover, knock = Handover(), a_knock()
    handover.begin(knock, at_ms=NOW_MS, now=0.0)
    assert handover.next_limit() == STEP_SECONDS
    assert handover.expire(STEP_SECONDS - 0.01) == []
    assert handover.expire(STEP_SECONDS) == [Failed(knock.knock_id, DEVICE.device_id, Reason.GATEWAY)]
    assert handover.answered(Receiver.GATEWAY, {"type": "expecting", "knock_id": knock.knock_id}, 0.3) is None


def test_an_opening_that_takes_as_long_as_the_kernel_may_is_told() -> None:
    handover, knock = Handover(), a_knock()
    handover.begin(knock, at_ms=NOW_MS, now=0.0)
    handover.answered(Receiver.GATEWAY, {"type": "expecting", "knock_id": knock.knock_id}, 0.1)
    assert handover.expire(2.1) == []
    assert isinstance(handover.answered(Receiver.OPENER, {"type": "done", "knock_id": knock.knock_id}, 2.2), Send)


def test_an_answer_read_late_opens_only_for_so_long_and_an_opening_is_always_told() -> None:
    for late, opens in ((HELD_UP_SECONDS - 0.01, True), (HELD_UP_SECONDS, False)):
        handover, knock = Handover(), a_knock()
        handover.begin(knock, at_ms=NOW_MS, now=0.0)
        expecting = {"type": "expecting", "knock_id": knock.knock_id}
        answer = handover.answered(Receiver.GATEWAY, expecting, STEP_SECONDS + late)
        assert isinstance(answer, Send if opens else Failed)
        fact = handover.answered(Receiver.OPENER, {"type": "done", "knock_id": knock.knock_id}, 60.0)
        assert isinstance(fact, Send) == opens


def test_a_refusal_fails_the_knock() -> None:
    for sender, before, reason in ((Receiver.GATEWAY, 0, Reason.GATEWAY), (Receiver.OPENER, 1, Reason.OPENER)):
        handover, knock = Handover(), a_knock()
        handover.begin(knock, at_ms=NOW_MS, now=0.0)
        if before:
            handover.answered(Receiver.GATEWAY, {"type": "expecting", "knock_id": knock.knock_id}, 0.1)
        refusal = {"type": "refused", "code": "x", "knock_id": knock.knock_id}
        assert handover.answered(sender, refusal, 0.1) == Failed(knock.knock_id, DEVICE.device_id, reason, "x")


def test_the_opener_cannot_answer_for_the_gateway_nor_skip_it() -> None:
    handover, knock = Handover(), a_knock()
    handover.begin(knock, at_ms=NOW_MS, now=0.0)
    assert handover.answered(Receiver.OPENER, {"type": "done", "knock_id": knock.knock_id}, 0.1) is None
    assert handover.answered(Receiver.OPENER, {"type": "expecting", "knock_id": knock.knock_id}, 0.1) is None
    failed = handover.answered(Receiver.GATEWAY, {"type": "done", "knock_id": knock.knock_id}, 0.1)
    assert isinstance(failed, Failed)


def test_a_revoked_device_has_nothing_under_way_any_more() -> None:
    handover, knock = Handover(), a_knock()
    handover.begin(knock, at_ms=NOW_MS, now=0.0)
    handover.give_up("dev_other")
    assert handover.is_under_way(knock.knock_id)
    handover.give_up(DEVICE.device_id)
    assert not handover.is_under_way(knock.knock_id)


def test_only_so_many_are_under_way() -> None:
    handover, knock = Handover(), a_knock()
    for number in range(MAX_UNDER_WAY):
        assert handover.has_room
        object.__setattr__(knock, "knock_id", f"{number:024x}")
        handover.begin(knock, at_ms=NOW_MS, now=0.0)
    assert not handover.has_room


values = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@given(
    st.sampled_from([Receiver.GATEWAY, Receiver.OPENER]), st.dictionaries(st.sampled_from(["type", "knock_id"]), values)
)
def test_answers_to_nothing_are_passed_over(sender: Receiver, message: dict[str, object]) -> None:
    assert Handover().answered(sender, message, 0.0) is None
