"""The boundary's rules on a real firewall: a router namespace between broker, plant, office and vendor.

Each run loads the rendered text with the firewall's own tool and looks at packets, then reads back what the tool
exports. The network is shown to be open before the rules are loaded, so silence afterwards is the rules' doing.
"""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from types import TracebackType

import pytest
from hypothesis import HealthCheck, given, settings

from broker.boundary.check import check
from broker.boundary.compare import Findings, Kind
from broker.boundary.model import (
    BrokerLeg,
    Endpoint,
    Format,
    OtherTraffic,
    OutsideNetwork,
    PlantZone,
    ZonePlan,
)
from broker.boundary.render import render, undo
from tests.contract.namespaces import Lab, run
from tests.unit.broker.boundary.plans import plans

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("nft", "ip", "iptables-save", "conntrack")),
        reason="needs root, iproute2, nftables, iptables and conntrack",
    ),
]

BROKER, BROKER_NEIGHBOUR = {4: "10.71.0.2", 6: "fd71:1::2"}, {4: "10.71.0.3", 6: "fd71:1::3"}
PLANT, SECOND = {4: "10.72.0.5", 6: "fd71:2::5"}, {4: "10.72.0.6", 6: "fd71:2::6"}
OFFICE = {4: "10.73.0.2", 6: "fd71:3::2"}
VENDOR = {4: "203.0.113.2", 6: "2001:db8:71::2"}
GATES = {
    "dmz0": ("10.71.0.1/24", "fd71:1::1/64"),
    "plant0": ("10.72.0.1/24", "fd71:2::1/64"),
    "off0": ("10.73.0.1/24", "fd71:3::1/64"),
    "ven0": ("203.0.113.1/24", "2001:db8:71::1/64"),
}
SSH, RDP, BUSINESS, OUTSIDE_PORT = 22, 3389, 502, 8080
LONGEST_WAIT_SECONDS = 0.6
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])


def a_plan(other_traffic: OtherTraffic = OtherTraffic.KEEP) -> ZonePlan:
    return ZonePlan(
        broker=BrokerLeg("dmz0", tuple(ip_address(address) for address in BROKER.values())),
        zones=(
            PlantZone(
                "press shop",
                "plant0",
                (ip_network("10.72.0.0/24"), ip_network("fd71:2::/64")),
                tuple(Endpoint(f"press-{family}", ip_address(PLANT[family]), SSH) for family in (4, 6)),
            ),
        ),
        outside=(OutsideNetwork("office", "off0"), OutsideNetwork("vendor", "ven0")),
        other_traffic=other_traffic,
    )


