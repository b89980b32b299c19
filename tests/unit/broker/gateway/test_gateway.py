"""The gateway as a whole: what it refuses to start with, and how orders reach sessions."""

import asyncio
from pathlib import Path

import pytest

from broker.gateway import contract as c
from broker.gateway.authority import Order, OrderKind
from broker.gateway.gateway import Gateway, GatewayConfig, Sessions, TooManySessions

CONFIG = GatewayConfig(*(Path("/nowhere") for _ in range(10)))


class Driver:
    session_id = "ses_1"

    def __init__(self) -> None:
        self.fed: list[c.Event] = []

    def feed(self, event: c.Event) -> None:
        self.fed.append(event)

    def tick(self) -> None:
        self.fed.append(c.Ticked())


def sessions() -> tuple[Sessions, Driver]:
    one, driver = Sessions(), Driver()
    one._live["ses_1"] = driver  # type: ignore[assignment]
    return one, driver


def test_a_socket_without_a_protocol_stops_the_start() -> None:
    import dataclasses

    with pytest.raises(ValueError, match="telnet"):
        Gateway(dataclasses.replace(CONFIG, protocols={"telnet": ()}), [])


async def test_a_missing_part_stops_the_start() -> None:
    with pytest.raises(Exception, match="spool"):
        await Gateway(CONFIG, []).run()


def test_orders_become_events() -> None:
    one, driver = sessions()
    for kind in (OrderKind.FREEZE, OrderKind.THAW, OrderKind.END, OrderKind.CUT, OrderKind.WATCH):
        assert one.obey(Order(kind, "ses_1", "why", 5))
    assert driver.fed == [c.Frozen("order"), c.Thawed(), c.PermitEnded("why"), c.CutOrdered("why")]
    assert not one.obey(Order(OrderKind.END, "ses_2", "", 1))


def test_an_older_thaw_has_no_effect_but_an_older_end_has() -> None:
    one, driver = sessions()
    one.obey(Order(OrderKind.FREEZE, "ses_1", "", 9))
    one.obey(Order(OrderKind.THAW, "ses_1", "", 8))
    one.obey(Order(OrderKind.END, "ses_1", "x", 7))
    assert driver.fed == [c.Frozen("order"), c.PermitEnded("x")]


def test_sessions_learn_of_control_and_are_named() -> None:
    one, driver = sessions()
    one.control_changed(False)
    one.control_changed(True)
    assert driver.fed == [c.ControlLost(), c.ControlBack()]
    assert one.ids() == ["ses_1"]


async def test_time_reaches_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.gateway.gateway._TICK_SECONDS", 0.01)
    one, driver = sessions()
    task = asyncio.create_task(one.tick())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert c.Ticked() in driver.fed


async def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.gateway.gateway.MAX_SESSIONS", 1)
    one, _ = sessions()
    with pytest.raises(TooManySessions):
        await one.admit(None)  # type: ignore[arg-type]
