import pytest

from broker.grants.model import GrantState
from broker.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from broker.sessions.live import Door
from broker.sessions.model import Admitted, Ended, OrderKind, SessionOrder, SessionState
from tests.unit.broker.sessions.plant import GATEWAY, SOURCE, Plant


def live_session(plant: Plant) -> tuple[Admitted, list[SessionOrder]]:
    """A live session, and the orders that its gateway gets from now on."""
    admitted = plant.admitted()
    plant.lease(admitted)
    sent: list[SessionOrder] = []
    plant.sessions.orders.on_order(sent.append)
    return admitted, sent


def test_somebody_of_the_plant_cuts_with_words_and_the_grant_is_gone(plant: Plant) -> None:
    grant = plant.a_grant()
    client = plant.a_client(grant)
    admitted = plant.admitted(grant)
    sent: list[SessionOrder] = []
    plant.sessions.orders.on_order(sent.append)
    record = plant.live.cut(plant.approver.id, admitted.session_id, "  Please  call us. ")
    assert record.state is SessionState.CLOSING
    assert [(order.order, order.reason) for order in sent] == [(OrderKind.CUT, "Please call us.")]
    revoked, ordered = plant.world.trail()[-2:]
    assert (revoked.code, revoked.subject, revoked.actor) == ("grants.grant.revoked", grant.id, plant.approver.id)
    assert (ordered.code, ordered.actor) == ("sessions.session.end_ordered", plant.approver.id)
    assert plant.grants.get(grant.id).grant.state is GrantState.REVOKED
    assert not isinstance(plant.sessions.admit(client.connect()), Admitted)


def test_a_cut_needs_words_and_a_session_that_is_not_over(plant: Plant) -> None:
    admitted, _ = live_session(plant)
    with pytest.raises(Invalid):
        plant.live.cut(plant.approver.id, admitted.session_id, "\x07")
    with pytest.raises(NotFound):
        plant.live.cut(plant.approver.id, "ses_x", "bye")
    plant.reports.ended(GATEWAY, "boot-1", 1, Ended(admitted.session_id, "left", plant.world.clock.now(), None, None))
    with pytest.raises(Conflict):
        plant.live.cut(plant.approver.id, admitted.session_id, "too late")


def test_a_session_that_was_told_to_end_can_still_be_cut(plant: Plant) -> None:
    admitted, sent = live_session(plant)
    plant.sessions.order_end(admitted.session_id, "grant_expired")
    plant.live.cut(plant.approver.id, admitted.session_id, "now")
    assert [order.order for order in sent] == [OrderKind.END, OrderKind.END]
    assert plant.grants.get(admitted.verdict.permit.grant_id).grant.state is GrantState.REVOKED


def test_the_order_leaves_before_anybody_reacts_to_the_cut(plant: Plant) -> None:
    admitted, sent = live_session(plant)
    known: list[int] = []
    plant.world.database.on_commit(lambda _numbers: known.append(len(sent)))
    plant.live.cut(plant.approver.id, admitted.session_id, "now")
    assert known == [1]


def test_input_is_held_and_let_go_with_words_and_each_is_told_once(plant: Plant) -> None:
    admitted, sent = live_session(plant)
    for _ in range(2):
        record = plant.live.freeze(plant.approver.id, admitted.session_id, "wait for me")
        assert (record.frozen_reason, record.frozen_at) == ("wait for me", plant.world.clock.now())
    for _ in range(2):
        assert plant.live.thaw(plant.approver.id, admitted.session_id, "go on").frozen_at is None
    assert [(order.order, order.reason) for order in sent] == [(OrderKind.FREEZE, "wait for me"), (OrderKind.THAW, "")]
    assert sent[0].epoch < sent[1].epoch
    assert plant.codes()[-2:] == ["sessions.session.frozen", "sessions.session.thawed"]


def test_a_gateway_that_comes_back_learns_whether_input_is_held(plant: Plant) -> None:
    admitted, _ = live_session(plant)
    held = (admitted.session_id,)
    assert plant.reports.outstanding_orders("w1", held) == []
    plant.live.freeze(plant.approver.id, admitted.session_id, "wait")
    assert [(one.order, one.reason) for one in plant.reports.outstanding_orders("w1", held)] == [
        (OrderKind.FREEZE, "wait")
    ]
    plant.live.thaw(plant.approver.id, admitted.session_id, "go on")
    assert [one.order for one in plant.reports.outstanding_orders("w1", held)] == [OrderKind.THAW]


