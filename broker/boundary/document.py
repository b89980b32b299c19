"""`boundary.toml` as a plan, or as the settings that the registry's targets complete. Unknown keys are errors."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from broker.boundary.errors import unfit_plan
from broker.boundary.model import (
    SEED_PORTS,
    Address,
    BrokerLeg,
    Endpoint,
    Network,
    OtherTraffic,
    OutsideNetwork,
    PlantZone,
    Transport,
    ZonePlan,
)
from broker.boundary.settings import BoundarySettings

ValueT = TypeVar("ValueT")


def plan_from_document(document: Mapping[str, Any]) -> ZonePlan:
    """A whole plan, targets included (`[[zone.management]]`).

    Raises Invalid `boundary.unfit_plan` that names the key.
    """
    settings = _settings(document, with_management=True)
    return settings.plan(())


def settings_from_document(document: Mapping[str, Any]) -> BoundarySettings:
    """The same without targets: they come from the registry, so `[[zone.management]]` is an unknown key here.

    Raises Invalid `boundary.unfit_plan` that names the key.
    """
    return _settings(document, with_management=False)


def _settings(document: Mapping[str, Any], *, with_management: bool) -> BoundarySettings:
    top = _Section("", document, ("broker", "zone", "outside", "guarded_ports", "other_traffic", "log_prefix"))
    broker = _Section("broker.", top.required("broker", dict), ("interface", "addresses"))
    return BoundarySettings(
        broker=BrokerLeg(
            broker.required("interface", str),
            tuple(broker.read_list("addresses", str, _address)),
        ),
        zones=tuple(_zone(table, with_management=with_management) for table in top.tables("zone")),
        outside=tuple(_outside(table) for table in top.tables("outside")),
        guarded_ports=frozenset(top.read_list("guarded_ports", int, lambda port, _key: port, SEED_PORTS)),
        other_traffic=_choice(
            OtherTraffic, "other_traffic", top.optional("other_traffic", str, OtherTraffic.KEEP.value)
        ),
        log_prefix=top.optional("log_prefix", str, "sallyport"),
    )


def _zone(table: Mapping[str, Any], *, with_management: bool) -> PlantZone:
    keys = ("name", "interface", "prefixes", *(["management"] if with_management else []))
    zone = _Section("zone.", table, keys)
    return PlantZone(
        name=zone.required("name", str),
        interface=zone.required("interface", str),
        prefixes=tuple(zone.read_list("prefixes", str, _network)),
        management=tuple(_endpoint(entry) for entry in zone.tables("management")) if with_management else (),
    )


def _endpoint(table: Mapping[str, Any]) -> Endpoint:
    entry = _Section("zone.management.", table, ("name", "address", "port", "protocol"))
    return Endpoint(
        name=entry.required("name", str),
        address=_address(entry.required("address", str), "zone.management.address"),
        port=entry.required("port", int),
        transport=_choice(Transport, "zone.management.protocol", entry.optional("protocol", str, "tcp")),
    )


def _outside(table: Mapping[str, Any]) -> OutsideNetwork:
    outside = _Section("outside.", table, ("name", "interface"))
    return OutsideNetwork(outside.required("name", str), outside.required("interface", str))


class _Section:
    """One table of the document, whose keys are all known."""

    def __init__(self, prefix: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise unfit_plan(
                f"{prefix}{unknown[0]}", f"There is no key {prefix}{unknown[0]}; known are {', '.join(known)}."
            )
        self._prefix = prefix
        self._values = values

    def required(self, key: str, kind: type[ValueT]) -> ValueT:
        """The value of a key that must be there."""
        if key not in self._values:
            raise unfit_plan(f"{self._prefix}{key}", f"{self._prefix}{key} is missing.")
        return self._checked(key, self._values[key], kind)

    def optional(self, key: str, kind: type[ValueT], default: ValueT) -> ValueT:
        """The value of a key that may be left out."""
        return self._checked(key, self._values[key], kind) if key in self._values else default

    def read_list(
        self,
        key: str,
        kind: type[Any],
        read: Callable[[Any, str], ValueT],
        default: Sequence[ValueT] | None = None,
    ) -> Sequence[ValueT]:
        """A list, each entry read; without a default it must be there."""
        if key not in self._values and default is not None:
            return default
        listed = self.required(key, list)
        return [read(self._checked(key, entry, kind), f"{self._prefix}{key}") for entry in listed]

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        """An array of tables; absent means none."""
        return [self._checked(key, entry, dict) for entry in self.optional(key, list, [])]

    def _checked(self, key: str, value: object, kind: type[ValueT]) -> ValueT:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise unfit_plan(f"{self._prefix}{key}", f"{self._prefix}{key} must be of type {kind.__name__}.")
        return value


def _address(text: str, key: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise unfit_plan(key, f"{text!r} is no IP address.") from None


def _network(text: str, key: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise unfit_plan(key, f"{text!r} is no prefix such as 10.20.0.0/16 (without host bits).") from None


def _choice(kind: Any, key: str, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise unfit_plan(key, f"{key} is one of {', '.join(member.value for member in kind)}.") from None
