"""A stranger's view: nmap from the vendor's side, while a capture watches what the broker lets out.

nmap says what it could tell apart; the capture on the broker's own interface says why: not one IP packet left. Address
resolution (ARP) on the link to the router is not IP and is counted apart.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from deploy.demo import netns
from deploy.demo.lab import BROKER, BROKER_VENDOR_ADDRESS, VENDOR, VENDOR_ADDRESS, Lab, LabError

ALL_PORTS = "1-65535"
_FAST = ("-n", "-Pn", "-T5", "--min-rate", "20000", "--max-retries", "0")

_ETH_P_ALL, _ETH_P_IP, _ETH_P_ARP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_STATISTICS = 26, 263, 6
_PACKET_OUTGOING = 4
_IPPROTO_ICMPV6, _ND_TYPES = 58, range(133, 138)


@dataclass(frozen=True)
class PortScan:
    """What nmap could tell about one protocol's ports: `by_state` counts ports, `open_ports` names them."""

    protocol: str
    ports: int
    by_state: dict[str, int]
    open_ports: tuple[int, ...]
    seconds: float

    @property
    def tells_nothing(self) -> bool:
        """No port stands out: every one gave no answer at all."""
        silent = self.by_state.get("filtered", 0) + self.by_state.get("open|filtered", 0)
        return silent == self.ports and not self.open_ports


@dataclass(frozen=True)
class Silence:
    """What left the broker's interface: IP packets by destination, ARP and IPv6 neighbour discovery apart."""

    ip_by_destination: dict[str, int]
    address_resolution: int
    missed: int
    received_by_broker: int

    def ip_to(self, address: str) -> int:
        """IP packets that left for this address."""
        return self.ip_by_destination.get(address, 0)

    @property
    def ip_packets(self) -> int:
        """All IP packets that left, neighbour discovery excepted."""
        return sum(self.ip_by_destination.values())


@dataclass(frozen=True)
class ScanFacts:
    """One look at the broker from outside."""

    tcp: PortScan
    udp: PortScan
    silence: Silence

    @property
    def hidden(self) -> bool:
        """Nothing to see, nothing sent, and the probes did arrive (otherwise the silence would prove nothing)."""
        arrived = self.silence.received_by_broker >= self.tcp.ports
        nothing_sent = self.silence.ip_packets == 0 and self.silence.missed == 0
        return self.tcp.tells_nothing and self.udp.tells_nothing and nothing_sent and arrived


