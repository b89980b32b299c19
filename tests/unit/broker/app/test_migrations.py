from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from broker.app import migrations


def test_the_history_leads_to_exactly_the_tables_of_this_release(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    migrations.upgrade(url)
    command.check(migrations.configuration(url))


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    migrations.upgrade(url)
    revision = migrations.current_revision(url)
    migrations.upgrade(url)
    assert migrations.current_revision(url) == revision is not None


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    migrations.upgrade(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(migrations.SchemaTooNew, match="9999"):
        migrations.upgrade(url)
