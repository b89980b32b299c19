from dataclasses import replace
from pathlib import Path

from broker.app.layout import Layout
from broker.app.settings import EvidenceSection, parse

_SETTINGS = parse(
    {
        "site": {"name": "demo", "state_dir": "/srv/state", "run_dir": "/srv/run"},
        "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
        "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
    }
)


def test_everything_lies_under_the_two_folders_of_the_settings() -> None:
    layout = Layout.of(_SETTINGS)
    assert all(
        folder.path.is_relative_to("/srv/state") or folder.path == Path("/srv/run")
        for folder in layout.folders(_SETTINGS)
    )
    assert layout.socket("authority") == Path("/srv/run/authority.sock")


def test_private_folders_are_closed_to_everybody_else() -> None:
    layout = Layout.of(_SETTINGS)
    modes = {folder.path: folder.mode for folder in layout.folders(_SETTINGS)}
    assert {modes[path] for path in (layout.offline, layout.control, layout.gateway, layout.guard)} == {0o700}


def test_recordings_are_written_by_the_gateway_and_read_by_control() -> None:
    layout = Layout.of(_SETTINGS)
    (folder,) = [folder for folder in layout.folders(_SETTINGS) if folder.path == layout.recordings]
    assert (folder.uid, folder.gid) == (_SETTINGS.users.gateway, _SETTINGS.users.control)
    assert folder.mode == 0o2750


def test_the_database_is_sqlite_unless_another_is_named() -> None:
    layout = Layout.of(_SETTINGS)
    assert layout.database_url(_SETTINGS) == "sqlite:////srv/state/control/sallyport.db"


def test_the_witness_file_is_where_the_settings_say() -> None:
    layout = Layout.of(_SETTINGS)
    assert layout.witness_file(_SETTINGS) == Path("/srv/state/witness/checkpoints.jsonl")
    elsewhere = replace(_SETTINGS, evidence=EvidenceSection(witness_file="/mnt/worm/north.jsonl"))
    assert layout.witness_file(elsewhere) == Path("/mnt/worm/north.jsonl")
    (folder,) = [folder for folder in layout.folders(_SETTINGS) if folder.path == layout.witness]
    assert (folder.uid, folder.mode) == (_SETTINGS.users.control, 0o700)
