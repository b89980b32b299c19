"""What the boundary firewall has to know: the broker's leg, the plant's zones with their targets, and everybody else.

A plan that exists is valid: the constructors refuse whatever would make the rules wrong or ambiguous.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from broker.boundary.errors import unfit_plan

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

TABLE: Final = "sallyport_boundary"
SEED_PORTS: Final = (22, 23, 3306, 3389)
"""The ports by which machines are maintained nearly everywhere: SSH, Telnet, MySQL, RDP."""

_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_LOG_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}")
_LONGEST_NAME: Final = 80
_MOST_LEGS: Final = 8
_MOST_NETWORKS: Final = 64
_MOST_ENDPOINTS: Final = 5000


class Format(Enum):
    """How a firewall is told its rules, and how it tells them back."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"
    IP6TABLES = "ip6tables"


class Transport(Enum):
    """What carries a management protocol."""

    TCP = "tcp"
    UDP = "udp"


class OtherTraffic(Enum):
    """What happens to forwarded traffic that is neither maintenance nor the plant dialling out."""

    KEEP = "keep"
    """The site's other rules decide; ours say nothing about it."""
    DROP = "drop"
    """Dropped: this firewall carries maintenance and nothing else."""


@dataclass(frozen=True)
class BrokerLeg:
    """Where the broker meets the firewall: its addresses on the plant's side, and the firewall's interface to it."""

    interface: str
    addresses: tuple[Address, ...]

    def __post_init__(self) -> None:
        _check_interface("broker.interface", self.interface)
        _check_count("broker.addresses", self.addresses, _MOST_LEGS)
        for address in self.addresses:
            check_address("broker.addresses", address)
        if len(set(self.addresses)) != len(self.addresses):
            raise unfit_plan("broker.addresses", "The broker's addresses must differ from each other.")


@dataclass(frozen=True)
class Endpoint:
    """One management port of one machine. `name` says whose, for people who read the rules."""

    name: str
    address: Address
    port: int
    transport: Transport = Transport.TCP

    def __post_init__(self) -> None:
        _check_name("management.name", self.name)
        check_address("management.address", self.address)
        _check_port("management.port", self.port)

    @property
    def key(self) -> tuple[Address, Transport, int]:
        """What the firewall sees of it."""
        return self.address, self.transport, self.port


@dataclass(frozen=True)
class PlantZone:
    """A part of the plant's network behind one interface of the firewall. Zones may share an interface."""

    name: str
    interface: str
    prefixes: tuple[Network, ...]
    management: tuple[Endpoint, ...] = ()

    def __post_init__(self) -> None:
        _check_name("zone.name", self.name)
        _check_interface("zone.interface", self.interface)
        _check_count("zone.prefixes", self.prefixes, _MOST_NETWORKS)
        for prefix in self.prefixes:
            if prefix.prefixlen == 0 or prefix.is_multicast or prefix.is_loopback or prefix.is_link_local:
                raise unfit_plan("zone.prefixes", f"{prefix} is no prefix of a zone.")
        seen = set()
        for endpoint in self.management:
            if not any(_contains(prefix, endpoint.address) for prefix in self.prefixes):
                raise unfit_plan(
                    "management.address", f"{endpoint.name} ({endpoint.address}) is outside the zone {self.name}."
                )
            if endpoint.key in seen:
                raise unfit_plan("management", f"{endpoint.address} port {endpoint.port} is listed twice.")
            seen.add(endpoint.key)


@dataclass(frozen=True)
class OutsideNetwork:
    """A network that plant machines must not start connections to: the office, the vendors' side, the uplink."""

    name: str
    interface: str

    def __post_init__(self) -> None:
        _check_name("outside.name", self.name)
        _check_interface("outside.interface", self.interface)


