"""A vendor's sign-in belongs to the address it was made from.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sign_ins", sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=True))


def downgrade() -> None:
    op.drop_column("sign_ins", "source")
