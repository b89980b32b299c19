"""The schema for a test's database: making every table takes longer than most tests, so SQLite's is made once."""

from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, create_engine
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from broker.adapters.db.database import Database


def with_schema(database: Database, url: str) -> None:
    """Give this empty database every table that is known."""
    address = make_url(url)
    if address.drivername == "sqlite" and address.database:
        Path(address.database).write_bytes(_blank(known_tables()))
        share_compiled(database)
    else:
        SQLModel.metadata.create_all(database.engine)


def known_tables() -> frozenset[str]:
    """The names of the tables of every module that was imported."""
    return frozenset(SQLModel.metadata.tables)


@cache
def _blank(_tables: frozenset[str]) -> bytes:
    """An SQLite file with these tables, which are all that are known, and no rows."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        content: bytes = driver.serialize()
    engine.dispose()
    return content


_shared: list[tuple[Dialect, dict[Any, Any]]] = []


def share_compiled(database: Database) -> None:
    """Let this SQLite database use what others have compiled: each engine would compile every statement anew."""
    engine = database.engine
    if not _shared:
        with engine.connect():
            _shared.append((engine.dialect, {}))
    engine.dialect, compiled = _shared[0]
    engine.update_execution_options(compiled_cache=compiled)
