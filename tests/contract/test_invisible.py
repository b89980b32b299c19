"""A stranger provokes the broker's host in every way that makes a host speak, and hears neighbour discovery alone."""

import json
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.contract.guard_site import DEVICE, Site, now_ms
from tests.contract.namespaces import (
    BROKER4,
    BROKER6,
    DOORS,
    KNOCK_PORT,
    MANAGEMENT_PORT,
    NEIGHBOUR4,
    NEIGHBOUR6,
    VENDOR4,
    VENDOR6,
    Lab,
    drain,
    run,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
TCP, UDP, ICMP, ICMP6, SCTP, DCCP = 6, 17, 1, 58, 132, 33
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, NOTHING = 0, 43, 44, 60, 59
SYN, ACK, FIN, RST, PSH, URG = 0x02, 0x10, 0x01, 0x04, 0x08, 0x20
NEIGHBOUR_DISCOVERY = (133, 135, 136)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        site = Site(lab)
        try:
            # Reassembly that gives up says so; here it does within a second.
            for name in ("net.ipv4.ipfrag_time=1", "net.ipv6.ip6frag_time=1"):
                run("ip", "netns", "exec", lab.broker, "sysctl", "-q", "-w", name)
            site.initialise()
            site.start_guard()
            yield site
        finally:
            site.close()


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Stranger:
    """Makes frames by hand, so that nothing of its own kernel stands in the way."""

    def __init__(self, site: Site) -> None:
        self.lab = site.lab
        self.broker_mac = self._mac(site.lab.broker, "out0")
        self.own_mac = self._mac(site.lab.vendor, "far0")
        self.wire = site.lab.sniff(site.lab.vendor, "far0")

    def _mac(self, namespace: str, interface: str) -> bytes:
        (link,) = json.loads(run("ip", "-j", "-n", namespace, "link", "show", interface))
        return bytes.fromhex(link["address"].replace(":", ""))

    def send4(self, protocol: int, payload: bytes, *, offset: int = 0, ttl: int = 64, options: bytes = b"") -> None:
        source, target = (socket.inet_aton(address) for address in (NEIGHBOUR4, BROKER4))
        words = 5 + len(options) // 4
        header = struct.pack(
            ">BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload), 7, offset, ttl, protocol, 0, source, target
        )
        full = header + options
        full = full[:10] + struct.pack(">H", checksum(full)) + full[12:]
        self._send(b"\x08\x00", full + payload)

    def send6(self, following: int, payload: bytes, *, source: str = NEIGHBOUR6, target: str = BROKER6) -> None:
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in (source, target))
        self._send(b"\x86\xdd", struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + addresses + payload)

    def upper(
        self, family: int, protocol: int, segment: bytes, at: int, *, target: str = "", source: str = ""
    ) -> bytes:
        """The segment with its checksum over the pseudo header."""
        target = target or (BROKER4 if family == 4 else BROKER6)
        source = source or (NEIGHBOUR4 if family == 4 else NEIGHBOUR6)
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        ends = socket.inet_pton(kind, source) + socket.inet_pton(kind, target)
        if family == 4 and protocol == ICMP:
            pseudo = b""
        elif family == 4:
            pseudo = ends + struct.pack(">BBH", 0, protocol, len(segment))
        else:
            pseudo = ends + struct.pack(">IHBB", len(segment), 0, 0, protocol)
        return segment[:at] + struct.pack(">H", checksum(pseudo + segment)) + segment[at + 2 :]

    def tcp(self, family: int, port: int, flags: int) -> bytes:
        segment = struct.pack(">HHIIBBHHH", 40_001, port, 5, 6 if flags & ACK else 0, 5 << 4, flags, 1_000, 0, 0)
        return self.upper(family, TCP, segment, 16)

    def udp(self, family: int, port: int, data: bytes) -> bytes:
        return self.upper(family, UDP, struct.pack(">HHHH", 40_001, port, 8 + len(data), 0) + data, 6)

    def icmp(self, family: int, kind: int, body: bytes = bytes(4), code: int = 0, **ends: str) -> bytes:
        return self.upper(family, ICMP if family == 4 else ICMP6, struct.pack(">BBH", kind, code, 0) + body, 2, **ends)

    def heard(self) -> list[bytes]:
        """The IP packets of the broker's host since the last time that are no neighbour discovery."""
        frames = [frame for frame in drain(self.wire) if frame[6:12] == self.broker_mac]
        return [frame for frame in frames if is_ip(frame) and not is_discovery(frame)]

    def _send(self, kind: bytes, packet: bytes) -> None:
        self.wire.send(self.broker_mac + self.own_mac + kind + packet)

    def provoke(self) -> None:
        """Everything at once; what could be answered without a rule set is marked so in `test_without_rules…`."""
        for port in (DOORS[1], DOORS[2], MANAGEMENT_PORT, 9):
            for flags in (SYN, ACK, FIN, RST, 0, FIN | PSH | URG, SYN | ACK, SYN | FIN):
                self.send4(TCP, self.tcp(4, port, flags))
                self.send6(TCP, self.tcp(6, port, flags))
        for port, data in ((9, b"x"), (KNOCK_PORT, bytes(192)), (KNOCK_PORT, b""), (KNOCK_PORT, bytes(500))):
            self.send4(UDP, self.udp(4, port, data))
            self.send6(UDP, self.udp(6, port, data))
        for kind in (8, 13, 15, 17, 5, 3):
            self.send4(ICMP, self.icmp(4, kind, bytes(16)))
        for kind in (128, 139, 144, 137, 1, 2):
            self.send6(ICMP6, self.icmp(6, kind, bytes(44)))
        for protocol in (SCTP, DCCP, 253):
            self.send4(protocol, bytes(32))
            self.send6(protocol, bytes(32))
        # A fragment whose rest never comes, whole ones in two pieces, and an atomic one.
        echo = self.icmp(4, 8, bytes(12))
        self.send4(ICMP, echo[:8], offset=0x2000)
        self.send4(UDP, self.udp(4, 9, bytes(8))[:8], offset=0x2000)
        self.send4(UDP, bytes(8), offset=1)
        self.send6(FRAGMENT, struct.pack(">BBHI", ICMP6, 0, 1, 9) + self.icmp(6, 128, bytes(12))[:8])
        self.send6(FRAGMENT, struct.pack(">BBHI", ICMP6, 0, 0, 9) + self.icmp(6, 128, bytes(12)))
        # Headers and options that a host must complain about.
        self.send4(ICMP, echo, options=bytes([68, 3, 99, 0]))
        self.send4(ICMP, echo, options=bytes([7, 7, 1, 0, 0, 0, 0, 0]))
        for header in (HOP_BY_HOP, DESTINATION):
            self.send6(header, bytes([ICMP6, 0, 0x80, 4, 0, 0, 0, 0]) + self.icmp(6, 128))
        self.send6(ROUTING, bytes([ICMP6, 2, 0, 1]) + bytes(4) + socket.inet_pton(socket.AF_INET6, BROKER6))
        self.send6(NOTHING, b"")
        # Who is in which group?
        self.send4(2, b"\x11\x0a\xee\xf5" + bytes(4))
        self.send6(
            HOP_BY_HOP,
            bytes([ICMP6, 0, 5, 2, 0, 0, 1, 0]) + self.icmp(6, 130, bytes(20), source="fe80::99", target="ff02::1"),
            source="fe80::99",
            target="ff02::1",
        )