class Firewall(Lab):
    """A router with four legs and a host at the end of each. No opener runs here."""

    def __init__(self) -> None:
        super().__init__()
        self.office, self.router = (f"spt-{os.getpid()}-{name}" for name in ("o", "r"))
        self.listeners: list[socket.socket] = []
        self.hosts = {
            "dmz0": (self.broker, (BROKER, BROKER_NEIGHBOUR)),
            "plant0": (self.plant, (PLANT, SECOND)),
            "off0": (self.office, (OFFICE,)),
            "ven0": (self.vendor, (VENDOR,)),
        }

    def __enter__(self) -> "Firewall":
        try:
            self._build()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for namespace in (self.office, self.router):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)

    def tool(self, *command: str, text: str | None = None) -> str:
        """Run a tool on the router."""
        return run("ip", "netns", "exec", self.router, *command, text=text)

    def load_rules(self, way: str, plan: ZonePlan) -> None:
        """Load a plan as an administrator would, on a router without rules."""
        for rules_format in FORMATS[way]:
            if rules_format is Format.NFTABLES:
                self.tool("nft", "-f", "-", text=render(plan, rules_format))
            else:
                self.tool(f"{rules_format.value}-restore", "--noflush", text=render(plan, rules_format))

    def exported(self, rules_format: Format) -> str:
        """What the router's tool exports."""
        if rules_format is Format.NFTABLES:
            return self.tool("nft", "-j", "list", "ruleset")
        return self.tool(f"{rules_format.value}-save")

    def checked(self, way: str, plan: ZonePlan) -> list[Findings]:
        """The findings for every format of this way."""
        return [check(plan, self.exported(rules_format), rules_format) for rules_format in FORMATS[way]]

    def clear(self) -> None:
        """A router without rules and without memory, and listeners with room for new connections."""
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()
        self.tool("nft", "flush", "ruleset")
        self.tool("conntrack", "-F")

    def call(self, namespace: str, address: str, port: int, source: str | None = None) -> socket.socket | None:
        """A connection, from the host's first address unless another is given, or None when nothing answers."""
        if source is None:
            ours = next(addresses[0] for known, addresses in self.hosts.values() if known == namespace)
            source = ours[6 if ":" in address else 4]

        def make() -> socket.socket | None:
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(LONGEST_WAIT_SECONDS)
            try:
                sock.bind((source, 0))
                sock.connect((address, port))
            except TimeoutError:
                sock.close()
                return None
            except BaseException:
                sock.close()
                raise
            return sock

        made = self.inside(namespace, make)
        return None if made is None else self.keep(made)

    def reaches(self, namespace: str, address: str, port: int, source: str | None = None) -> bool:
        """Whether a connection comes about."""
        made = self.call(namespace, address, port, source)
        if made is None:
            return False
        made.close()
        return True

    def arrivals(self, source: str) -> list[int]:
        """The ports to which TCP packets of this source came at the plant since the sniffer last looked."""
        packed = socket.inet_pton(socket.AF_INET6 if ":" in source else socket.AF_INET, source)
        found: list[int] = []
        while True:
            try:
                frame = self.at_plant.recv(2_048)
            except TimeoutError:
                return found
            start, transport = (26, 34) if frame[12:14] == b"\x08\x00" else (22, 54)
            if frame[start : start + len(packed)] == packed and len(frame) >= transport + 20:
                found.append(int.from_bytes(frame[transport + 2 : transport + 4], "big"))

    def send_raw(self, namespace: str, interface: str, source: str, target: str, port: int) -> None:
        """A bare SYN with any source address, put on the wire towards the router."""
        ours = self.link_address(namespace, "far0")
        gate = self.link_address(self.router, interface)
        frame = gate + ours + a_syn(source, target, port)

        def send() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.bind(("far0", 0))
                sock.send(frame)

        self.inside(namespace, send)

    @staticmethod
    def link_address(namespace: str, interface: str) -> bytes:
        """The MAC address of an interface."""
        (link,) = json.loads(run("ip", "-j", "-n", namespace, "link", "show", interface))
        return bytes.fromhex(link["address"].replace(":", ""))

    def _build(self) -> None:
        for namespace in (self.broker, self.vendor, self.plant, self.office, self.router):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            # Link-local addresses are usable at once, or the first neighbour discovery takes seconds.
            run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        for switch in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0"):
            self.tool("sysctl", "-qw", switch)
        self.tool("sysctl", "-qw", "net.ipv4.conf.default.rp_filter=0")
        for gate, (namespace, addresses) in self.hosts.items():
            run(
                *("ip", "-n", self.router, "link", "add", gate, "type", "veth"),
                *("peer", "name", "far0", "netns", namespace),
            )
            self._address(self.router, gate, list(GATES[gate]))
            lengths = {4: 24, 6: 64}
            self._address(
                namespace, "far0", [f"{pair[family]}/{lengths[family]}" for pair in addresses for family in (4, 6)]
            )
            for routed in GATES[gate]:
                run("ip", "-n", namespace, "route", "add", "default", "via", routed.partition("/")[0])
        # The office has taken the broker's addresses as its own.
        for address in BROKER.values():
            length = 128 if ":" in address else 32
            run("ip", "-n", self.office, "addr", "add", f"{address}/{length}", "dev", "lo")
        for namespace, ports in (
            (self.plant, (SSH, RDP, BUSINESS)),
            (self.office, (OUTSIDE_PORT,)),
            (self.vendor, (OUTSIDE_PORT,)),
            (self.broker, (OUTSIDE_PORT,)),
        ):
            for port in ports:
                listener = self.listen(namespace, port)
                listener.setblocking(False)
                self.listeners.append(listener)
        self.at_plant = self.sniff(self.plant, "far0")


