"""A target that is no longer there is retired, and stays as it was.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

import broker.adapters.db.columns
from broker.adapters.db.guards import Guard

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_GUARD = Guard(
    name="targets_stay_retired",
    table="targets",
    before="UPDATE",
    refuses_when="OLD.retired_at IS NOT NULL",
    words="a retired target stays as it was",
)


def upgrade() -> None:
    op.add_column(
        "targets", sa.Column("retired_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True)
    )
    for statement in _GUARD.creation(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    for statement in _GUARD.removal(op.get_bind().dialect.name):
        op.execute(statement)
    op.drop_column("targets", "retired_at")
