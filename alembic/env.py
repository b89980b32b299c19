"""Alembic's entry: runs the history against the address it is given, on SQLite and PostgreSQL."""

from alembic import context
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from broker.app import tables

assert tables.ALL  # noqa: S101 - every domain's tables are registered by this import


def _run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("give the database's address: python -m alembic -x … or through sallyport")
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            render_as_batch=True,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


_run()