def is_ip(frame: bytes) -> bool:
    return frame[12:14] in (b"\x08\x00", b"\x86\xdd")


def is_discovery(frame: bytes) -> bool:
    return frame[12:14] == b"\x86\xdd" and frame[20] == ICMP6 and frame[54] in NEIGHBOUR_DISCOVERY


def to_nobody_but(frames: list[bytes], *addresses: str) -> list[bytes]:
    """The frames whose destination is none of these addresses."""
    known = [ip_address(address).packed for address in addresses]
    return [f for f in frames if (f[30:34] if f[12:14] == b"\x08\x00" else f[38:54]) not in known]


def test_a_stranger_hears_nothing_whatever_is_tried(site: Site) -> None:
    stranger = Stranger(site)
    stranger.heard()
    stranger.provoke()
    time.sleep(2.5)  # What reassembly would complain of has timed out.
    assert stranger.heard() == []


def test_neighbours_are_still_found_so_that_it_is_not_deafness(site: Site) -> None:
    """The probe above proves something only while the host is there and would answer what it may answer."""
    stranger = Stranger(site)
    run("ip", "-n", site.lab.vendor, "neigh", "flush", "dev", "far0")
    stranger.heard()
    target = socket.inet_pton(socket.AF_INET6, BROKER6)
    group = "ff02::1:ff" + BROKER6.split(":")[-1].rjust(6, "0")[:2] + ":" + BROKER6.split(":")[-1].rjust(4, "0")
    body = bytes(4) + target + b"\x01\x01" + stranger.own_mac
    packet = stranger.icmp(6, 135, body, target=group)
    ends = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in (NEIGHBOUR6, group))
    stranger._send(b"\x86\xdd", struct.pack(">IHBB", 6 << 28, len(packet), ICMP6, 255) + ends + packet)
    frames = [frame for frame in drain(stranger.wire) if frame[6:12] == stranger.broker_mac]
    assert any(frame[12:14] == b"\x86\xdd" and frame[54] == 136 for frame in frames)


