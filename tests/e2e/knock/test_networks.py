"""Networks between the real client and the real opener and guard: ports, families, translation, silence."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from broker.knock_link.sources import SourceWatch
from spa_knock.client.errors import ClientError
from spa_knock.client.silence import causes
from tests.contract.namespaces import BROKER4, BROKER6, NEIGHBOUR4, NEIGHBOUR6, VENDOR4, VENDOR6, run
from tests.e2e.knock.rig import KNOCK_PORTS, KnockLab

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
FAMILIES = pytest.mark.parametrize("broker", [BROKER4, BROKER6], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def lab() -> Iterator[KnockLab]:
    lab = KnockLab()
    with lab:
        yield lab


@pytest.fixture(autouse=True)
def shut(lab: KnockLab) -> None:
    """Each test begins with shut doors and nobody waiting: a window of the one before would hide a lost knock."""
    lab.shut(VENDOR4, NEIGHBOUR4, VENDOR6, NEIGHBOUR6)


@contextmanager
def rules(lab: KnockLab, namespace: str, text: str) -> Iterator[None]:
    """A table `between` in a namespace for as long as the block lasts: the network's rules, not the site's."""
    run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=text)
    try:
        yield
    finally:
        for family in ("ip", "netdev"):
            if f"table {family} between" in text:
                run("ip", "netns", "exec", namespace, "nft", "delete", "table", family, "between")


def blocked(*ports: int) -> str:
    listed = ", ".join(str(port) for port in ports)
    return (
        'table netdev between {\n chain c {\n  type filter hook ingress device "out0" priority -500;\n'
        f"  udp dport {{ {listed} }} drop\n }}\n}}\n"
    )


@FAMILIES
def test_the_clients_own_code_gets_in_over_either_family(lab: KnockLab, broker: str) -> None:
    laptop = lab.laptops[0]
    with lab.connect(*lab.knocker(laptop, broker)) as ours_outside:
        assert ours_outside.getpeername()[0] == broker
        device_id, inside = lab.admitted()
        inside.close()
        assert device_id == laptop.device_id


@FAMILIES
def test_two_blocked_ports_of_three_cost_no_second_round_and_another_begins_the_next_time(
    lab: KnockLab, broker: str
) -> None:
    laptop = lab.laptops[0]
    knocker, site = lab.knocker(laptop, broker)
    with rules(lab, lab.broker, blocked(KNOCK_PORTS[0], KNOCK_PORTS[1])):
        knocks = len([one for one in lab.gateway.heard if one["type"] == "expect"])
        with lab.connect(knocker, site):
            device_id, inside = lab.admitted()
            inside.close()
            assert device_id == laptop.device_id
        assert len([one for one in lab.gateway.heard if one["type"] == "expect"]) == knocks + 1
    assert knocker.approaches(site.vendor_face)[0].knock_port != KNOCK_PORTS[0]


def test_copies_of_an_accepted_knock_are_shed_and_nobody_is_blamed(lab: KnockLab) -> None:
    knocker, site = lab.knocker(lab.laptops[1], BROKER4)
    with rules(lab, lab.broker, blocked(KNOCK_PORTS[0])), lab.connect(knocker, site):
        lab.admitted()[1].close()
    lab.counters()
    status = [one for one in lab.control.heard if one["type"] == "status"][-1]
    assert status["refusals"] == []


def test_where_udp_is_blocked_the_client_says_so_after_eight_seconds(lab: KnockLab) -> None:
    knocker, site = lab.knocker(lab.laptops[0], BROKER4)
    with rules(lab, lab.broker, blocked(*KNOCK_PORTS)), pytest.raises(ClientError) as refused:
        lab.connect(knocker, site)
    assert refused.value.code == "no_answer"
    assert "blocks UDP" in refused.value.why
    assert causes(knocker.evidence())[0].code == "udp_blocked"


def test_this_computers_own_firewall_is_named_for_certain(lab: KnockLab) -> None:
    own = "table ip between {\n chain c {\n  type filter hook output priority 0;\n  meta l4proto udp drop\n }\n}\n"
    knocker, site = lab.knocker(lab.laptops[0], BROKER4)
    with rules(lab, lab.vendor, own), pytest.raises(ClientError) as refused:
        lab.connect(knocker, site)
    assert "not permitted" in refused.value.why or "own firewall" in refused.value.why


def test_udp_and_tcp_by_different_addresses_open_nothing_for_the_wrong_one_and_show_on_the_host(lab: KnockLab) -> None:
    split = (
        "table ip between {\n chain c {\n  type nat hook postrouting priority 100;\n"
        f"  meta l4proto udp ip daddr {BROKER4} snat to {NEIGHBOUR4}\n }}\n}}\n"
    )
    knocker, site = lab.knocker(lab.laptops[0], BROKER4)
    before = lab.counters().get("accepted", 0)
    with rules(lab, lab.vendor, split), pytest.raises(ClientError) as refused:
        lab.connect(knocker, site)
    assert refused.value.code == "no_answer"
    assert "UDP and TCP out by different addresses" in refused.value.why
    # The site heard it: the host shows a knock that was accepted, for an address from which nobody came.
    assert lab.counters()["accepted"] > before
    facts = [one for one in lab.control.heard if one["type"] == "knock"]
    assert facts[-1]["address"] == NEIGHBOUR4


def test_an_edge_that_gives_everybody_one_address_still_tells_two_laptops_apart_and_is_seen_as_shared(
    lab: KnockLab,
) -> None:
    edge = (
        "table ip between {\n chain c {\n  type nat hook postrouting priority 100;\n"
        f"  ip daddr {BROKER4} snat to {NEIGHBOUR4}\n }}\n}}\n"
    )
    watch, now, news = SourceWatch(), datetime.now(UTC), []
    with rules(lab, lab.vendor, edge):
        connections: list[tuple[socket.socket, socket.socket]] = []
        for laptop in lab.laptops:
            outside = lab.connect(*lab.knocker(laptop, BROKER4))
            device_id, inside = lab.admitted()
            connections.append((outside, inside))
            assert device_id == laptop.device_id
            assert inside.getpeername()[0].removeprefix("::ffff:") == NEIGHBOUR4 != VENDOR4
        for outside, inside in connections:
            outside.close()
            inside.close()
    for laptop in lab.laptops:
        fact = [one for one in lab.control.heard if one["type"] == "knock" and one["device_id"] == laptop.device_id][-1]
        news.append(watch.knocked(str(fact["address"]), laptop.device_id, laptop.device_id, now))
    assert news[0] is None
    assert news[1] is not None
    assert news[1].address == NEIGHBOUR4
