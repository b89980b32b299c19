"""What a session's device said of it when it was over; never rewritten, never taken away.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns
from broker.adapters.db.guards import Guard

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_text = sqlmodel.sql.sqltypes.AutoString
_moment = broker.adapters.db.columns.UtcDateTime(timezone=True)
_STATES = ("received", "refused", "missing")
_GUARDS = (
    Guard(
        name="receipts_are_never_rewritten",
        table="session_receipts",
        before="UPDATE",
        refuses_when=(
            "OLD.line IS NOT NULL OR NEW.line IS NULL OR NEW.session_id <> OLD.session_id "
            "OR NEW.device_id <> OLD.device_id"
        ),
        words="a receipt stays what the device signed",
    ),
    Guard(
        name="receipts_stay",
        table="session_receipts",
        before="DELETE",
        refuses_when="1 = 1",
        words="a receipt stays, and so does its absence",
    ),
)


def upgrade() -> None:
    op.create_table(
        "session_receipts",
        sa.Column("session_id", _text(length=40), nullable=False),
        sa.Column("device_id", _text(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*_STATES, name="receiptstate", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("line", sa.LargeBinary(), nullable=True),
        sa.Column("refusal", _text(length=40), nullable=True),
        sa.Column("at", _moment, nullable=False),
        sa.CheckConstraint("(state = 'missing') = (line IS NULL)", name="only_what_is_missing_has_no_line"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"]),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_index("ix_session_receipts_state", "session_receipts", ["state"], unique=False)
    for guard in _GUARDS:
        for statement in guard.creation(op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for guard in _GUARDS:
        for statement in guard.removal(op.get_bind().dialect.name):
            op.execute(statement)
    op.drop_index("ix_session_receipts_state", table_name="session_receipts")
    op.drop_table("session_receipts")