def test_a_message_is_one_line_on_the_trail_and_on_its_way(plant: Plant) -> None:
    admitted, sent = live_session(plant)
    plant.live.message(plant.approver.id, admitted.session_id, "please stop\nthe pump ")
    assert [(order.order, order.reason) for order in sent] == [(OrderKind.MESSAGE, "please stop the pump")]
    last = plant.world.trail()[-1]
    assert (last.code, last.params["text"]) == ("sessions.session.messaged", "please stop the pump")
    for text in ("", "\x1b[2J", "x" * 501):
        with pytest.raises(Invalid):
            plant.live.message(plant.approver.id, admitted.session_id, text)


def test_only_a_live_session_is_held_written_to_or_watched(plant: Plant) -> None:
    admitted = plant.admitted()
    for act in (
        lambda: plant.live.freeze(plant.approver.id, admitted.session_id, "x"),
        lambda: plant.live.thaw(plant.approver.id, admitted.session_id, "x"),
        lambda: plant.live.message(plant.approver.id, admitted.session_id, "x"),
        lambda: plant.live.begin_watch(plant.approver.id, "Anna", admitted.session_id, 0),
    ):
        with pytest.raises(Conflict) as caught:
            act()
        assert caught.value.code == "sessions.not_live"


def test_a_watch_is_on_the_trail_from_its_beginning_to_its_end(plant: Plant) -> None:
    admitted, sent = live_session(plant)
    watch = plant.live.begin_watch(plant.approver.id, "Anna", admitted.session_id, 7)
    plant.live.ask_for_frames(watch)
    assert [(order.order, order.watch_id) for order in sent] == [(OrderKind.WATCH, watch.watch_id)]
    plant.pass_time(seconds=30)
    plant.live.end_watch(watch, "left", 99)
    began, ended = plant.world.trail()[-2:]
    assert (began.code, began.actor, began.params["after_frame"]) == (
        "sessions.session.watched",
        plant.approver.id,
        7,
    )
    assert began.params["recording_id"] == admitted.recording_id
    assert (ended.code, ended.params) == (
        "sessions.session.watch_ended",
        {"watch_id": watch.watch_id, "reason": "left", "last_frame": 99, "seconds": 30},
    )


class Firewall:
    def __init__(self) -> None:
        self.told: list[object] = []
        self.works = True

    def reset(self, door: Door) -> None:
        if not self.works:
            raise Unavailable("opener.no_answer", "silent")
        self.told.append(door)

    def reset_way(self, address: str, port: int) -> None:
        self.told.append((address, port))


def test_a_silent_gateways_session_is_reset_once_at_the_firewall_and_alarmed(plant: Plant) -> None:
    admitted, _ = live_session(plant)
    firewall = Firewall()
    plant.live.cut(plant.approver.id, admitted.session_id, "now")
    assert plant.live.answer_for_silent_gateways(firewall.reset, firewall.reset_way) == 0
    plant.pass_time(seconds=4)
    firewall.works = False
    with pytest.raises(Unavailable):
        plant.live.answer_for_silent_gateways(firewall.reset, firewall.reset_way)
    firewall.works = True
    assert plant.live.answer_for_silent_gateways(firewall.reset, firewall.reset_way) == 1
    assert firewall.told == [Door(2, SOURCE, 50123), (plant.target.address, plant.target.port)]
    last = plant.world.trail()[-1]
    assert (last.code, last.subject, last.params["order"]) == (
        "sessions.session.unanswered",
        admitted.session_id,
        "cut",
    )
    assert plant.live.answer_for_silent_gateways(firewall.reset, firewall.reset_way) == 0


def test_another_session_to_the_same_target_keeps_its_way(plant: Plant) -> None:
    admitted, _ = live_session(plant)
    plant.admitted()
    firewall = Firewall()
    plant.sessions.order_end(admitted.session_id, "grant_revoked")
    plant.pass_time(seconds=4)
    plant.live.answer_for_silent_gateways(firewall.reset, firewall.reset_way)
    assert firewall.told == [Door(2, SOURCE, 50123)]


def test_the_grant_of_a_session_that_was_cut_on_the_host_is_taken_back_once(plant: Plant) -> None:
    admitted, _ = live_session(plant)
    plant.live.give_up_grant(admitted.session_id, "smoke in hall 3")
    plant.live.give_up_grant(admitted.session_id, "smoke in hall 3")
    plant.live.give_up_grant("ses_unknown", "x")
    assert plant.grants.get(admitted.verdict.permit.grant_id).grant.state is GrantState.REVOKED
    assert plant.codes().count("grants.grant.revoked") == 1