@pytest.mark.parametrize(("vendor", "broker"), [(VENDOR4, BROKER4), (VENDOR6, BROKER6)], ids=["ipv4", "ipv6"])
def test_while_a_colleague_knocks_and_works_the_stranger_still_hears_nothing(
    site: Site, vendor: str, broker: str
) -> None:
    stranger = Stranger(site)
    before = site.facts()
    stranger.heard()
    site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=2), vendor, broker)
    site.control.wait_for("knock", before + 1)
    stranger.provoke()
    client = site.lab.dial(vendor, broker, DOORS[1])
    ours = site.lab.keep(site.doors.accept()[0])
    client.sendall(b"hello")
    assert ours.recv(10) == b"hello"
    stranger.provoke()
    ours.sendall(b"hello yourself")
    assert client.recv(20) == b"hello yourself"
    heard = stranger.heard()
    assert heard
    assert to_nobody_but(heard, vendor) == []


def test_when_a_colleague_has_gone_nobody_at_his_address_hears_anything_either(site: Site) -> None:
    stranger = Stranger(site)
    for vendor, broker in ((VENDOR4, BROKER4), (VENDOR6, BROKER6)):
        before = site.facts()
        site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=1), vendor, broker)
        site.control.wait_for("knock", before + 1)
        with site.lab.dial(vendor, broker, DOORS[1]) as client, site.doors.accept()[0] as ours:
            ours.sendall(b"done")
            assert client.recv(10) == b"done"
    time.sleep(1.2)
    stranger.heard()
    stranger.provoke()
    for vendor, broker in ((VENDOR4, BROKER4), (VENDOR6, BROKER6)):
        with pytest.raises(TimeoutError):
            site.lab.dial(vendor, broker, DOORS[1], seconds=0.3)
    time.sleep(2.5)
    assert stranger.heard() == []


def test_under_a_flood_a_colleague_gets_in_and_the_stranger_hears_nothing(site: Site) -> None:
    """Junk as fast as this process sends it, of the right length, from the stranger's own addresses."""
    stranger = Stranger(site)
    over, sent = threading.Event(), [0]

    def flood() -> None:
        while not over.is_set():
            stranger.send4(UDP, stranger.udp(4, KNOCK_PORT, os.urandom(192)))
            stranger.send6(UDP, stranger.udp(6, KNOCK_PORT, os.urandom(192)))
            sent[0] += 2

    stranger.heard()
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for vendor, broker in ((VENDOR4, BROKER4), (VENDOR6, BROKER6)):
            before = site.facts()
            site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=1), vendor, broker)
            site.control.wait_for("knock", before + 1)
            site.lab.dial(vendor, broker, DOORS[1]).close()
            site.doors.accept()[0].close()
        stranger.provoke()
        time.sleep(1.0)
    finally:
        over.set()
        thread.join()
    print(f"{sent[0]} datagrams of junk")
    assert to_nobody_but(stranger.heard(), VENDOR4, VENDOR6) == []


