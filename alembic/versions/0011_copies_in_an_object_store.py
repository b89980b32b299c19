"""The copies of recordings in a store of objects.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns
from broker.adapters.db.guards import Guard

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_text = sqlmodel.sql.sqltypes.AutoString
_moment = broker.adapters.db.columns.UtcDateTime(timezone=True)
_STATES = ("growing", "stored", "verified", "released")
_GUARDS = (
    Guard(
        name="copies_are_verified_before_release",
        table="recording_copies",
        before="UPDATE OF state",
        refuses_when=(
            "NEW.state IN ('verified', 'released') AND "
            "(NEW.receipt IS NULL OR NEW.version IS NULL OR NEW.size IS NULL OR NEW.verified_at IS NULL)"
        ),
        words="a file is let go only after its copy was verified",
    ),
    Guard(
        name="copies_keep_what_was_verified",
        table="recording_copies",
        before="UPDATE OF version, size, receipt",
        refuses_when=(
            "OLD.receipt IS NOT NULL AND (NEW.receipt IS NULL OR NEW.receipt <> OLD.receipt "
            "OR NEW.version IS NULL OR NEW.version <> OLD.version OR NEW.size IS NULL OR NEW.size <> OLD.size)"
        ),
        words="a verified copy stays the one that was verified",
    ),
    Guard(
        name="copies_stay_in_the_index",
        table="recording_copies",
        before="DELETE",
        refuses_when="1 = 1",
        words="a copy stays in the index also when its object was lawfully destroyed",
    ),
)


def upgrade() -> None:
    op.create_table(
        "recording_copies",
        sa.Column("recording_id", _text(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*_STATES, name="copystate", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("uploaded_bytes", sa.BigInteger(), nullable=False),
        sa.Column("version", _text(length=200), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("problem", _text(length=40), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("try_at", _moment, nullable=True),
        sa.Column("locked_until", _moment, nullable=True),
        sa.Column("verified_at", _moment, nullable=True),
        sa.Column("released_at", _moment, nullable=True),
        sa.Column("removed_at", _moment, nullable=True),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"]),
        sa.PrimaryKeyConstraint("recording_id"),
    )
    for column in ("state", "removed_at"):
        op.create_index(f"ix_recording_copies_{column}", "recording_copies", [column], unique=False)
    for guard in _GUARDS:
        for statement in guard.creation(op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for guard in _GUARDS:
        for statement in guard.removal(op.get_bind().dialect.name):
            op.execute(statement)
    for column in ("state", "removed_at"):
        op.drop_index(f"ix_recording_copies_{column}", table_name="recording_copies")
    op.drop_table("recording_copies")
