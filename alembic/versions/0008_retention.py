"""Legal holds, purges and tombstones; a recording stays in the index and keeps its times.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns
from broker.adapters.db.guards import Guard

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_text = sqlmodel.sql.sqltypes.AutoString
_moment = broker.adapters.db.columns.UtcDateTime(timezone=True)
_STATES = ("asked", "confirmed", "declined", "withdrawn", "lapsed")
_GUARDS = (
    Guard(
        name="recordings_keep_their_times",
        table="recordings",
        before="UPDATE OF opened_at, closed_at",
        refuses_when=(
            "NEW.opened_at <> OLD.opened_at OR (OLD.closed_at IS NOT NULL AND (NEW.closed_at IS NULL "
            "OR NEW.closed_at <> OLD.closed_at))"
        ),
        words="a recording keeps the moments of its beginning and end: they say how long it is kept",
    ),
    Guard(
        name="recordings_stay_in_the_index",
        table="recordings",
        before="DELETE",
        refuses_when="1 = 1",
        words="a recording stays in the index also when its file was lawfully destroyed",
    ),
    Guard(
        name="holds_are_placed_by_auditors",
        table="recording_holds",
        before="INSERT",
        refuses_when=("NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.placed_by AND people.role = 'auditor')"),
        words="only an auditor places a hold",
    ),
    Guard(
        name="holds_are_of_what_is_there",
        table="recording_holds",
        before="INSERT",
        refuses_when=(
            "NEW.lifted_by IS NULL AND EXISTS (SELECT 1 FROM recording_tombstones WHERE "
            "recording_tombstones.recording_id = NEW.recording_id)"
        ),
        words="a destroyed recording is not held any more",
    ),
    Guard(
        name="holds_are_lifted_by_security",
        table="recording_holds",
        before="UPDATE OF lifted_by, lifted_at",
        refuses_when=(
            "OLD.lifted_by IS NOT NULL OR NOT EXISTS (SELECT 1 FROM people WHERE people.id = "
            "NEW.lifted_by AND people.role = 'security_administrator')"
        ),
        words="only a security administrator lifts a hold, and once",
    ),
    Guard(
        name="holds_keep_what_they_say",
        table="recording_holds",
        before="UPDATE OF recording_id, reason, placed_by, placed_at",
        refuses_when="1 = 1",
        words="a hold is lifted, never rewritten",
    ),
    Guard(
        name="holds_stay",
        table="recording_holds",
        before="DELETE",
        refuses_when="1 = 1",
        words="a hold is lifted, never taken away",
    ),
    Guard(
        name="purges_are_asked_by_system_admins",
        table="recording_purges",
        before="INSERT",
        refuses_when=(
            "NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.asked_by AND people.role = 'system_administrator')"
        ),
        words="only a system administrator asks for a purge",
    ),
    Guard(
        name="purges_are_decided_once",
        table="recording_purges",
        before="UPDATE OF state",
        refuses_when="OLD.state <> 'asked' AND NEW.state <> OLD.state",
        words="a purge is decided once",
    ),
    Guard(
        name="purges_are_confirmed_by_auditors",
        table="recording_purges",
        before="UPDATE OF state",
        refuses_when=(
            "NEW.state = 'confirmed' AND OLD.state <> 'confirmed' AND (NEW.decided_at >= "
            "OLD.expires_at OR NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.decided_by AND "
            "people.role = 'auditor'))"
        ),
        words="only an auditor confirms a purge, before it lapses",
    ),
    Guard(
        name="purges_keep_their_asker",
        table="recording_purges",
        before="UPDATE OF asked_by, expires_at, list_sha256",
        refuses_when=(
            "NEW.asked_by <> OLD.asked_by OR NEW.expires_at <> OLD.expires_at OR NEW.list_sha256 <> OLD.list_sha256"
        ),
        words="what was asked for stays what it was",
    ),
    Guard(
        name="tombstones_need_a_confirmed_purge",
        table="recording_tombstones",
        before="INSERT",
        refuses_when=(
            "NOT EXISTS (SELECT 1 FROM recording_purges AS purge JOIN recording_purge_items AS item "
            "ON item.purge_id = purge.id WHERE purge.id = NEW.purge_id AND purge.state = 'confirmed' "
            "AND item.recording_id = NEW.recording_id)"
        ),
        words="a recording is destroyed by a confirmed purge that names it",
    ),
    Guard(
        name="tombstones_need_the_time_to_be_over",
        table="recording_tombstones",
        before="INSERT",
        refuses_when=(
            "EXISTS (SELECT 1 FROM recordings WHERE recordings.id = NEW.recording_id AND (closed_at "
            "IS NULL OR NEW.purged_at < strftime('%Y-%m-%d %H:%M:%f', closed_at, '+180 days') OR "
            "NEW.purged_at < strftime('%Y-%m-%d %H:%M:%f', opened_at, '+180 days')))"
        ),
        words="a recording is kept for 180 days after its end",
        on_postgresql=(
            "EXISTS (SELECT 1 FROM recordings WHERE recordings.id = NEW.recording_id AND (closed_at "
            "IS NULL OR NEW.purged_at < closed_at + interval '180 days' OR NEW.purged_at < opened_at "
            "+ interval '180 days'))"
        ),
    ),
    Guard(
        name="tombstones_respect_holds",
        table="recording_tombstones",
        before="INSERT",
        refuses_when=(
            "EXISTS (SELECT 1 FROM recording_holds WHERE recording_holds.recording_id = "
            "NEW.recording_id AND recording_holds.lifted_by IS NULL)"
        ),
        words="a recording on hold is not destroyed",
    ),
    Guard(
        name="tombstones_keep_what_they_say",
        table="recording_tombstones",
        before="UPDATE OF recording_id, purge_id, line, purged_at",
        refuses_when="1 = 1",
        words="a tombstone is never rewritten",
    ),
    Guard(
        name="tombstones_stay",
        table="recording_tombstones",
        before="DELETE",
        refuses_when="1 = 1",
        words="a tombstone stays",
    ),
)


def upgrade() -> None:
    op.create_table(
        "recording_holds",
        sa.Column("id", _text(length=40), nullable=False),
        sa.Column("recording_id", _text(length=40), nullable=False),
        sa.Column("reason", _text(length=500), nullable=False),
        sa.Column("placed_by", _text(length=40), nullable=False),
        sa.Column("placed_at", _moment, nullable=False),
        sa.Column("lifted_by", _text(length=40), nullable=True),
        sa.Column("lifted_at", _moment, nullable=True),
        sa.Column("lift_reason", _text(length=500), nullable=True),
        sa.CheckConstraint(
            "(lifted_by IS NULL) = (lifted_at IS NULL) AND (lifted_by IS NULL) = (lift_reason IS NULL)",
            name="lifted_has_who_when_why",
        ),
        sa.CheckConstraint("lifted_by IS NULL OR lifted_by <> placed_by", name="nobody_lifts_their_own_hold"),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"]),
        sa.ForeignKeyConstraint(["placed_by"], ["people.id"]),
        sa.ForeignKeyConstraint(["lifted_by"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "recording_purges",
        sa.Column("id", _text(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*_STATES, name="purgestate", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("reason", _text(length=500), nullable=False),
        sa.Column("recording_count", sa.Integer(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("list_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", _text(length=40), nullable=False),
        sa.Column("asked_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.Column("decided_by", _text(length=40), nullable=True),
        sa.Column("decided_at", _moment, nullable=True),
        sa.Column("decision_reason", _text(length=500), nullable=True),
        sa.CheckConstraint(
            "state <> 'confirmed' OR (decided_by IS NOT NULL AND decided_by <> asked_by AND decided_at IS NOT NULL)",
            name="two_people_destroy",
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["people.id"]),
        sa.ForeignKeyConstraint(["decided_by"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "recording_purge_items",
        sa.Column("purge_id", _text(length=40), nullable=False),
        sa.Column("recording_id", _text(length=40), nullable=False),
        sa.ForeignKeyConstraint(["purge_id"], ["recording_purges.id"]),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"]),
        sa.PrimaryKeyConstraint("purge_id", "recording_id"),
    )
    op.create_table(
        "recording_tombstones",
        sa.Column("recording_id", _text(length=40), nullable=False),
        sa.Column("purge_id", _text(length=40), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("purged_at", _moment, nullable=False),
        sa.Column("removed_at", _moment, nullable=True),
        sa.Column("refusal", _text(length=80), nullable=True),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"]),
        sa.ForeignKeyConstraint(["purge_id"], ["recording_purges.id"]),
        sa.PrimaryKeyConstraint("recording_id"),
    )
    for table, column in _INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
    for guard in _GUARDS:
        for statement in guard.creation(op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for guard in _GUARDS:
        for statement in guard.removal(op.get_bind().dialect.name):
            op.execute(statement)
    for table, column in _INDEXES:
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    for table in ("recording_tombstones", "recording_purge_items", "recording_purges", "recording_holds"):
        op.drop_table(table)


_INDEXES = (
    ("recording_holds", "recording_id"),
    ("recording_purges", "state"),
    ("recording_purge_items", "recording_id"),
    ("recording_tombstones", "purge_id"),
    ("recording_tombstones", "removed_at"),
)
