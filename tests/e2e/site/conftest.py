"""One site for the modules of this folder that live on SQLite; without root they say that they need it."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.site.street import StreetLab
from tests.e2e.site.world import ADA, BEN, World

AUTONOMY_SECONDS = 10


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with StreetLab() as lab:
        running = World(lab, {"limits": {"autonomy_seconds": AUTONOMY_SECONDS}})
        for username in (ADA, BEN):
            running.settle(username)
            running.grant(username)
        yield running
