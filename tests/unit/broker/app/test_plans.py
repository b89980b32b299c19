import dataclasses
import json
import os
import socket
from pathlib import Path

import pytest

from broker.app import plans
from broker.app.layout import Layout
from broker.app.settings import parse

_SETTINGS = parse(
    {
        "site": {"name": "demo"},
        "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
        "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
    }
)


def test_the_opener_is_told_only_what_the_settings_allow() -> None:
    configuration = plans.opener_configuration(_SETTINGS)
    assert configuration["doors"] == {"1": 443, "2": 22}
    assert configuration["uids"] == {"opener": 61184, "guard": 61185, "gateway": 61186, "control": 61187}
    json.dumps(configuration)


def test_an_address_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(plans.StartError, match=f"port {port}.*ss -lntup"):
            plans._bound_socket("127.0.0.1", port, socket.SOCK_STREAM)


def test_the_hosts_own_ports_are_open_to_the_management_prefixes_only() -> None:
    plant = dataclasses.replace(_SETTINGS.plant_face, host_ports=[22])
    configuration = plans.opener_configuration(dataclasses.replace(_SETTINGS, plant_face=plant))
    assert configuration["management"] == [
        {"interface": "mgmt0", "prefixes": ["10.30.0.0/24"], "tcp_ports": [8443, 22]}
    ]


def test_a_knock_port_lets_nothing_in_before_a_guard_judges() -> None:
    with plans._bound_socket("127.0.0.1", 0, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(192), sock.getsockname())
        with pytest.raises(TimeoutError):
            sock.recv(200)


def test_planning_binds_nothing() -> None:
    planned = plans.plans(_SETTINGS, Path("/etc/sallyport.toml"), Layout.of(_SETTINGS))
    assert [plan.name for plan in planned] == ["opener", "control", "gateway", "guard"]
    assert [plan.capabilities for plan in planned] == [("net_admin",), (), (), ()]


@pytest.mark.skipif(os.geteuid() != 0, reason="a socket file is given to its peer: root only")
def test_a_local_socket_belongs_to_its_peer_alone(tmp_path: Path) -> None:
    with plans._unix_listener(tmp_path / "x.sock", 61185) as sock:
        found = Path(sock.getsockname()).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (61185, 61185, 0o600)


def test_an_object_store_has_a_process_of_its_own_and_one_way_in_the_firewall() -> None:
    store = {
        "endpoint": "https://10.20.0.50:9000",
        "bucket": "recordings",
        "access_key_id": "AKEXAMPLE",
        "secret_file": "/etc/sallyport/object-store.secret",
    }
    settings = dataclasses.replace(_SETTINGS, object_store=dataclasses.replace(_SETTINGS.object_store, **store))
    assert plans.opener_configuration(settings)["archive"] == {"uid": 61188, "address": "10.20.0.50", "port": 9000}
    last = plans.plans(settings, Path("/etc/sallyport.toml"), Layout.of(settings))[-1]
    assert (last.name, last.uid, last.capabilities, [name for name, _ in last.sockets]) == (
        "archive",
        61188,
        (),
        ["archive"],
    )
    assert "archive" not in plans.opener_configuration(_SETTINGS)