FORMATS = {"nftables": (Format.NFTABLES,), "iptables": (Format.IPTABLES, Format.IP6TABLES)}


@pytest.fixture(scope="module")
def bare() -> Iterator[Firewall]:
    with Firewall() as firewall:
        yield firewall


@pytest.fixture
def firewall(bare: Firewall) -> Firewall:
    bare.clear()
    return bare


@pytest.fixture(params=["nftables", "iptables"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@FAMILIES
def test_without_the_rules_everybody_reaches_everything_and_spoofed_packets_arrive(
    firewall: Firewall, family: int
) -> None:
    for namespace in (firewall.broker, firewall.office, firewall.vendor):
        for port in (SSH, RDP, BUSINESS):
            assert firewall.reaches(namespace, PLANT[family], port)
    for outside in (OFFICE, VENDOR, BROKER):
        assert firewall.reaches(firewall.plant, outside[family], OUTSIDE_PORT)
    assert SSH in firewall.arrivals(BROKER[family])
    firewall.send_raw(firewall.office, "off0", BROKER[family], PLANT[family], SSH)
    assert SSH in firewall.arrivals(BROKER[family])


@FAMILIES
def test_the_broker_reaches_its_target_and_nothing_else_in_the_plant(firewall: Firewall, way: str, family: int) -> None:
    firewall.load_rules(way, a_plan())
    made = firewall.call(firewall.broker, PLANT[family], SSH)
    assert made is not None
    assert not firewall.reaches(firewall.broker, PLANT[family], RDP)
    assert not firewall.reaches(firewall.broker, PLANT[family], BUSINESS)
    assert not firewall.reaches(firewall.broker, SECOND[family], SSH)
    assert not firewall.reaches(firewall.broker, PLANT[family], SSH, source=BROKER_NEIGHBOUR[family])


@FAMILIES
def test_nobody_else_reaches_management_ports_but_production_goes_on(firewall: Firewall, way: str, family: int) -> None:
    firewall.load_rules(way, a_plan())
    for namespace in (firewall.office, firewall.vendor):
        for address in (PLANT[family], SECOND[family]):
            assert not firewall.reaches(namespace, address, SSH)
            assert not firewall.reaches(namespace, address, RDP)
        assert firewall.reaches(namespace, PLANT[family], BUSINESS)
    assert firewall.reaches(firewall.broker, PLANT[family], SSH)


@FAMILIES
def test_the_brokers_address_used_by_somebody_else_opens_nothing(firewall: Firewall, way: str, family: int) -> None:
    firewall.load_rules(way, a_plan())
    firewall.arrivals(BROKER[family])
    assert not firewall.reaches(firewall.office, PLANT[family], SSH, source=BROKER[family])
    for namespace, gate in ((firewall.office, "off0"), (firewall.vendor, "ven0")):
        for port in (SSH, RDP, BUSINESS):
            firewall.send_raw(namespace, gate, BROKER[family], PLANT[family], port)
    assert firewall.arrivals(BROKER[family]) == []
    firewall.send_raw(firewall.broker, "dmz0", BROKER[family], PLANT[family], SSH)
    assert SSH in firewall.arrivals(BROKER[family])


@FAMILIES
def test_the_interface_alone_keeps_a_spoofed_address_from_management_ports(
    firewall: Firewall, way: str, family: int
) -> None:
    firewall.load_rules(way, a_plan())
    if way == "nftables":
        firewall.tool("nft", "flush", "chain", "inet", "sallyport_boundary", "antispoof")
    else:
        firewall.tool("iptables" if family == 4 else "ip6tables", "-t", "raw", "-F", "sallyport_boundary_antispoof")
    firewall.arrivals(BROKER[family])
    for port in (SSH, BUSINESS):
        firewall.send_raw(firewall.office, "off0", BROKER[family], PLANT[family], port)
    arrived = firewall.arrivals(BROKER[family])
    assert SSH not in arrived
    assert BUSINESS in arrived


@FAMILIES
def test_the_plant_starts_no_connection_outwards(firewall: Firewall, way: str, family: int) -> None:
    firewall.load_rules(way, a_plan())
    for outside in (OFFICE, VENDOR, BROKER):
        assert not firewall.reaches(firewall.plant, outside[family], OUTSIDE_PORT)
    assert not firewall.reaches(firewall.plant, OFFICE[family], OUTSIDE_PORT, source=SECOND[family])
    assert firewall.reaches(firewall.vendor, OFFICE[family], OUTSIDE_PORT)
    assert firewall.reaches(firewall.office, VENDOR[family], OUTSIDE_PORT)
    assert firewall.reaches(firewall.vendor, BROKER[family], OUTSIDE_PORT)


@FAMILIES
def test_connections_that_were_open_before_the_rules_do_not_live_on(firewall: Firewall, way: str, family: int) -> None:
    inwards = firewall.call(firewall.office, PLANT[family], SSH)
    outwards = firewall.call(firewall.plant, OFFICE[family], OUTSIDE_PORT)
    assert inwards is not None
    assert outwards is not None
    firewall.load_rules(way, a_plan())
    firewall.arrivals(OFFICE[family])
    inwards.send(b"still here?")
    assert SSH not in firewall.arrivals(OFFICE[family])
    before = refused_packets(firewall, way, family)
    outwards.send(b"still here?")
    time.sleep(0.1)
    assert refused_packets(firewall, way, family) > before


@FAMILIES
def test_a_firewall_for_maintenance_alone_carries_nothing_else(firewall: Firewall, way: str, family: int) -> None:
    plan = a_plan(OtherTraffic.DROP)
    firewall.load_rules(way, plan)
    assert firewall.reaches(firewall.broker, PLANT[family], SSH)
    assert not firewall.reaches(firewall.office, PLANT[family], BUSINESS)
    assert not firewall.reaches(firewall.vendor, OFFICE[family], OUTSIDE_PORT)
    assert all(findings.is_clean for findings in firewall.checked(way, plan))


def test_what_was_loaded_is_found_to_be_the_plan_and_can_be_loaded_again_and_undone(
    firewall: Firewall, way: str
) -> None:
    plan = a_plan()
    firewall.load_rules(way, plan)
    for rules_format in FORMATS[way]:
        text = render(plan, rules_format)
        if rules_format is Format.NFTABLES:
            firewall.tool("nft", "-f", "-", text=text)
        else:
            again = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("-I "))
            firewall.tool(f"{rules_format.value}-restore", "--noflush", text=again)
    assert [findings.in_words() for findings in firewall.checked(way, plan) if not findings.is_clean] == []
    for rules_format in FORMATS[way]:
        command = (
            ["nft", "-f", "-"] if rules_format is Format.NFTABLES else [f"{rules_format.value}-restore", "--noflush"]
        )
        firewall.tool(*command, text=undo(rules_format))
    assert "sallyport_boundary" not in firewall.tool("nft", "list", "ruleset")
    assert firewall.reaches(firewall.office, PLANT[4], SSH)


def test_an_accept_planted_in_another_nft_table_opens_nothing_and_is_found(firewall: Firewall) -> None:
    firewall.load_rules("nftables", a_plan())
    firewall.tool(
        "nft",
        "-f",
        "-",
        text=f"""table inet convenience {{ chain forward {{ type filter hook forward priority -10; policy accept;
            ct state established,related accept
            iifname "off0" tcp dport {BUSINESS} accept
            iifname "dmz0" ip saddr {BROKER[4]} ip daddr {PLANT[4]} tcp dport 22 accept
            iifname "off0" tcp dport 22 accept comment "just this week"
            }}
            }}""",
    )
    assert not firewall.reaches(firewall.office, PLANT[4], SSH)
    (findings,) = firewall.checked("nftables", a_plan())
    assert [(item.kind, item.place) for item in findings.items] == [(Kind.EXTRA, "inet convenience forward")]
    assert "just this week" in findings.items[0].text


def test_an_accept_planted_in_our_own_chain_opens_and_is_found(firewall: Firewall) -> None:
    firewall.load_rules("nftables", a_plan())
    firewall.tool("nft", "insert", "rule", "inet", "sallyport_boundary", "forward", "iifname", "off0", "accept")
    assert firewall.reaches(firewall.office, PLANT[4], SSH)
    (findings,) = firewall.checked("nftables", a_plan())
    assert Kind.EXTRA in {item.kind for item in findings.items}
    assert any("in off0" in item.text for item in findings.items)


def test_a_table_put_to_sleep_is_found(firewall: Firewall) -> None:
    firewall.load_rules("nftables", a_plan())
    firewall.tool("nft", "add", "table", "inet", "sallyport_boundary", "{ flags dormant; }")
    assert firewall.reaches(firewall.office, PLANT[4], SSH)
    (findings,) = firewall.checked("nftables", a_plan())
    assert "dormant" in findings.in_words()


@pytest.mark.parametrize(("tool", "family"), [("iptables", 4), ("ip6tables", 6)])
def test_an_accept_before_the_jump_opens_and_is_found(firewall: Firewall, tool: str, family: int) -> None:
    firewall.load_rules("iptables", a_plan())
    planted = ["-i", "off0", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"]
    firewall.tool(tool, "-A", "FORWARD", *planted)
    assert not firewall.reaches(firewall.office, PLANT[family], SSH)
    found = {findings.format: findings for findings in firewall.checked("iptables", a_plan())}[Format(tool)]
    assert [item.kind for item in found.items] == [Kind.EXTRA]
    firewall.tool(tool, "-D", "FORWARD", *planted)
    firewall.tool(tool, "-I", "FORWARD", *planted)
    # The answers pass because our chain accepts them, so one early accept is a whole hole.
    assert firewall.reaches(firewall.office, PLANT[family], SSH)
    found = {findings.format: findings for findings in firewall.checked("iptables", a_plan())}[Format(tool)]
    assert [item.kind for item in found.items] == [Kind.ORDER]
    assert "press shop" in found.items[0].message


def test_a_rule_taken_out_of_the_kernel_is_found(firewall: Firewall, way: str) -> None:
    firewall.load_rules(way, a_plan())
    if way == "nftables":
        rules = json.loads(firewall.exported(Format.NFTABLES))["nftables"]
        handle = next(entry["rule"]["handle"] for entry in rules if entry.get("rule", {}).get("chain") == "antispoof")
        firewall.tool("nft", "delete", "rule", "inet", "sallyport_boundary", "antispoof", "handle", str(handle))
    else:
        firewall.tool("iptables", "-t", "raw", "-D", "sallyport_boundary_antispoof", "1")
    items = [item for findings in firewall.checked(way, a_plan()) for item in findings.items]
    assert [item.kind for item in items] == [Kind.MISSING]
    assert "dmz0" in items[0].message


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans())
def test_any_plan_loads_and_reads_back_as_itself(bare: Firewall, plan: ZonePlan) -> None:
    bare.clear()
    for way in FORMATS:
        bare.load_rules(way, plan)
        assert [findings.in_words() for findings in bare.checked(way, plan) if not findings.is_clean] == []
        bare.clear()


def refused_packets(firewall: Firewall, way: str, family: int) -> int:
    """How many packets were dropped because the plant started a connection outwards."""
    if way == "nftables":
        rules = json.loads(firewall.exported(Format.NFTABLES))["nftables"]
        (drop,) = (
            entry["rule"]
            for entry in rules
            if entry.get("rule", {}).get("chain") == "dialout" and {"drop": None} in entry["rule"]["expr"]
        )
        return int(next(part["counter"]["packets"] for part in drop["expr"] if "counter" in part))
    tool = "iptables" if family == 4 else "ip6tables"
    listing = firewall.tool(tool, "-nvxL", "sallyport_boundary_dialout").splitlines()
    return int(next(line for line in listing if "DROP" in line).split()[0])


def a_syn(source: str, target: str, port: int) -> bytes:
    """An Ethernet type, an IP header and a SYN with correct checksums (RFC 9293 section 3.1)."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    bare = struct.pack("!HHIIBBHHH", 40_000, port, 1, 0, 5 << 4, 0x02, 64_240, 0, 0)
    tcp = bare[:16] + _checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(bare)) + bare) + bare[18:]
    if family == socket.AF_INET6:
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64) + ends + tcp
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, socket.IPPROTO_TCP, 0) + ends
    return b"\x08\x00" + header[:10] + _checksum(header) + header[12:] + tcp


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