def test_with_guard_and_opener_dead_or_everything_stopped_the_rules_stay_and_nothing_is_said(site: Site) -> None:
    stranger = Stranger(site)
    site.stop_guard(kill=True)
    stranger.heard()
    stranger.provoke()
    assert stranger.heard() == []
    site.lab.stop_opener(kill=True)
    for sock in site.knock_sockets:
        sock.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER: nobody guards the ports any more.
    stranger.provoke()
    time.sleep(2.5)
    assert stranger.heard() == []
    # The whole product stopped: nothing is bound at any port.
    site.unbind()
    stranger.provoke()
    time.sleep(2.5)
    assert stranger.heard() == []
    site.bind()
    site.lab.start_opener()
    site.start_guard()


def test_a_host_that_gets_an_address_does_not_report_its_groups(site: Site) -> None:
    stranger = Stranger(site)
    stranger.heard()
    run("ip", "-n", site.lab.broker, "addr", "add", "2001:db8:1::77/64", "dev", "out0")
    time.sleep(1.5)
    run("ip", "-n", site.lab.broker, "addr", "del", "2001:db8:1::77/64", "dev", "out0")
    assert stranger.heard() == []


def test_without_rules_the_same_host_answers_so_that_the_probe_can_fail(site: Site) -> None:
    stranger = Stranger(site)
    broker = ("ip", "netns", "exec", site.lab.broker)
    run(*broker, "nft", "delete", "table", "inet", "sallyport")
    try:
        stranger.heard()
        stranger.provoke()
        run("ip", "-n", site.lab.broker, "addr", "add", "2001:db8:1::78/64", "dev", "out0")
        time.sleep(2.5)
        heard = stranger.heard()
    finally:
        loaded = len(site.control.heard)
        site.lab.load()
    site.control.wait_for_state("armed", loaded, seconds=20)
    kinds4 = {frame[34] for frame in heard if frame[12:14] == b"\x08\x00" and frame[23] == ICMP}
    kinds6 = {frame[54] for frame in heard if frame[12:14] == b"\x86\xdd" and frame[20] == ICMP6}
    reports = [frame for frame in heard if frame[12:14] == b"\x86\xdd" and frame[20] == HOP_BY_HOP]
    assert {0, 3, 11, 12} <= kinds4  # echo reply, unreachable, time exceeded, parameter problem
    assert {129, 1, 3, 4} <= kinds6
    assert reports
    assert any(frame[23] == TCP for frame in heard if frame[12:14] == b"\x08\x00")


@pytest.mark.parametrize("family", [4, 6])
def test_a_smaller_path_is_learnt_for_a_flow_that_exists(site: Site, family: int) -> None:
    vendor, broker = (VENDOR4, BROKER4) if family == 4 else (VENDOR6, BROKER6)
    stranger = Stranger(site)
    before = site.facts()
    site.send(DEVICE.knock(stamp_ms=now_ms(), address=ip_address(vendor), ttl_seconds=3), vendor, broker)
    site.control.wait_for("knock", before + 1)
    drain(stranger.wire)
    client = site.lab.dial(vendor, broker, DOORS[1])
    ours = site.lab.keep(site.doors.accept()[0])
    ours.sendall(b"data")
    assert client.recv(10) == b"data"
    frames = [frame for frame in drain(stranger.wire) if frame[6:12] == stranger.broker_mac and is_ip(frame)]
    quoted = bytearray(next(frame[14:] for frame in reversed(frames) if frame.endswith(b"data")))
    # As if the next segment had been too large: TCP hears no complaint about what was acknowledged.
    at = (20 if family == 4 else 40) + 4
    quoted[at : at + 4] = struct.pack(">I", int.from_bytes(quoted[at : at + 4], "big") + 4 & 0xFFFFFFFF)
    if family == 4:
        stranger.send4(ICMP, stranger.icmp(4, 3, struct.pack(">HH", 0, 1_300) + quoted[:48], code=4))
    else:
        stranger.send6(ICMP6, stranger.icmp(6, 2, struct.pack(">I", 1_300) + quoted[:100]))
    end = time.monotonic() + 5
    while "mtu 1300" not in run("ip", "-n", site.lab.broker, f"-{family}", "route", "get", vendor):
        assert time.monotonic() < end, "the smaller path was not learnt"
        time.sleep(0.05)
