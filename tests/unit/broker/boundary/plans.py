"""Any plan, for property tests."""

import ipaddress
from typing import Any

from hypothesis import strategies as st

from broker.boundary.model import (
    BrokerLeg,
    Endpoint,
    OtherTraffic,
    OutsideNetwork,
    PlantZone,
    Transport,
    ZonePlan,
)

_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
_PORTS = st.integers(1, 65535)


@st.composite
def plans(draw: st.DrawFn) -> ZonePlan:
    """Up to four zones on up to three interfaces, each with IPv4 and perhaps IPv6 prefixes and some targets."""
    zones = []
    for number in range(draw(st.integers(1, 4))):
        prefixes: list[Any] = [ipaddress.ip_network(f"10.{number + 10}.0.0/{draw(st.integers(16, 28))}")]
        if draw(st.booleans()):
            prefixes.append(ipaddress.ip_network(f"fd00:{number + 16:x}::/{draw(st.sampled_from([64, 80, 112]))}"))
        keys = draw(
            st.lists(
                st.tuples(st.integers(0, len(prefixes) - 1), st.integers(1, 14), st.sampled_from(Transport), _PORTS),
                max_size=5,
                unique=True,
            )
        )
        zones.append(
            PlantZone(
                name=f"{number} {draw(_NAMES)}",
                interface=f"plant{draw(st.integers(0, 2))}",
                prefixes=tuple(prefixes),
                management=tuple(
                    Endpoint(draw(_NAMES), prefixes[which].network_address + offset, port, transport)
                    for which, offset, transport, port in keys
                ),
            )
        )
    return ZonePlan(
        broker=BrokerLeg("dmz0", (ipaddress.ip_address("10.1.0.2"), ipaddress.ip_address("fd00:1::2"))),
        zones=tuple(zones),
        outside=tuple(
            OutsideNetwork(f"net {name}", name) for name in draw(st.sets(st.sampled_from(["off0", "ven0", "wan0.7"])))
        ),
        guarded_ports=draw(st.frozensets(_PORTS, max_size=40)),
        other_traffic=draw(st.sampled_from(OtherTraffic)),
        log_prefix=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}", fullmatch=True)),
    )
