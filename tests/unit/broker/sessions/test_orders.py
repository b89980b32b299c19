import pytest

from broker.sessions.model import OrderKind, SessionOrder
from broker.sessions.orders import Orders
from broker.sessions.store import SessionRow
from tests.unit.broker.sessions.plant import Plant


def test_an_order_of_a_change_that_was_not_committed_is_not_sent(plant: Plant) -> None:
    admitted = plant.admitted()
    orders, sent = Orders(), list[SessionOrder]()
    orders.on_order(sent.append)
    with pytest.raises(RuntimeError), plant.world.database.unit_of_work() as unit:
        row = unit.session.get(SessionRow, admitted.session_id)
        assert row is not None
        orders.end_within(unit, row, OrderKind.CUT, "x", "psn_1", plant.world.clock.now())
        raise RuntimeError
    assert sent == []


def test_a_thaw_in_the_same_millisecond_is_newer_than_its_freeze(plant: Plant) -> None:
    admitted = plant.admitted()
    orders, sent = Orders(), list[SessionOrder]()
    orders.on_order(sent.append)
    for reason in ("wait", None):
        with plant.world.database.unit_of_work() as unit:
            row = unit.session.get(SessionRow, admitted.session_id)
            assert row is not None
            orders.hold_within(unit, row, reason, plant.world.clock.now())
    assert [order.order for order in sent] == [OrderKind.FREEZE, OrderKind.THAW]
    assert sent[1].epoch == sent[0].epoch + 1
