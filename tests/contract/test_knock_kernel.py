"""The guard and the opener on a real kernel: what is shed where, what they may do, and what a broken firewall does."""

import base64
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from spa_knock.guard.stamps import StampStore
from spa_knock.wire.gate import gate_tag
from spa_knock.wire.keys import day_at, day_key, epoch_at, gate_key
from spa_knock.wire.packet import PACKET_BYTES
from tests.contract.guard_site import DEVICE, Site, now_ms
from tests.contract.namespaces import BROKER4, BROKER6, DOORS, NEIGHBOUR4, UIDS, VENDOR4, VENDOR6, Lab, run
from tests.unit.spa_knock.guard.testing import SITE_KEY, roster_message

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
FAMILIES = pytest.mark.parametrize(("vendor", "broker"), [(VENDOR4, BROKER4), (VENDOR6, BROKER6)], ids=["ipv4", "ipv6"])


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


class Watch:
    """What the kernel and the guard counted since the last look."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.opener = site.lab.peer("control")
        self._kernel = self._read()
        self._guard = self._heard()

    def _read(self) -> dict[str, int]:
        status = self.opener.ask(type="status")
        assert status["type"] == "done", status
        counters = status["counters"]
        assert isinstance(counters, dict)
        time.sleep(0.5)  # Two a second are answered.
        return counters

    def _heard(self) -> dict[str, int]:
        """What the guard says after this moment; it says so every five seconds."""
        count = len([one for one in self.site.control.heard if one["type"] == "status"])
        counters = self.site.control.wait_for("status", count + 2, seconds=20)[-1]["counters"]
        assert isinstance(counters, dict)
        return counters

    def kernel(self) -> dict[str, int]:
        before, self._kernel = self._kernel, self._read()
        return {name: now - before.get(name, 0) for name, now in self._kernel.items() if now != before.get(name, 0)}

    def guard(self) -> dict[str, int]:
        before, self._guard = self._guard, self._heard()
        return {name: now - before.get(name, 0) for name, now in self._guard.items() if now != before.get(name, 0)}


def junk(*, with_tag: bool) -> bytes:
    """A packet as an outsider makes it, or as somebody who has the gate key of today."""
    seconds = now_ms() // 1000
    clear = os.urandom(20)
    key = gate_key(day_key(SITE_KEY, day_at(seconds)), epoch_at(seconds))
    tag = gate_tag(key, clear) if with_tag else os.urandom(4)
    return clear + tag + os.urandom(PACKET_BYTES - 24)


@FAMILIES
def test_each_kind_of_junk_is_shed_at_its_stage_and_counted_there(site: Site, vendor: str, broker: str) -> None:
    watch = Watch(site)
    for _ in range(50):
        site.send(junk(with_tag=False), vendor, broker)
    assert watch.kernel() == {"knocks_to_socket": 50}
    assert watch.guard() == {"shed_at_socket": 50}
    for length in (0, 191, 193, 1_000):
        site.send(bytes(length), vendor, broker)
    assert watch.kernel() == {"shed_length": 4}
    site.send(bytes(4_000), vendor, broker)
    assert watch.kernel()["shed_fragments"] >= 3
    site.send(junk(with_tag=True), vendor, broker)
    assert watch.kernel() == {"knocks_to_socket": 1}
    assert watch.guard() == {"refused_key_id": 1}
    tracked = run("ip", "netns", "exec", site.lab.broker, "conntrack", "-L", "-p", "udp")
    assert "62201" not in tracked


@FAMILIES
def test_a_used_nonce_is_shed_before_the_socket(site: Site, vendor: str, broker: str) -> None:
    before = site.facts()
    packet = DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1)
    site.send(packet, vendor, broker)
    site.control.wait_for("knock", before + 1)
    watch = Watch(site)
    for _ in range(20):
        site.send(packet, vendor, broker)
        site.send(packet[:-1] + b"!", NEIGHBOUR4)
    assert watch.kernel() == {"shed_nonce": 40}


def test_an_observed_header_with_ever_new_tails_is_shed_after_sixty_four(site: Site) -> None:
    watch = Watch(site)
    packet = DEVICE.knock(stamp_ms=now_ms())
    for number in range(70):
        site.send(packet[:-2] + struct.pack(">H", number))
    end = time.monotonic() + 10
    while "shed_nonce" not in (counted := watch.kernel()):
        site.send(packet[:-2] + b"zz")
        assert time.monotonic() < end, counted
    assert watch.guard()["nonces_shed"] >= 1


def test_a_change_of_the_roster_never_leaves_a_good_knock_at_the_gate(site: Site) -> None:
    """Control pushes while knocks come in: the filter is replaced, never absent and never closed."""
    before = site.facts()
    for number in range(5):
        site.control.push()
        site.send(DEVICE.knock(stamp_ms=now_ms() + number, ttl_seconds=1))
    site.control.wait_for("knock", before + 5)


def test_nothing_reaches_a_guard_that_has_no_roster(site: Site) -> None:
    site.stop_guard()
    site.control.has_roster = False
    site.start_guard(state="starting")
    site.send(DEVICE.knock(stamp_ms=now_ms()))
    watch = Watch(site)
    assert "refused_not_ready" not in watch._guard
    assert watch._guard["shed_at_socket"] == 1
    site.stop_guard()
    site.control.has_roster = True
    site.start_guard()


def test_without_its_rules_the_opener_opens_nothing_and_the_guard_says_so(site: Site) -> None:
    broker = ("ip", "netns", "exec", site.lab.broker)
    heard = len(site.control.heard)
    run(*broker, "nft", "flush", "chain", "inet", "sallyport", "incoming")
    try:
        site.control.wait_for_state("degraded", heard, seconds=20)
        assert site.control.heard[-1]["faults"] == ["firewall"]
        before = site.facts()
        site.send(DEVICE.knock(stamp_ms=now_ms()))
        refusal = site.lab.peer("guard").ask(
            type="open", door=1, address=VENDOR4, seconds=1, knock_id=os.urandom(12).hex()
        )
        assert refusal["code"] == "rules_changed"
        assert site.facts() == before
        heard = len(site.control.heard)
    finally:
        site.lab.load()
    site.control.wait_for_state("armed", heard, seconds=20)
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.control.wait_for("knock", before + 1)


def test_an_element_admits_sixteen_first_packets_and_a_new_knock_as_many_again(site: Site) -> None:
    """A neighbour behind the knocker's address cannot fill the gateway with one window."""
    guard = site.lab.peer("guard")

    def connections() -> int:
        made = 0
        for _ in range(20):
            try:
                site.lab.dial(NEIGHBOUR4, BROKER4, DOORS[1], seconds=0.2)
            except TimeoutError:
                break
            made += 1
        while made:
            try:
                site.lab.keep(site.doors.accept()[0])
            except TimeoutError:
                break
        return made

    for _ in range(2):
        answer = guard.ask(type="open", door=1, address=NEIGHBOUR4, seconds=25, knock_id=os.urandom(12).hex())
        assert answer["type"] == "done"
        # A slow handshake repeats its first packet, which counts too.
        assert 8 <= connections() <= 16
    run("ip", "netns", "exec", site.lab.broker, "nft", "flush", "set", "inet", "sallyport", "open4")


