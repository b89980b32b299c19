"""What a session shows of its recording's health.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString(length=20)
    op.add_column("sessions", sa.Column("recording_health", text, server_default="good", nullable=False))


def downgrade() -> None:
    op.drop_column("sessions", "recording_health")
