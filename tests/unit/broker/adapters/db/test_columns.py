from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select
from sqlalchemy.exc import IntegrityError, StatementError

from broker.adapters.db.columns import UtcDateTime, enum_column


class Colour(Enum):
    RED = "red"


def _table(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    table = Table("things", MetaData(), Column("at", UtcDateTime), Column("colour", enum_column(Colour)))
    table.metadata.create_all(engine)
    return engine, table


def test_a_moment_comes_back_aware_and_in_utc(tmp_path: Path) -> None:
    engine, table = _table(tmp_path)
    beijing = datetime(2026, 11, 20, 17, tzinfo=timezone(timedelta(hours=8)))
    with engine.begin() as connection:
        connection.execute(insert(table).values(at=beijing, colour=Colour.RED))
        (at,) = connection.execute(select(table.c.at)).one()
    assert at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert at.tzinfo is UTC
    engine.dispose()


def test_a_naive_moment_is_refused(tmp_path: Path) -> None:
    engine, table = _table(tmp_path)
    with engine.connect() as connection, pytest.raises(StatementError, match="without time zone"):
        connection.execute(insert(table).values(at=datetime(2026, 11, 20)))  # noqa: DTZ001 - the point of the test
    engine.dispose()


def test_the_database_itself_refuses_a_value_outside_the_set(tmp_path: Path) -> None:
    engine, _ = _table(tmp_path)
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql("INSERT INTO things (colour) VALUES ('green')")
    engine.dispose()
