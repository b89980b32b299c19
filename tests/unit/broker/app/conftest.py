"""A whole control plane in a temporary folder, without processes around it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import keys, migrations, wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, parse
from tests.unit.broker.app.evidence import Evidence, evidence
from tests.unit.broker.schema import share_compiled
from tests.unit.broker.sessions.plant import a_plant


def _settings(folder: Path) -> Settings:
    site = {"name": "demo", "state_dir": str(folder / "state"), "run_dir": str(folder / "run")}
    return parse(
        {
            "site": site,
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return _settings(tmp_path)


@pytest.fixture(scope="session")
def first_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a site that was just made. Every migration takes its time, so it is made once and copied."""
    settings = _settings(tmp_path_factory.mktemp("first-site"))
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    migrations.upgrade(Layout.of(settings).database_url(settings))
    return Path(settings.site.state_dir)


@pytest.fixture
def new_site(settings: Settings, first_site: Path) -> Settings:
    """A site that was just made: its keys and its empty database."""
    shutil.copytree(first_site, settings.site.state_dir)
    Path(settings.site.run_dir).mkdir()
    return settings


@pytest.fixture
def house(new_site: Settings) -> Iterator[House]:
    with wiring.opened(new_site) as opened:
        share_compiled(opened.database)
        yield opened


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Evidence]:
    """A site with evidence to verify."""
    plant = a_plant(tmp_path)
    yield evidence(plant)
    plant.world.database.close()
