"""Debian's PostgreSQL for tests: one server for a run, a database for a test, and each kind of store in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.postgres import Postgres, running

STORES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole run."""
    with running() as server:
        yield server


@pytest.fixture(params=STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once for each kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sallyport.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