def test_a_full_set_refuses_and_evicts_nothing(site: Site) -> None:
    broker = ("ip", "netns", "exec", site.lab.broker, "nft")
    first = "10.99.0.1"
    filling = [f"10.{100 + number // 16_384}.{number // 64 % 256}.{number % 64}" for number in range(65_536 - 1)]
    elements = ", ".join(f"{address} . 4430 timeout 5m" for address in [first, *filling])
    run(*broker, "-f", "-", text=f"add element inet sallyport open4 {{ {elements} }}\n")
    try:
        answer = site.lab.peer("guard").ask(
            type="open", door=1, address=VENDOR4, seconds=1, knock_id=os.urandom(12).hex()
        )
        assert answer["code"] == "full"
        assert run(*broker, "get", "element", "inet", "sallyport", "open4", f"{{ {first} . 4430 }}")
    finally:
        run(*broker, "flush", "set", "inet", "sallyport", "open4")


def test_guard_and_opener_hold_nothing_but_what_they_need(site: Site) -> None:
    assert site.guard is not None
    assert site.lab.opener is not None
    for process, capabilities in ((site.guard, 0), (site.lab.opener, 1 << 12)):
        told = Path(f"/proc/{process.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
        held = {name: int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")}
        assert set(held.values()) == {capabilities}
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    descriptors = Path(f"/proc/{site.guard.pid}/fd").iterdir()
    opened = {str(descriptor.readlink()) for descriptor in descriptors if int(descriptor.name) > 2}
    files = {path for path in opened if path.startswith("/") and not path.startswith(("/dev/", "/proc/"))}
    assert files == {str(site.state / "stamps")}


def test_a_revoked_mark_outlives_loading_and_a_new_opener(site: Site) -> None:
    lab = site.lab
    control, gateway = lab.peer("control"), lab.peer("gateway")
    assert control.ask(type="restate", marks=[81, 82])["type"] == "done"
    assert control.ask(type="egress", address="10.7.0.2", port=2299, seconds=600)["type"] == "done"
    lab.load()
    lab.stop_opener(kill=True)
    lab.start_opener()
    control, gateway, guard = lab.peer("control"), lab.peer("gateway"), lab.peer("guard")
    assert guard.ask(type="open", door=1, address=VENDOR4, seconds=5, knock_id=os.urandom(12).hex())["type"] == "done"
    client = lab.dial(VENDOR4, BROKER4, DOORS[1])
    lab.keep(site.doors.accept()[0])
    port = client.getsockname()[1]
    for mark in (81, 82):
        answer = gateway.ask(type="mark", door=1, address=VENDOR4, port=port, mark=mark)
        assert answer["code"] == "mark_revoked"
    status = control.ask(type="status")
    ways = status["egress"]
    assert isinstance(ways, list)
    assert [(way["address"], way["port"]) for way in ways if way["port"] == 2299] == [("10.7.0.2", 2299)]
    for mark in (81, 82):
        assert control.ask(type="unrevoke", mark=mark)["type"] == "done"


def test_after_a_reboot_nothing_from_before_is_taken_again(site: Site) -> None:
    """Another boot id and no clean stop: what was accepted before may be missing from the file."""
    before = site.facts()
    withheld = DEVICE.knock(stamp_ms=now_ms())
    site.send(DEVICE.knock(stamp_ms=now_ms() + 1, ttl_seconds=1))
    site.control.wait_for("knock", before + 1)
    site.stop_guard(kill=True)
    StampStore(site.state / "stamps", boot_id=b"another-boot-16b", started_ms=now_ms()).abandon()
    site.start_guard()
    for packet in (withheld, DEVICE.knock(stamp_ms=now_ms(), address=ip_address(VENDOR4))):
        site.send(packet)
    time.sleep(0.5)
    assert site.facts() == before + 1
    site.stop_guard()
    (site.state / "stamps").unlink()
    site.initialise()
    site.start_guard()


def test_a_guard_answers_no_datagram_even_if_it_wanted_to(site: Site) -> None:
    """The rule set's last word: nothing of the guard's user leaves this host, whatever its process became."""
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"try: s.sendto(b'x', ('{VENDOR4}', 9)); print('sent')\n"
        "except OSError as error: print(type(error).__name__)"
    )
    uid = str(UIDS["guard"])
    said = run(
        *("ip", "netns", "exec", site.lab.broker, "setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"),
        *(sys.executable, "-c", code),
    ).strip()
    assert said == "PermissionError"


def proportional_bytes(process: "subprocess.Popen[str]") -> int:
    told = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:")) * 1024


@pytest.mark.parametrize("devices", [1, 10_000])
def test_guard_and_opener_together_stay_small(site: Site, devices: int) -> None:
    soon = now_ms() + 600_000
    entries = [DEVICE.entry(not_after_ms=soon)]
    for number in range(2, devices + 1):
        key = base64.b64encode(os.urandom(32)).decode()
        entries.append({**entries[0], "device_id": f"dev_{number:026d}", "mark": number, "knock_key_b64": key})
    parts = [entries[start : start + 60] for start in range(0, devices, 60)]
    heard = len(site.control.heard)
    for number, part in enumerate(parts, 1):
        site.control.tell(roster_message(*part, part=number, parts=len(parts), version=devices + 1, expires_at_ms=soon))
    end = time.monotonic() + 60
    while not any(message.get("roster_version") == devices + 1 for message in site.control.heard[heard:]):
        assert time.monotonic() < end
        time.sleep(0.1)
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    site.control.wait_for("knock", before + 1)
    assert site.guard is not None
    assert site.lab.opener is not None
    used = proportional_bytes(site.guard) + proportional_bytes(site.lab.opener)
    print(f"{devices} devices: guard and opener use {used / (1 << 20):.1f} MiB")
    assert used <= 48 << 20
