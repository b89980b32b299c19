"""A whole control plane in a temporary folder, without processes around it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import keys, migrations, wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, parse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    site = {"name": "demo", "state_dir": str(tmp_path / "state"), "run_dir": str(tmp_path / "run")}
    return parse(
        {
            "site": site,
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    migrations.upgrade(Layout.of(settings).database_url(settings))
    with wiring.opened(settings) as opened:
        yield opened
