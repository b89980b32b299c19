"""The gateway as a whole: what it refuses to start with, and how orders reach sessions."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.gateway import contract as c
from broker.gateway.authority import AdmitRequest, Order, OrderKind
from broker.gateway.gateway import Gateway, GatewayConfig, Sessions, TooManySessions
from broker.gateway.permits import Admission, Denial, SessionPermit
from broker.gateway.testing import permit_json

CONFIG = GatewayConfig(*(Path("/nowhere") for _ in range(10)))


class Driver:
    session_id = "ses_1"
    is_over = False
    admission: object = None

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
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await Gateway(CONFIG, []).run()


def test_orders_become_events() -> None:
    one, driver = sessions()
    for kind in (OrderKind.FREEZE, OrderKind.THAW, OrderKind.MESSAGE, OrderKind.END, OrderKind.CUT):
        assert one.obey(Order(kind, "ses_1", "why", 5))
    assert driver.fed == [c.Frozen("why"), c.Thawed(), c.Told("why"), c.PermitEnded("why"), c.CutOrdered("why")]
    assert not one.obey(Order(OrderKind.END, "ses_2", "", 1))


def test_an_older_thaw_has_no_effect_but_an_older_end_has() -> None:
    one, driver = sessions()
    one.obey(Order(OrderKind.FREEZE, "ses_1", "", 9))
    one.obey(Order(OrderKind.THAW, "ses_1", "", 8))
    one.obey(Order(OrderKind.END, "ses_1", "x", 7))
    assert driver.fed == [c.Frozen(""), c.PermitEnded("x")]


async def test_a_watch_begins_for_a_session_that_is_here_and_moves_no_epoch() -> None:
    one, driver = sessions()
    begun: list[tuple[str, object]] = []
    one.watching = SimpleNamespace(begin=lambda *what: begun.append(what))  # type: ignore[assignment]
    one.obey(Order(OrderKind.WATCH, "ses_1", "Anna", 99, "wch_1"))
    one.obey(Order(OrderKind.FREEZE, "ses_1", "wait", 5))
    assert begun == [("wch_1", driver)]
    assert driver.fed == [c.Frozen("wait")]
    assert not one.obey(Order(OrderKind.WATCH, "ses_2", "Anna", 99, "wch_2"))


class Control:
    """The part of `Authority` that admits and reports."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    async def admit(self, request: AdmitRequest) -> Admission:
        permit = SessionPermit.from_json(permit_json())
        return Admission("ses_1", "rec_1", permit, bytes(32))

    def report(self, *what: object) -> None:
        self.told.append(what)

    def ended(self, *what: object) -> None:
        self.told.append(("ended", *what))


async def test_root_cuts_here_and_the_grant_begins_nothing_any_more() -> None:
    one, driver = sessions()
    control = Control()
    one.around = SimpleNamespace(authority=control)  # type: ignore[assignment]
    request = SimpleNamespace(grant_id="grt_1")
    admission = await one.admit(request)  # type: ignore[arg-type]
    driver.admission = admission
    assert one.shown()[0] | {} == {
        "session_id": "ses_1",
        "person": "Wang Wei",
        "device_id": "dev_1",
        "source": "127.0.0.1",
        "target": "plc-3",
        "account": "root",
        "protocol": "ssh",
        "not_after_ms": admission.permit.not_after_ms,  # type: ignore[union-attr]
    }
    assert one.cut_here(["ses_9", "ses_1"], "smoke", "li") == ["ses_1"]
    assert control.told == [("ses_1", "session.session.cut_on_host", {"reason": "smoke", "operator": "li"})]
    assert driver.fed == [c.CutOrdered("smoke")]
    answer = await one.admit(request)  # type: ignore[arg-type]
    assert isinstance(answer, Denial)
    assert control.told[-1] == ("ended", "ses_1", "cut", None, None)
    driver.is_over = True
    assert one.cut_here(["ses_1"], "smoke", "li") == []


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


async def test_without_room_for_recordings_nobody_is_admitted_and_control_is_not_asked() -> None:
    one, _ = sessions()
    one.room = SimpleNamespace(admits=False)  # type: ignore[assignment]
    answer = await one.admit(SimpleNamespace(grant_id="grt_1"))  # type: ignore[arg-type]
    assert isinstance(answer, Denial)
    assert answer.code == "recordings_full"
