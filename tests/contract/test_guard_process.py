"""The guard as a process beside the real opener: a knock opens a real door, and nothing makes it open twice."""

import os
import shutil
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.contract.guard_site import DEVICE, Site, now_ms
from tests.contract.namespaces import (
    BROKER4,
    BROKER6,
    DOORS,
    NEIGHBOUR4,
    VENDOR4,
    VENDOR6,
    Lab,
    drain,
    ip_packets_from,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        site = Site(lab)
        try:
            site.initialise()
            site.start_guard()
            yield site
        finally:
            site.close()


@pytest.mark.parametrize(("vendor", "broker"), [(VENDOR4, BROKER4), (VENDOR6, BROKER6)], ids=["ipv4", "ipv6"])
def test_a_knock_opens_its_door_for_its_address_and_is_never_answered(site: Site, vendor: str, broker: str) -> None:
    sniffer = site.lab.sniff(site.lab.vendor, "far0")
    with pytest.raises(TimeoutError):
        site.lab.dial(vendor, broker, DOORS[1], seconds=0.3)
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=1), vendor, broker)
    fact = site.control.wait_for("knock", before + 1)[-1]
    assert (fact["address"], fact["window_seconds"]) == (vendor, 1)
    assert ip_packets_from(drain(sniffer), broker) == []
    site.lab.dial(vendor, broker, DOORS[1])
    time.sleep(1.1)
    with pytest.raises(TimeoutError):
        site.lab.dial(vendor, broker, DOORS[1], seconds=0.3)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_replay_opens_nothing_live_or_after_a_restart(site: Site, *, kill: bool) -> None:
    before = site.facts()
    packet = DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1)
    # The same body and stamp under another nonce gets past the kernel's set of used nonces.
    twin = DEVICE.knock(stamp_ms=now_ms() - 5, ttl_seconds=1)
    site.send(packet)
    site.control.wait_for("knock", before + 1)
    site.send(packet)
    site.send(twin)
    site.stop_guard(kill=kill)
    site.start_guard()
    site.send(packet, NEIGHBOUR4)
    site.send(twin, NEIGHBOUR4)
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1), NEIGHBOUR4)
    facts = site.control.wait_for("knock", before + 2)
    assert [fact["address"] for fact in facts[before:]] == [VENDOR4, NEIGHBOUR4]


def test_what_came_in_before_the_guard_began_is_thrown_away_unread(site: Site) -> None:
    """The service manager's socket is bound all the time; the filter of the guard before lets a knock wait in it."""
    before, heard = site.facts(), len(site.control.heard)
    site.stop_guard(kill=True)
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.send(DEVICE.knock(stamp_ms=now_ms() + 1, ttl_seconds=1), VENDOR6, BROKER6)
    site.start_guard()
    site.control.wait_for_state("armed", heard)
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1), NEIGHBOUR4)
    facts = site.control.wait_for("knock", before + 1)
    assert [fact["address"] for fact in facts[before:]] == [NEIGHBOUR4]
    count = len(site.control.wait_for("status", 1))
    counters = site.control.wait_for("status", count + 2, seconds=20)[-1]["counters"]
    assert isinstance(counters, dict)
    assert (counters["shed_at_socket"], counters.get("refused_not_ready")) == (2, None)


def test_a_guard_without_history_lets_nobody_in_for_one_window(site: Site) -> None:
    site.stop_guard()
    (site.state / "stamps").unlink()
    site.start_guard()
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms()))
    time.sleep(0.5)
    assert site.facts() == before
    site.stop_guard()
    (site.state / "stamps").unlink()
    site.initialise()
    site.start_guard()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.control.wait_for("knock", before + 1)


def test_a_dead_guard_answers_nothing_and_its_window_closes(site: Site) -> None:
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1), NEIGHBOUR4)
    site.control.wait_for("knock", before + 1)
    site.stop_guard(kill=True)
    sniffer = site.lab.sniff(site.lab.vendor, "far0")
    time.sleep(1.1)
    with pytest.raises(TimeoutError):
        site.lab.dial(NEIGHBOUR4, BROKER4, DOORS[1], seconds=0.3)
    site.send(DEVICE.knock(stamp_ms=now_ms()), NEIGHBOUR4)
    assert ip_packets_from(drain(sniffer), BROKER4) == []
    site.start_guard()
