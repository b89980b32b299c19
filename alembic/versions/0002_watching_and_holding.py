"""Sessions that are watched, held, or not answered for by their gateway.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = broker.adapters.db.columns.UtcDateTime(timezone=True)
    for column in (
        sa.Column("must_be_watched", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("frozen_at", moment, nullable=True),
        sa.Column("frozen_reason", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True),
        sa.Column("freeze_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unanswered_at", moment, nullable=True),
    ):
        op.add_column("sessions", column)


def downgrade() -> None:
    for name in ("unanswered_at", "freeze_epoch", "frozen_reason", "frozen_at", "must_be_watched"):
        op.drop_column("sessions", name)