@dataclass
class OutgoingCapture:
    """Counts what leaves an interface of a host while the context is open.

    The kernel hands over outgoing packets only, so a scan at full speed does not drown the capture.
    """

    lab: Lab
    host: str = BROKER
    interface: str = "out0"
    _ip: Counter[str] = field(default_factory=Counter)
    _resolution: int = 0
    _interrupted: int = 0
    _received_before: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _silence: Silence | None = None

    def __enter__(self) -> Self:
        self._socket = netns.call_inside(self.lab.namespace(self.host), self._open)
        self._received_before = self._received()
        self._thread = threading.Thread(target=self._count, name=f"capture {self.interface}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        time.sleep(0.2)  # a late answer to the last probe must be counted too
        self._ended.set()
        self._thread.join()
        _packets, missed = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._socket.close()
        received = self._received() - self._received_before
        self._silence = Silence(dict(self._ip), self._resolution, missed + self._interrupted, received)

    @property
    def silence(self) -> Silence:
        """What was counted; known once the context has been left."""
        if self._silence is None:
            raise LabError("the capture still runs")
        return self._silence

    def _open(self) -> socket.socket:
        # Protocol 0 hears nothing until the bind; any other would take in other interfaces' packets before it.
        capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        _attach_outgoing_filter(capture)
        capture.bind((self.interface, _ETH_P_ALL))
        capture.settimeout(0.05)
        return capture

    def _received(self) -> int:
        counter = f"/sys/class/net/{self.interface}/statistics/rx_packets"
        return int(self.lab.run(self.host, ["cat", counter]).stdout)

    def _count(self) -> None:
        while True:
            try:
                packet, (_interface, protocol, kind, *_rest) = self._socket.recvfrom(96)
            except TimeoutError:
                if self._ended.is_set():
                    return
                continue
            except OSError:  # the link went down: what this capture says about silence no longer counts
                self._interrupted += 1
                continue
            if kind == _PACKET_OUTGOING:
                self._note(protocol, packet)

    def _note(self, protocol: int, packet: bytes) -> None:
        match protocol:
            case _ if protocol == _ETH_P_ARP or _is_neighbour_discovery(protocol, packet):
                self._resolution += 1
            case _ if protocol == _ETH_P_IP and len(packet) >= 20:
                self._ip[str(ipaddress.IPv4Address(packet[16:20]))] += 1
            case _ if protocol == _ETH_P_IPV6 and len(packet) >= 40:
                self._ip[str(ipaddress.IPv6Address(packet[24:40]))] += 1
            case _:
                self._ip[f"ethertype {protocol:#06x}"] += 1


def scan_from_vendor(lab: Lab, udp_ports: str = ALL_PORTS, tcp_ports: str = ALL_PORTS) -> ScanFacts:
    """Scan the broker's vendor face over TCP (SYN) and UDP and watch what it sends meanwhile.

    Args:
        udp_ports: nmap's port list; all 65,535 by default, which takes about five seconds.
        tcp_ports: the same for TCP.

    Raises:
        LabError: nmap failed or did not end within its time.
    """
    with OutgoingCapture(lab) as capture:
        tcp = _nmap(lab, "tcp", ["-sS", "-p", tcp_ports])
        udp = _nmap(lab, "udp", ["-sU", "-p", udp_ports])
    return ScanFacts(tcp, udp, capture.silence)


def describe(facts: ScanFacts) -> list[str]:
    """The facts in plain sentences, for a person."""
    silence = facts.silence
    return [
        f"nmap from {VENDOR_ADDRESS} against {BROKER_VENDOR_ADDRESS}: {_states(facts.tcp)}; {_states(facts.udp)}",
        f"{silence.received_by_broker} packets reached the broker; IP packets it sent back: "
        f"{silence.ip_to(VENDOR_ADDRESS)}; IP packets that left at all: {silence.ip_packets} "
        f"(address resolution towards the router apart: {silence.address_resolution})",
    ]


def _states(scan: PortScan) -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(scan.by_state.items()))
    return f"{scan.ports} {scan.protocol.upper()} ports: {states} ({scan.seconds:.1f} s)"


def _nmap(lab: Lab, protocol: str, options: list[str]) -> PortScan:
    argv = ["nmap", *_FAST, *options, "--host-timeout", "60s", "-oX", "-", BROKER_VENDOR_ADDRESS]
    return parse_nmap(lab.run(VENDOR, argv, timeout_seconds=90.0).stdout, protocol)


def parse_nmap(report: str, protocol: str) -> PortScan:
    """Read nmap's XML report about one host.

    Raises:
        LabError: the report names no host, or nmap gave up on it.
    """
    root = ET.fromstring(report)  # noqa: S314 - our own nmap's report, not a stranger's document
    host, info, finished = root.find("host"), root.find("scaninfo"), root.find("runstats/finished")
    if host is None or info is None or finished is None or host.get("timedout") == "true":
        raise LabError(f"nmap did not finish its {protocol} scan")
    by_state: Counter[str] = Counter()
    for extra in host.findall("ports/extraports"):
        by_state[extra.get("state", "?")] += int(extra.get("count", "0"))
    open_ports = []
    for port in host.findall("ports/port"):
        state = port.find("state")
        name = "?" if state is None else state.get("state", "?")
        by_state[name] += 1
        if name == "open":
            open_ports.append(int(port.get("portid", "0")))
    ports = int(info.get("numservices", "0"))
    return PortScan(protocol, ports, dict(by_state), tuple(open_ports), float(finished.get("elapsed", "0")))


def _is_neighbour_discovery(protocol: int, packet: bytes) -> bool:
    return protocol == _ETH_P_IPV6 and len(packet) > 40 and packet[6] == _IPPROTO_ICMPV6 and packet[40] in _ND_TYPES


def _attach_outgoing_filter(capture: socket.socket) -> None:
    """Classic BPF: `if packet type != outgoing then drop` (linux/filter.h, SKF_AD_OFF + SKF_AD_PKTTYPE)."""
    load_packet_type = struct.pack("HBBI", 0x30, 0, 0, 0xFFFFF004)
    if_outgoing = struct.pack("HBBI", 0x15, 0, 1, _PACKET_OUTGOING)
    accept = struct.pack("HBBI", 0x06, 0, 0, 0x40000)
    drop = struct.pack("HBBI", 0x06, 0, 0, 0)
    program = ctypes.create_string_buffer(load_packet_type + if_outgoing + accept + drop)
    capture.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program)))