@dataclass(frozen=True, kw_only=True)
class ZonePlan:
    """Everything the rules are made from.

    `guarded_ports` are closed in every zone to everybody, on TCP and UDP, whether a target is known there or not; the
    ports of the zone's own targets always belong to them. `log_prefix` begins every line in the firewall's log.
    """

    broker: BrokerLeg
    zones: tuple[PlantZone, ...]
    outside: tuple[OutsideNetwork, ...] = ()
    guarded_ports: frozenset[int] = frozenset(SEED_PORTS)
    other_traffic: OtherTraffic = OtherTraffic.KEEP
    log_prefix: str = "sallyport"

    def __post_init__(self) -> None:
        _check_count("zones", self.zones, _MOST_NETWORKS)
        if len(self.outside) > _MOST_NETWORKS:
            raise unfit_plan("outside", f"There are at most {_MOST_NETWORKS} outside networks.")
        for port in self.guarded_ports:
            _check_port("guarded_ports", port)
        if _LOG_PREFIX.fullmatch(self.log_prefix) is None:
            raise unfit_plan("log_prefix", "The log prefix is 1 to 16 letters, digits and . _ - .")
        if sum(len(zone.management) for zone in self.zones) > _MOST_ENDPOINTS:
            raise unfit_plan("management", f"There are at most {_MOST_ENDPOINTS} management ports.")
        _check_distinct("zone.name", [zone.name for zone in self.zones])
        _check_distinct("outside.name", [network.name for network in self.outside])
        self._check_interfaces()
        self._check_prefixes()
        self._check_families()

    @property
    def plant_interfaces(self) -> tuple[str, ...]:
        """The interfaces behind which zones lie, each once."""
        return tuple(sorted({zone.interface for zone in self.zones}))

    def guarded_in(self, zone: PlantZone) -> frozenset[int]:
        """The ports that only the broker may reach in this zone."""
        return self.guarded_ports | {endpoint.port for endpoint in zone.management}

    def _check_interfaces(self) -> None:
        broker, plant = {self.broker.interface}, {zone.interface for zone in self.zones}
        outside = [network.interface for network in self.outside]
        _check_distinct("outside.interface", outside)
        shared = (broker & plant) | (broker & set(outside)) | (plant & set(outside))
        if shared:
            raise unfit_plan(
                "interface",
                f"The interface {min(shared)} cannot lead to two sides: broker, plant and outside each need their own.",
            )

    def _check_prefixes(self) -> None:
        prefixes = [(prefix, zone.name) for zone in self.zones for prefix in zone.prefixes]
        for version in (4, 6):
            ordered = sorted(
                (int(prefix.network_address), int(prefix.broadcast_address), str(prefix), name)
                for prefix, name in prefixes
                if prefix.version == version
            )
            for one, other in itertools.pairwise(ordered):
                if other[0] <= one[1]:
                    raise unfit_plan("zone.prefixes", f"{one[2]} ({one[3]}) and {other[2]} ({other[3]}) overlap.")
        for address in self.broker.addresses:
            for prefix, name in prefixes:
                if _contains(prefix, address):
                    raise unfit_plan("broker.addresses", f"The broker's address {address} lies in the zone {name}.")

    def _check_families(self) -> None:
        spoken = {address.version for address in self.broker.addresses}
        for zone in self.zones:
            for endpoint in zone.management:
                if endpoint.address.version not in spoken:
                    raise unfit_plan(
                        "broker.addresses",
                        f"{endpoint.name} has an IPv{endpoint.address.version} address, but the broker has none.",
                    )


def check_address(field: str, address: Address) -> None:
    """Refuse addresses that are no single machine.

    Raises Invalid `boundary.unfit_plan`.
    """
    mapped = isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None)
    if mapped or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise unfit_plan(field, f"{address} is not the address of one machine.")


def _contains(prefix: Network, address: Address) -> bool:
    return prefix.version == address.version and address in prefix


def _check_interface(field: str, name: str) -> None:
    if _INTERFACE.fullmatch(name) is None or name == "lo":
        raise unfit_plan(field, f"{name!r} is no interface's name: 1 to 15 letters, digits and . _ - , and not lo.")


def _check_name(field: str, name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise unfit_plan(field, f"A name has 1 to {_LONGEST_NAME} printable characters.")


def _check_port(field: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise unfit_plan(field, "A port is between 1 and 65535.")


def _check_count(field: str, values: Sequence[object], most: int) -> None:
    if not 1 <= len(values) <= most:
        raise unfit_plan(field, f"There must be 1 to {most} of {field}.")


def _check_distinct(field: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise unfit_plan(field, f"{value} is used twice.")
        seen.add(value)
