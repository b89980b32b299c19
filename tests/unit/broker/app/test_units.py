import re
from dataclasses import replace
from pathlib import Path

import pytest

from broker.app import units
from broker.app.settings import Settings, parse

_CONFIG = Path("/etc/sallyport/sallyport.toml")
_PROGRAMS = Path("/opt/sallyport/bin")


def _settings(**site: str) -> Settings:
    return parse(
        {
            "site": {"name": "demo", **site},
            "vendor_face": {"host": "2001:db8::10", "interface": "out0", "knock_ports": [62201, 62202]},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.20.0.0/24", "10.30.0.0/24"]},
            "users": {"opener": 70001, "guard": 70002, "gateway": 70003, "control": 70004},
        }
    )


def test_default_paths_leave_the_packaged_units_as_they_are() -> None:
    written = units.rendered(_settings(), _CONFIG, _PROGRAMS)
    for path in (units.packaged() / "system").iterdir():
        if path.name.startswith("sallyport-archive."):
            assert f"systemd/system/{path.name}" not in written
            continue
        assert written[f"systemd/system/{path.name}"] == path.read_text()


def test_each_socket_of_a_face_gets_the_sites_address_instead_of_the_documentations() -> None:
    written = units.rendered(_settings(), _CONFIG, _PROGRAMS)
    drop_ins = {name: text for name, text in written.items() if name.endswith("10-site.conf")}
    placeholders = [name for name, text in written.items() if "192.0.2.1" in text]
    assert sorted(f"{name}.d/10-site.conf" for name in placeholders) == sorted(drop_ins)
    knock = drop_ins["systemd/system/sallyport-knock.socket.d/10-site.conf"]
    assert knock == (
        "[Socket]\nListenDatagram=\nListenDatagram=[2001:db8::10]:62201\nListenDatagram=[2001:db8::10]:62202\n"
    )
    plant = drop_ins["systemd/system/sallyport-plant.socket.d/10-site.conf"]
    assert "ListenStream=\nListenStream=10.20.0.10:8443\n" in plant
    assert "IPAddressAllow=10.20.0.0/24 10.30.0.0/24" in plant


def test_a_site_with_an_object_store_has_the_archives_units_with_its_one_address() -> None:
    settings = _settings()
    store = replace(
        settings.object_store,
        endpoint="https://store.plant.example",
        address="10.20.0.50",
        bucket="recordings",
        access_key_id="AKEXAMPLE",
        secret_file="/etc/sallyport/object-store.secret",
    )
    written = units.rendered(replace(settings, object_store=store), _CONFIG, _PROGRAMS)
    assert "systemd/system/sallyport-archive.socket" in written
    service = written["systemd/system/sallyport-archive.service"]
    assert "IPAddressDeny=any" in service
    assert "IPAddressAllow" not in service
    drop_in = written["systemd/system/sallyport-archive.service.d/10-site.conf"]
    assert drop_in == "[Service]\nIPAddressAllow=10.20.0.50\n"


def test_paths_and_ids_of_the_site_stand_everywhere() -> None:
    settings = _settings(state_dir="/srv/gate", run_dir="/run/gate")
    written = units.rendered(settings, Path("/srv/gate.toml"), Path("/srv/env/bin"))
    everything = "\n".join(written.values())
    for default in ("/var/lib/sallyport", "/run/sallyport", "/opt/sallyport", "/etc/sallyport"):
        assert default not in everything
    assert "RuntimeDirectory=gate\n" in written["systemd/system/sallyport-rules.service"]
    assert "--config /srv/gate.toml" in written["systemd/system/sallyport-gateway.service"]
    assert re.findall(r"^u sallyport-(\w+) +(\d+)", written["sysusers.d/sallyport.conf"], re.MULTILINE) == [
        ("opener", "70001"),
        ("guard", "70002"),
        ("gateway", "70003"),
        ("control", "70004"),
        ("archive", "61188"),
    ]


@pytest.mark.parametrize("path", ["/srv/two words", "/srv/%h", '/srv/"x"', "/srv/a\nExecStart=/bin/sh"])
def test_a_path_that_a_unit_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(units.UnitsError, match="unit file"):
        units.rendered(_settings(state_dir=path), _CONFIG, _PROGRAMS)


def test_sockets_lie_below_run_where_systemd_makes_the_folder() -> None:
    with pytest.raises(units.UnitsError, match=r"site\.run_dir"):
        units.rendered(_settings(run_dir="/srv/run/gate"), _CONFIG, _PROGRAMS)


def test_control_may_write_where_the_witness_file_lies() -> None:
    document = {
        "site": {"name": "demo"},
        "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
        "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.20.0.0/24"]},
        "evidence": {"witness_file": "/srv/witness/checkpoints.jsonl"},
    }
    written = units.rendered(parse(document), _CONFIG, _PROGRAMS)
    drop_in = written["systemd/system/sallyport-control.service.d/10-site.conf"]
    assert drop_in == "[Service]\nReadWritePaths=/srv/witness\n"
