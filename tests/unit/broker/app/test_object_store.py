import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from broker.adapters.db.database import Database
from broker.adapters.object_store.client import ArchiveClient
from broker.adapters.object_store.testing import ArchiveRig
from broker.app import keys, object_store
from broker.app.finding import State
from broker.app.layout import Layout
from broker.app.settings import ObjectStoreSection, Settings, parse
from broker.kernel.clock import SystemClock
from broker.sessions.authority import AuthorityServer
from broker.sessions.reports import GatewayReports


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    secret = tmp_path / "secret"
    secret.write_text("very-secret")
    secret.chmod(0o600)
    return parse(
        {
            "site": {"name": "demo", "state_dir": str(tmp_path / "state"), "run_dir": str(tmp_path)},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
            "users": {"archive": os.getuid() or 61188},
            "object_store": {
                "endpoint": "https://10.20.0.50:9000",
                "bucket": "recordings",
                "access_key_id": "AKEXAMPLE",
                "secret_file": str(secret),
            },
        }
    )


def test_a_site_without_a_store_has_no_way_to_one_and_the_doctor_is_silent(settings: Settings) -> None:
    bare = replace(settings, object_store=ObjectStoreSection())
    assert object_store.client_of(bare, Layout.of(bare)) is None
    assert object_store.examine(bare, Layout.of(bare)) == []
    nothing = object_store.copying_of(
        bare,
        cast("Database", None),
        SystemClock(),
        None,
        timedelta(days=180),
        cast("AuthorityServer", None),
        cast("GatewayReports", None),
    )
    assert nothing is None


def test_the_doctor_says_whether_the_bucket_answers_and_locks(settings: Settings) -> None:
    layout = Layout.of(settings)
    assert object_store.examine(settings, layout)[-1].state is State.FAILED
    rig = ArchiveRig(layout.socket("archive"))
    with rig.serving():
        found = object_store.examine(settings, layout)[-1]
        assert (found.state, "compliance, 180 days" in found.found) == (State.OK, True)
        rig.bucket.locks = False
        found = object_store.examine(settings, layout)[-1]
        assert (found.state, "Object Lock" in found.do) == (State.FAILED, True)
        rig.bucket.is_down = True
        assert "sallyport-archive" in object_store.examine(settings, layout)[-1].do


def test_the_secret_is_the_archives_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    missing = object_store.judge_secret(secret, os.getuid())
    assert missing is not None
    secret.write_text("very-secret")
    secret.chmod(0o640)
    for uid in (os.getuid(), os.getuid() + 1):
        found = object_store.judge_secret(secret, uid)
        assert found is not None
        assert (found.state, "chown" in found.do, "very-secret" in found.found) == (State.FAILED, True, False)
    secret.chmod(0o600)
    assert object_store.judge_secret(secret, os.getuid()) is None


def test_a_name_must_lead_to_the_address_that_the_firewall_lets_through() -> None:
    section = ObjectStoreSection(endpoint="https://store.plant.example", address="10.20.0.50")

    def fails(_name: str) -> set[str]:
        raise OSError("no name server")

    assert object_store.judge_name(section, lambda _: {"10.20.0.50"}) is None
    for resolved in (fails, lambda _: {"10.20.0.51"}, lambda _: {"10.20.0.50", "10.20.0.51"}):
        found = object_store.judge_name(section, resolved)
        assert found is not None
        assert "/etc/hosts: 10.20.0.50 store.plant.example" in found.do
    bare = ObjectStoreSection(endpoint="https://10.20.0.50")
    assert object_store.judge_name(bare, fails) is None


def test_control_s_way_is_the_archives_socket(settings: Settings) -> None:
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    layout = Layout.of(settings)
    assert isinstance(object_store.client_of(settings, layout), ArchiveClient)
    assert len(keys.receipts_public(layout)) == 32
