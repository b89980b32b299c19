"""What people are told about the knock: the host's operator, and an engineer whose network is deaf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.demo.lab import BROKER, VENDOR
from deploy.demo.people import ZHAO
from deploy.demo.plant_api import text_of
from deploy.demo.site import TLS_PORT
from tests.e2e.site.world import ADA, BEN, World, wait_until

pytestmark = pytest.mark.netns
_DEAF = """
table netdev deaf {
  chain in {
    type filter hook ingress device ben priority 0;
    meta l4proto udp drop
  }
}
"""


_ELSEWHERE = f"""
table ip elsewhere {{
  chain incoming {{
    type nat hook prerouting priority -100;
    tcp dport {TLS_PORT} redirect to :9
  }}
}}
"""


@contextmanager
def no_udp(world: World) -> Iterator[None]:
    """The access router of the street lets no UDP of Ben's through."""
    world.lab.run(VENDOR, ["nft", "-f", "-"], text=_DEAF)
    try:
        yield
    finally:
        world.lab.run(VENDOR, ["nft", "delete", "table", "netdev", "deaf"])


def status_lines(world: World) -> str:
    done = world.sallyport("knock", "status")
    assert done.returncode == 0, done.stderr
    return done.stdout


def accepted(world: World) -> int:
    told = json.loads(world.sallyport("knock", "status", "--json").stdout)
    assert told["guard"]["state"] == "armed"
    return int(told["guard"]["counters"]["accepted"])


def test_the_host_tells_what_the_guard_accepted_and_why_it_refused(world: World) -> None:
    before = accepted(world)
    assert world.ssh(ADA, "true").returncode == 0
    wait_until(lambda: accepted(world) > before, "the knock is counted")
    assert world.ssh(BEN, "true").returncode == 0  # From now on it holds a certificate, and knocks by it.
    device_id = world.device_of(BEN)
    for grant in world.console(ZHAO).items("/grants"):
        if grant["state"] in ("issued", "active") and text_of(grant, "device", "id") == device_id:
            world.revoke(text_of(grant, "id"))
    assert world.lets_nobody_in(BEN)
    wait_until(lambda: "ben-laptop" in status_lines(world), "the guard has told of the refusal")
    assert "[no_grant]" in status_lines(world)
    world.grant(BEN)
    world.sign_in(BEN)
    assert world.ssh(BEN, "true").returncode == 0


def test_the_host_tells_when_the_rules_are_taken_away(world: World) -> None:
    world.lab.run(BROKER, ["nft", "flush", "chain", "inet", "sallyport", "incoming"])
    try:
        wait_until(lambda: "ACCEPTS NOTHING" in status_lines(world), "the guard says that it accepts nothing")
        assert "THE RULES ARE NOT OURS" in status_lines(world)
    finally:
        assert world.sallyport("rules", "final").returncode == 0
    wait_until(lambda: "armed" in status_lines(world), "the rules are whole again")
    assert world.ssh(ADA, "true").returncode == 0


def test_the_hosts_doctor_sees_another_firewall_that_takes_a_door_away(world: World) -> None:
    assert "elsewhere" not in world.sallyport("doctor").stdout
    world.lab.run(BROKER, ["nft", "-f", "-"], text=_ELSEWHERE)
    try:
        told = world.sallyport("doctor").stdout
    finally:
        world.lab.run(BROKER, ["nft", "delete", "table", "ip", "elsewhere"])
    assert f"ip elsewhere incoming sends port {TLS_PORT} elsewhere" in told


def test_sally_doctor_explains_a_network_without_udp(world: World) -> None:
    desk = world.desks[BEN]
    well = desk.run(["sally", "doctor"])
    assert well.returncode == 0, well.stdout + well.stderr
    with no_udp(world):
        deaf = desk.run(["sally", "doctor"])
    assert deaf.returncode != 0
    assert "UDP" in deaf.stdout
    assert desk.run(["sally", "doctor"]).returncode == 0
