"""Devices that renew themselves, their policy for knocks, and site keys after the first.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = broker.adapters.db.columns.UtcDateTime(timezone=True)
    for column in (
        sa.Column("next_certificate", sa.LargeBinary(), nullable=True),
        sa.Column("next_certificate_not_after", moment, nullable=True),
        sa.Column("next_knock_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("loose_clock", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("devices", column)
    op.create_table(
        "site_keys",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_keys")),
    )
    op.create_index(op.f("ix_site_keys_made_at"), "site_keys", ["made_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_site_keys_made_at"), table_name="site_keys")
    op.drop_table("site_keys")
    for name in ("loose_clock", "next_knock_key_sealed", "next_certificate_not_after", "next_certificate"):
        op.drop_column("devices", name)
