"""A fresh plant for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.broker.sessions.plant import Plant, a_plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = a_plant(tmp_path)
    yield made
    made.world.database.close()
