"""Gateways sign what they tell: each start's key, how far its sequence was taken, and its place among the starts.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("gateway_streams") as table:
        table.add_column(sa.Column("public", sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column("link", sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column("number", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("gateway_streams") as table:
        table.drop_column("number")
        table.drop_column("link")
        table.drop_column("public")
