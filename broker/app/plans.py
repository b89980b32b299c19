"""What the processes are: command line, user id, capabilities, and the sockets that are bound for each.

Standard library only: root runs this, as supervisor or for one process alone.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from broker.app.layout import Layout
from broker.app.settings import Settings
from spa_knock.link.socket_filter import DROP_ALL, attach

_BACKLOG: Final = 256


class StartError(Exception):
    """The site cannot start: says what is in the way and what to do."""


@dataclass(frozen=True)
class Program:
    """One supervised process: what runs, as whom, with which sockets."""

    name: str
    uid: int
    argv: tuple[str, ...]
    sockets: tuple[tuple[str, socket.socket], ...]
    capabilities: tuple[str, ...] = ()


Binding = Callable[[], socket.socket]


@dataclass(frozen=True)
class Plan:
    """A program whose sockets are not bound yet."""

    name: str
    uid: int
    argv: tuple[str, ...]
    sockets: tuple[tuple[str, Binding], ...]
    capabilities: tuple[str, ...] = ()

    def bound(self) -> Program:
        """The program, with its sockets. Raises StartError when an address cannot be had."""
        sockets = tuple((name, bind()) for name, bind in self.sockets)
        return Program(self.name, self.uid, self.argv, sockets, self.capabilities)


def opener_configuration(settings: Settings) -> dict[str, object]:
    """What root allows the opener to do, as its configuration file holds it."""
    vendor, plant = settings.vendor_face, settings.plant_face
    return {
        "table": "sallyport",
        "vendor_interfaces": [vendor.interface],
        "doors": {"1": vendor.tls_port, "2": vendor.ssh_port},
        "knock_ports": list(vendor.knock_ports),
        "management": [
            {
                "interface": plant.interface,
                "prefixes": list(plant.networks),
                "tcp_ports": [plant.port, *plant.host_ports],
            }
        ],
        "uids": {
            "opener": settings.users.opener,
            "guard": settings.users.guard,
            "gateway": settings.users.gateway,
            "control": settings.users.control,
        },
        "max_open_seconds": 30,
        **_object_store(settings),
    }


def _object_store(settings: Settings) -> dict[str, object]:
    if not settings.object_store.is_used:
        return {}
    address, port = settings.object_store.target
    return {"archive": {"uid": settings.users.archive, "address": address, "port": port}}


def programs(settings: Settings, config_path: Path, layout: Layout) -> tuple[Program, ...]:
    """Bind every socket and say which process gets which, in the order of starting."""
    return tuple(plan.bound() for plan in plans(settings, config_path, layout))


def plans(settings: Settings, config_path: Path, layout: Layout) -> tuple[Plan, ...]:
    """What runs as whom on which sockets, in the order of starting."""
    users, vendor, plant = settings.users, settings.vendor_face, settings.plant_face
    listen = vendor.listen or vendor.host

    def local(name: str, peer_uid: int) -> Binding:
        return partial(_unix_listener, layout.socket(name), peer_uid)

    def tcp(host: str, port: int) -> Binding:
        return partial(_bound_socket, host, port, socket.SOCK_STREAM)

    knocks = tuple(("knock", partial(_bound_socket, listen, port, socket.SOCK_DGRAM)) for port in vendor.knock_ports)
    opener_config = layout.run / "opener.json"
    python = sys.executable
    return (
        Plan(
            "opener",
            users.opener,
            (python, "-m", "spa_knock.opener", "serve", "--config", str(opener_config)),
            (
                ("guard", local("opener-guard", users.guard)),
                ("control", local("opener-control", users.control)),
                ("gateway", local("opener-gateway", users.gateway)),
            ),
            capabilities=("net_admin",),
        ),
        Plan(
            "control",
            users.control,
            (python, "-m", "broker.app.control_main", "--config", str(config_path)),
            (
                ("plant", tcp(plant.host, plant.port)),
                ("vendor", local("vendor", users.gateway)),
                ("authority", local("authority", users.gateway)),
                ("knock_link", local("knock-link", users.guard)),
                ("knock_status", local("knock-status", 0)),
            ),
        ),
        Plan(
            "gateway",
            users.gateway,
            (python, "-m", "broker.app.gateway_main", "--config", str(config_path)),
            (
                ("tls", tcp(listen, vendor.tls_port)),
                ("ssh", tcp(listen, vendor.ssh_port)),
                ("knocks", local("knocks", users.guard)),
                ("cut", local("cut", 0)),
            ),
        ),
        Plan(
            "guard",
            users.guard,
            (
                python,
                "-m",
                "spa_knock.guard",
                "--state-dir",
                str(layout.guard),
                "--opener-socket",
                str(layout.socket("opener-guard")),
                "--control-socket",
                str(layout.socket("knock-link")),
                "--gateway-socket",
                str(layout.socket("knocks")),
                "--doors",
                "1,2",
            ),
            knocks,
        ),
        *_archive(settings, config_path, local("archive", users.control)),
    )


def _archive(settings: Settings, config_path: Path, socket_for_control: Binding) -> tuple[Plan, ...]:
    if not settings.object_store.is_used:
        return ()
    argv = (sys.executable, "-m", "broker.app.archive_main", "--config", str(config_path))
    return (Plan("archive", settings.users.archive, argv, (("archive", socket_for_control),)),)


def _bound_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, kind)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        # Before it has an address: nothing waits in it for a guard that has no roster yet.
        attach(sock, DROP_ALL)
    try:
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(
            f"cannot listen on {host} port {port}: {error.strerror}. Is another Sallyport running, or is the address "
            "not on this machine? See 'ss -lntup'."
        ) from None
    return sock


def _unix_listener(path: Path, peer_uid: int) -> socket.socket:
    """A Unix listener that only one user id may connect to."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    os.chown(path, peer_uid, peer_uid)
    sock.listen(_BACKLOG)
    return sock
