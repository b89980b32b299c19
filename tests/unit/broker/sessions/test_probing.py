"""Connection tests at control: entered first, bounded, and a key that differs is never overlooked."""

import threading
from datetime import timedelta

import pytest

from broker.kernel.errors import Conflict, Invalid, NotFound, TooMany, Unavailable
from broker.sessions import probing
from broker.sessions.model import ProbeOrder, Report, ReportedEvent
from broker.sessions.probing import TargetProbes
from broker.targets.model import Protocol
from broker.targets.testing import a_host_key
from tests.unit.broker.sessions.plant import GATEWAY, Plant


class Site:
    """The service, a gateway that answers as it is told, and a firewall."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.probes = TargetProbes(plant.world.database, plant.world.clock, plant.world.targets)
        self.workers = frozenset({"w1"})
        self.outcome, self.key = "key_shown", plant.target.host_key
        self.ways: list[tuple[str, int, int]] = []
        self.orders: list[ProbeOrder] = []
        self.seen_before_order: list[str] = []
        self.probes.connect(workers=lambda: self.workers, send=self._send, open_way=self._open)
        plant.reports.on_probe(self.probes.take)

    def _open(self, address: str, port: int, seconds: int) -> None:
        self.ways.append((address, port, seconds))

    def _send(self, order: ProbeOrder) -> None:
        self.orders.append(order)
        self.seen_before_order = self.plant.codes()
        if self.outcome != "":
            params = {"probe_id": order.probe_id, "outcome": self.outcome, "host_key": self.key, "milliseconds": 31}
            event = ReportedEvent("gateway.target.probed", self.plant.world.clock.now(), params)
            report = Report(None, "boot-1", len(self.orders), (event,))
            for _ in range(2):  # the spool delivers at least once
                self.plant.reports.report(GATEWAY, report)


@pytest.fixture
def site(plant: Plant) -> Site:
    return Site(plant)


def test_a_test_is_entered_before_it_begins_and_the_way_is_short(site: Site) -> None:
    target = site.plant.target
    result = site.probes.probe_target("psn_1", target.id)
    assert (result.outcome, result.differs, result.milliseconds) == ("key_shown", False, 31)
    assert site.ways == [(target.address, target.port, 15)]
    (order,) = site.orders
    assert (order.address, order.port, order.key_type) == (target.address, target.port, target.host_key.split()[0])
    assert "targets.target.probed" in site.seen_before_order
    ordered, observed, matched = site.plant.world.trail()[-3:]
    assert (ordered.actor, ordered.subject, ordered.params["probe_id"]) == ("psn_1", target.id, result.probe_id)
    assert result.probe_id in str(observed.params["details"])
    assert (matched.code, matched.subject) == ("targets.target.key_matched", target.id)


def test_another_key_than_the_pinned_one_is_told_and_entered(site: Site) -> None:
    site.key = a_host_key(77)
    result = site.probes.probe_target("psn_1", site.plant.target.id)
    assert result.differs is True
    entered = site.plant.world.trail()[-1]
    assert entered.code == "targets.target.key_differs"
    assert entered.params["pinned_sha256"] != entered.params["shown_sha256"]


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA", "nonsense " * 2000])
def test_without_a_usable_key_nothing_is_said_about_the_pinned_one(site: Site, key: str) -> None:
    site.key = key
    result = site.probes.probe_target("psn_1", site.plant.target.id)
    assert (result.host_key, result.differs) == (None, None)
    assert "targets.target.key_differs" not in site.plant.codes()


def test_a_gateway_that_says_nothing_is_an_outcome(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_ANSWER_SECONDS", 0.05)
    site.outcome = ""
    assert site.probes.probe_target("psn_1", site.plant.target.id).outcome == probing.NO_WORD
    site.probes.take(ReportedEvent("gateway.target.probed", site.plant.world.clock.now(), {"probe_id": "prb_late"}))


def test_without_a_gateway_nothing_is_entered_and_no_way_opened(site: Site) -> None:
    site.workers = frozenset()
    with pytest.raises(Unavailable):
        site.probes.probe_target("psn_1", site.plant.target.id)
    assert site.ways == []
    assert "targets.target.probed" not in site.plant.codes()


def test_a_firewall_that_refuses_leaves_the_gateway_without_an_order(site: Site) -> None:
    def refuses(_address: str, _port: int, _seconds: int) -> None:
        raise Unavailable("opener.refused", "no")

    site.probes.connect(workers=lambda: site.workers, send=site._send, open_way=refuses)
    with pytest.raises(Unavailable):
        site.probes.probe_target("psn_1", site.plant.target.id)
    assert site.orders == []


def test_a_machine_that_is_not_entered_yet_shows_its_key(site: Site) -> None:
    result = site.probes.probe_address("psn_1", "10.20.0.77", 2222, Protocol.SSH)
    assert (result.host_key, result.differs) == (site.plant.target.host_key, None)
    assert site.orders[0].key_type == ""
    for address in ("127.0.0.1", "plc.example", "224.0.0.1", "169.254.1.1"):
        with pytest.raises(Invalid):
            site.probes.probe_address("psn_1", address, 22, Protocol.SSH)
    with pytest.raises(NotFound):
        site.probes.probe_target("psn_1", "tgt_x")
    assert len(site.orders) == 1


def test_the_broker_is_no_scanner(site: Site) -> None:
    for number in range(10):
        site.probes.probe_address("psn_1", f"10.20.1.{number}", 22, Protocol.SSH)
    with pytest.raises(TooMany):
        site.probes.probe_address("psn_1", "10.20.1.99", 22, Protocol.SSH)
    for number in range(10):
        site.probes.probe_address("psn_2", f"10.20.1.{number}", 22, Protocol.SSH)
    with pytest.raises(TooMany):
        site.probes.probe_address("psn_3", "10.20.1.99", 22, Protocol.SSH)
    assert len(site.ways) == 20
    site.plant.world.clock.move(timedelta(minutes=1))
    site.probes.probe_address("psn_1", "10.20.1.99", 22, Protocol.SSH)


def test_few_tests_run_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_ANSWER_SECONDS", 30.0)
    site.outcome = ""
    threads = [
        threading.Thread(target=site.probes.probe_address, args=(f"psn_{n}", "10.20.1.1", 22, Protocol.SSH))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    while len(site.orders) < 4:
        threads[0].join(0.01)
    with pytest.raises(TooMany):
        site.probes.probe_address("psn_9", "10.20.1.1", 22, Protocol.SSH)
    for order in list(site.orders):
        event = ReportedEvent("gateway.target.probed", site.plant.world.clock.now(), {"probe_id": order.probe_id})
        site.probes.take(event)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_retired_target_is_not_tested(site: Site) -> None:
    site.plant.world.targets.retire("psn_sec", site.plant.target.id)
    with pytest.raises(Conflict) as refusal:
        site.probes.probe_target("psn_sec", site.plant.target.id)
    assert refusal.value.code == "targets.retired"
    assert site.ways == []
