"""What a real guard and a real opener let in and what not: grants, stolen knocks, rosters that end, revocations."""

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.contract.guard_site import DEVICE, Site, now_ms
from tests.contract.namespaces import BROKER4, DOORS, NEIGHBOUR4, VENDOR4, Lab
from tests.unit.spa_knock.guard.testing import GRANT_ID, Workstation, roster_message

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
OTHER = Workstation(2)
_versions = itertools.count(100)
SECOND_GRANT = "grt_0123456789abcdefghjkmnpqr0"


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


@pytest.fixture(autouse=True)
def shut_doors(site: Site) -> Iterator[None]:
    """No window of one test is left for the next."""
    yield
    control = site.lab.peer("control")
    for door in DOORS:
        for address in (VENDOR4, NEIGHBOUR4):
            assert control.ask(type="close", door=door, address=address)["type"] == "done"


def tell(site: Site, *entries: dict[str, object], expires_at_ms: int = 0) -> None:
    """Send a new roster and wait until the guard has it."""
    heard, version = len(site.control.heard), next(_versions)
    site.control.roster = roster_message(*entries, version=version, expires_at_ms=expires_at_ms or now_ms() + 600_000)
    site.control.push()
    end = time.monotonic() + 10
    while not any(one.get("roster_version") == version for one in site.control.heard[heard:]):
        assert time.monotonic() < end, site.control.heard[-1:]
        time.sleep(0.02)


def grant(grant_id: str, *, begins_ms: int, ends_ms: int, door: int = 2) -> dict[str, object]:
    return {"grant_id": grant_id, "door": door, "not_before_ms": begins_ms, "not_after_ms": ends_ms}


def is_shut(site: Site, door: int, source: str = VENDOR4) -> bool:
    try:
        site.lab.dial(source, BROKER4, DOORS[door], seconds=0.3).close()
    except (TimeoutError, ConnectionError):
        return True
    return False


def accepted(site: Site, packet: bytes, source: str = VENDOR4) -> dict[str, object]:
    before = site.facts()
    site.send(packet, source)
    return site.control.wait_for("knock", before + 1)[-1]


def refused(site: Site, reason: str, *packets: bytes, source: str = VENDOR4) -> None:
    """Each packet is counted under this reason, and none opens anything."""
    before, had = site.facts(), counted(site, reason)
    for packet in packets:
        site.send(packet, source)
    end = time.monotonic() + 20
    while (now := counted(site, reason)) < had + len(packets):
        assert time.monotonic() < end, site.control.heard[-1:]
        site.control.push()  # A roster makes the guard tell its status at once.
        time.sleep(0.2)
    assert (now, site.facts()) == (had + len(packets), before)


def counted(site: Site, reason: str) -> int:
    """What the guard last said."""
    counters = site.control.wait_for("status")[-1]["counters"]
    assert isinstance(counters, dict)
    return int(counters.get(f"refused_{reason}", 0))


def test_a_device_without_a_live_grant_opens_the_vendor_face_and_nothing_else(site: Site) -> None:
    now, soon = now_ms(), now_ms() + 600_000
    grants = [
        grant(GRANT_ID, begins_ms=now - 120_000, ends_ms=now - 1),
        grant(SECOND_GRANT, begins_ms=soon - 1_000, ends_ms=soon),
    ]
    tell(site, DEVICE.entry(not_after_ms=soon, grants=grants))
    stamp_ms = now_ms()
    over, not_yet, none, unknown = (
        DEVICE.knock(door=2, stamp_ms=stamp_ms + number, grant_id=grant_id)
        for number, grant_id in enumerate((GRANT_ID, SECOND_GRANT, None, GRANT_ID[:-1] + "0"))
    )
    refused(site, "no_grant", over, not_yet, none, unknown)
    assert is_shut(site, 2)
    fact = accepted(site, DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=3))
    assert (fact["door"], fact["grant_id"]) == (1, None)
    assert not is_shut(site, 1)
    assert is_shut(site, 2)
    begun = now_ms()
    live = grant(GRANT_ID, begins_ms=begun - 1_000, ends_ms=begun + 60_000)
    tell(site, DEVICE.entry(not_after_ms=soon, grants=[live]))
    fact = accepted(site, DEVICE.knock(door=2, stamp_ms=now_ms(), ttl_seconds=1, grant_id=GRANT_ID))
    assert (fact["door"], fact["grant_id"]) == (2, GRANT_ID)


