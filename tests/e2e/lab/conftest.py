"""One laboratory for all tests of this folder; they need root, and say so by being skipped without it."""

import os
from collections.abc import Iterator

import pytest

from deploy.demo.lab import Lab
from deploy.demo.target import Target, start_target


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with Lab() as running:
        yield running


@pytest.fixture(scope="package")
def target(lab: Lab) -> Target:
    return start_target(lab)
