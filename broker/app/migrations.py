"""Brings the database to this release's schema, and refuses one that a newer release has written."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine


class SchemaTooNew(Exception):
    """The database was written by a newer release: install that release, or restore a backup of this one's."""


def scripts() -> Path:
    """Where the history is: inside the package when installed, `alembic/` in a checkout."""
    installed = Path(__file__).parents[1] / "adapters" / "db_migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "alembic"


def configuration(url: str) -> Config:
    """Alembic's configuration for this database."""
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def current_revision(url: str) -> str | None:
    """The revision that the database is at; None when it is empty."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def known_revisions() -> list[str]:
    """Every revision of this release, the newest first."""
    found = ScriptDirectory.from_config(configuration("sqlite://")).walk_revisions()
    return [script.revision for script in found]


def upgrade(url: str) -> None:
    """Run every missing revision.

    Raises SchemaTooNew when the database is at a revision that this release does not know.
    """
    revision = current_revision(url)
    if revision is not None and revision not in known_revisions():
        raise SchemaTooNew(f"the database is at revision {revision}, which this release does not know")
    command.upgrade(configuration(url), "head")
