"""Pure: a protocol's description, enough for a form and for finding its engine without loading it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One setting of a target for this protocol, enough for a form: name, kind, default and help."""

    name: str
    kind: str
    default: str | int | bool
    help: str


@dataclass(frozen=True, slots=True)
class ProtocolSpec:
    """One protocol: how it is called, the door and port it enters and leaves by, and where its listener is found.

    `listener` is `package.module:Class`; it is imported by the gateway alone, so that control can read a description
    without loading a protocol engine. `key_reader` is the same for a function that reads a target's key, which makes
    a connection test possible; empty for none (`broker.gateway.probing.KeyReader`).
    """

    name: str
    title: str
    door: int
    default_port: int
    channels: tuple[str, ...]
    listener: str
    options: tuple[OptionSpec, ...] = ()
    key_reader: str = ""
