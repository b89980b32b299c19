"""What the site says of its boundary firewall; the targets come from the registry."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from broker.boundary.errors import zone_not_described
from broker.boundary.model import (
    SEED_PORTS,
    Address,
    BrokerLeg,
    Endpoint,
    OtherTraffic,
    OutsideNetwork,
    PlantZone,
    Transport,
    ZonePlan,
)
from broker.targets.model import Protocol, Target

_TRANSPORTS: Final = dict.fromkeys(Protocol, Transport.TCP)


@dataclass(frozen=True, kw_only=True)
class BoundarySettings:
    """The broker's leg, where the zones are by their registered names, and the other networks."""

    broker: BrokerLeg
    zones: tuple[PlantZone, ...]
    outside: tuple[OutsideNetwork, ...] = ()
    guarded_ports: frozenset[int] = frozenset(SEED_PORTS)
    other_traffic: OtherTraffic = OtherTraffic.KEEP
    log_prefix: str = "sallyport"

    def plan(self, targets: Iterable[Target]) -> ZonePlan:
        """The plan with these targets in their zones. Targets with the same address and port are one endpoint.

        Raises Conflict `boundary.zone_not_described` and Invalid `boundary.unfit_plan`.
        """
        described = {zone.name for zone in self.zones}
        named: dict[tuple[str, Address, Transport, int], list[str]] = {}
        for target in targets:
            if target.zone_name not in described:
                raise zone_not_described(target.zone_name)
            key = (target.zone_name, ipaddress.ip_address(target.address), _TRANSPORTS[target.protocol], target.port)
            named.setdefault(key, []).append(target.name)
        zones = tuple(
            replace(
                zone,
                management=(
                    *zone.management,
                    *(
                        Endpoint(_joined(names), address, port, transport)
                        for (zone_name, address, transport, port), names in named.items()
                        if zone_name == zone.name
                    ),
                ),
            )
            for zone in self.zones
        )
        return ZonePlan(
            broker=self.broker,
            zones=zones,
            outside=self.outside,
            guarded_ports=self.guarded_ports,
            other_traffic=self.other_traffic,
            log_prefix=self.log_prefix,
        )


def _joined(names: list[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more" if others else first
