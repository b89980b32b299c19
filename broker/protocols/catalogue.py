"""Finds the protocols of this installation: every `broker.protocols.<name>.spec` with its `SPEC`."""

from importlib import import_module
from pkgutil import iter_modules

import broker.protocols
from broker.gateway.spec import ProtocolSpec


class BadProtocol(Exception):
    """A protocol's folder has no usable `SPEC`, or two protocols share a name or a door: the start stops."""


def find_protocols() -> tuple[ProtocolSpec, ...]:
    """All protocols, by door. Raises BadProtocol."""
    found: list[ProtocolSpec] = []
    for module in iter_modules(broker.protocols.__path__):
        if not module.ispkg:
            continue
        name = f"broker.protocols.{module.name}.spec"
        spec = getattr(import_module(name), "SPEC", None)
        if not isinstance(spec, ProtocolSpec):
            raise BadProtocol(f"{name} has no SPEC")
        found.append(spec)
    if len({spec.name for spec in found}) != len(found) or len({spec.door for spec in found}) != len(found):
        raise BadProtocol("two protocols share a name or a door")
    return tuple(sorted(found, key=lambda spec: spec.door))
