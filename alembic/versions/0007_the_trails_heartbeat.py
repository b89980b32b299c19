"""A row that is written again and again, to see whether the trail can be written.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

import broker.adapters.db.columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_heartbeat",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("room", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("audit_heartbeat")