def test_a_knock_stolen_before_it_arrived_is_useless_elsewhere_and_still_works_for_its_owner(site: Site) -> None:
    tell(site, DEVICE.entry(not_after_ms=now_ms() + 600_000))
    stolen = DEVICE.knock(stamp_ms=now_ms(), address=ip_address(VENDOR4), ttl_seconds=3)
    refused(site, "address", stolen, stolen, source=NEIGHBOUR4)
    assert is_shut(site, 1, NEIGHBOUR4)
    assert is_shut(site, 1, VENDOR4)
    assert accepted(site, stolen)["address"] == VENDOR4
    assert not is_shut(site, 1, VENDOR4)
    assert is_shut(site, 1, NEIGHBOUR4)


def test_a_roster_that_is_over_closes_until_another_comes(site: Site) -> None:
    heard = len(site.control.heard)
    soon = now_ms() + 600_000
    tell(site, DEVICE.entry(not_after_ms=soon), expires_at_ms=now_ms() + 1_500)
    site.control.wait_for_state("degraded", heard, seconds=20)
    assert site.control.heard[-1]["faults"] == ["roster"]
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms()))
    time.sleep(0.3)
    assert site.facts() == before
    assert is_shut(site, 1)
    tell(site, DEVICE.entry(not_after_ms=soon))
    accepted(site, DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))


@pytest.mark.parametrize("what", ["guard", "opener"])
def test_a_revoked_device_stays_out_whatever_is_started_anew(site: Site, what: str) -> None:
    """Control revokes; from then on its rosters leave the device out."""
    soon = now_ms() + 600_000
    tell(site, *(one.entry(not_after_ms=soon) for one in (DEVICE, OTHER)))
    accepted(site, OTHER.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.control.tell({"type": "revoke", "device_id": OTHER.device_id})
    assert site.lab.peer("control").ask(type="revoke", mark=OTHER.number)["type"] == "done"
    site.control.roster = roster_message(DEVICE.entry(not_after_ms=soon), version=next(_versions), expires_at_ms=soon)
    refused(site, "key_id", OTHER.knock(stamp_ms=now_ms()))
    heard = len(site.control.heard)
    if what == "guard":
        site.stop_guard(kill=True)
        site.start_guard()
    else:
        site.lab.stop_opener(kill=True)
        site.lab.start_opener()
        site.control.wait_for_state("armed", heard, seconds=20)
    refused(site, "key_id", OTHER.knock(stamp_ms=now_ms()))
    accepted(site, DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=5))
    client = site.lab.dial(VENDOR4, BROKER4, DOORS[1])
    site.lab.keep(site.doors.accept()[0])
    gateway, port = site.lab.peer("gateway"), client.getsockname()[1]
    answer = gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=OTHER.number)
    assert answer["code"] == "mark_revoked"
    assert site.lab.peer("control").ask(type="unrevoke", mark=OTHER.number)["type"] == "done"


def test_junk_leaves_no_line_in_the_log(site: Site) -> None:
    site.stop_guard()
    site.start_guard()
    quiet = set(site.stop_guard().splitlines())
    site.start_guard()
    known = DEVICE.knock(stamp_ms=now_ms(), address=ip_address(VENDOR4))
    refused(site, "address", known, known, source=NEIGHBOUR4)
    refused(site, "seal", *(known[:-2] + number.to_bytes(2, "big") for number in range(40)))
    refused(site, "key_id", *(OTHER.knock(stamp_ms=now_ms()) for _ in range(40)))
    for length in (0, 191, 192, 193, 500):
        site.send(os.urandom(length))
    said = set(site.stop_guard().splitlines())
    site.start_guard()
    assert said <= quiet
