"""The tables of the first release.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("params_json", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_events_actor"), ["actor"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_code"), ["code"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_subject"), ["subject"], unique=False)

    op.create_table(
        "gateway_streams",
        sa.Column("worker", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("boot_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker", "boot_id"),
    )
    op.create_table(
        "knocks",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=24), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("door", sa.Integer(), nullable=False),
        sa.Column("grant_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("signed_knock", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("knocks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_knocks_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_knocks_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_knocks_grant_id"), ["grant_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "people",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("username", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("display_name", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "system_administrator",
                "security_administrator",
                "plant_admin",
                "auditor",
                "vendor_engineer",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("company", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=True),
        sa.Column(
            "language",
            sa.Enum("zh-CN", "en", name="language", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "invited",
                "active",
                "suspended",
                name="personstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("password_hash", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("last_totp_step", sa.Integer(), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
    )
    op.create_table(
        "zones",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("created_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "activations",
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "device_invites",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("invited_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("knock_key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("created_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mark BETWEEN 1 AND 2147483647", name="mark_range"),
        sa.ForeignKeyConstraint(
            ["invited_by"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mark"),
    )
    with op.batch_alter_table("device_invites", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_invites_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_invites_person_id"), ["person_id"], unique=False)

    op.create_table(
        "sign_ins",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column(
            "face",
            sa.Enum("plant", "vendor", name="face", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("csrf_token", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("certificate_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("started_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_ins_person_id"), ["person_id"], unique=False)

    op.create_table(
        "targets",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=63), nullable=False),
        sa.Column("zone_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column(
            "protocol",
            sa.Enum("ssh", name="protocol", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("host_key", sqlmodel.sql.sqltypes.AutoString(length=4096), nullable=False),
        sa.Column("description", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("created_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["zone_id"],
            ["zones.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    with op.batch_alter_table("targets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_targets_zone_id"), ["zone_id"], unique=False)

    op.create_table(
        "accounts",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("target_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("username", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["targets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("target_id", "username"),
    )
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_target_id"), ["target_id"], unique=False)

    op.create_table(
        "devices",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("invite_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "trusted",
                "suspended",
                "retired",
                name="devicestate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("key_storage", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("operating_system", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("short_code", sqlmodel.sql.sqltypes.AutoString(length=9), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_not_after", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("knock_key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("allow_header_address", sa.Boolean(), nullable=False),
        sa.Column("invited_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("enrolled_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("trusted_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("trusted_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_knock_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mark BETWEEN 1 AND 2147483647", name="mark_range"),
        sa.ForeignKeyConstraint(
            ["invite_id"],
            ["device_invites.id"],
        ),
        sa.ForeignKeyConstraint(
            ["invited_by"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["trusted_by"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("invite_id"),
        sa.UniqueConstraint("mark"),
        sa.UniqueConstraint("public_key"),
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_devices_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_devices_state"), ["state"], unique=False)

    op.create_table(
        "access_requests",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=False),
        sa.Column("target_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("protocol", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("work_order", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("starts_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "submitted",
                "approved",
                "denied",
                "withdrawn",
                "lapsed",
                name="requeststate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("submitted_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lapses_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("approved_from", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("approved_until", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("decision_reason", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=True),
        sa.Column("notices_json", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["targets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("access_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_requests_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_requests_lapses_at"), ["lapses_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_requests_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_requests_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_requests_target_id"), ["target_id"], unique=False)

    op.create_table(
        "credentials",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("target_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "password", "private_key", name="credentialkind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("created_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["targets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credentials_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_credentials_target_id"), ["target_id"], unique=False)

    op.create_table(
        "access_approvals",
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("approver_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approver_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["access_requests.id"],
        ),
        sa.PrimaryKeyConstraint("request_id", "approver_id"),
    )
    op.create_table(
        "grants",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("target_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("protocol", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("not_before", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("approvals", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "issued",
                "active",
                "expired",
                "revoked",
                "used",
                name="grantstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("issued_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=True),
        sa.Column("end_reason", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["access_requests.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["targets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id"),
    )
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_grants_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_not_after"), ["not_after"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_target_id"), ["target_id"], unique=False)

    op.create_table(
        "leases",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("credential_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credentials.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_id"),
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_leases_credential_id"), ["credential_id"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("grant_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=False),
        sa.Column("source_port", sa.Integer(), nullable=False),
        sa.Column("target_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("protocol", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("permit_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("recording_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("knock_id", sqlmodel.sql.sqltypes.AutoString(length=24), nullable=False),
        sa.Column("worker", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("boot_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("policy_version", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("rule_id", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("autonomy_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "live",
                "closing",
                "closed",
                name="sessionstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("not_after", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("admitted_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=True),
        sa.Column("end_ordered_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("end_order", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True),
        sa.Column("end_order_reason", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("commands_blocked", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'closed') = (end_reason IS NOT NULL AND ended_at IS NOT NULL)", name="closed_has_reason_and_end"
        ),
        sa.CheckConstraint("state <> 'live' OR started_at IS NOT NULL", name="live_has_started"),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["grants.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["targets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("permit_id"),
        sa.UniqueConstraint("recording_id"),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_grant_id"), ["grant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_target_id"), ["target_id"], unique=False)

    op.create_table(
        "ssh_certificates",
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grant_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("device_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("person_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=45), nullable=False),
        sa.Column("issued_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("valid_after", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("valid_before", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["grants.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("serial"),
    )
    with op.batch_alter_table("ssh_certificates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ssh_certificates_grant_id"), ["grant_id"], unique=False)

    op.create_table(
        "recordings",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("file_name", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open", "sealed", "broken", name="recordingstate", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("signing_public", sa.LargeBinary(), nullable=False),
        sa.Column("header_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("head_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("head_signature", sa.LargeBinary(), nullable=True),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("bytes_written", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_id"),
    )
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recordings_state"), ["state"], unique=False)

    op.create_table(
        "session_proofs",
        sa.Column("identifier_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("knock_id", sqlmodel.sql.sqltypes.AutoString(length=24), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", broker.adapters.db.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("identifier_sha256"),
        sa.UniqueConstraint("knock_id"),
        sa.UniqueConstraint("session_id"),
    )


def downgrade() -> None:
    op.drop_table("session_proofs")
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recordings_state"))

    op.drop_table("recordings")
    with op.batch_alter_table("ssh_certificates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ssh_certificates_grant_id"))

    op.drop_table("ssh_certificates")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sessions_target_id"))
        batch_op.drop_index(batch_op.f("ix_sessions_state"))
        batch_op.drop_index(batch_op.f("ix_sessions_person_id"))
        batch_op.drop_index(batch_op.f("ix_sessions_grant_id"))
        batch_op.drop_index(batch_op.f("ix_sessions_device_id"))

    op.drop_table("sessions")
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_leases_credential_id"))

    op.drop_table("leases")
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_grants_target_id"))
        batch_op.drop_index(batch_op.f("ix_grants_state"))
        batch_op.drop_index(batch_op.f("ix_grants_person_id"))
        batch_op.drop_index(batch_op.f("ix_grants_not_after"))
        batch_op.drop_index(batch_op.f("ix_grants_device_id"))

    op.drop_table("grants")
    op.drop_table("access_approvals")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_credentials_target_id"))
        batch_op.drop_index(batch_op.f("ix_credentials_account_id"))

    op.drop_table("credentials")
    with op.batch_alter_table("access_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_requests_target_id"))
        batch_op.drop_index(batch_op.f("ix_access_requests_state"))
        batch_op.drop_index(batch_op.f("ix_access_requests_person_id"))
        batch_op.drop_index(batch_op.f("ix_access_requests_lapses_at"))
        batch_op.drop_index(batch_op.f("ix_access_requests_device_id"))

    op.drop_table("access_requests")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_devices_state"))
        batch_op.drop_index(batch_op.f("ix_devices_person_id"))

    op.drop_table("devices")
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_target_id"))

    op.drop_table("accounts")
    with op.batch_alter_table("targets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_targets_zone_id"))

    op.drop_table("targets")
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_ins_person_id"))

    op.drop_table("sign_ins")
    with op.batch_alter_table("device_invites", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_invites_person_id"))
        batch_op.drop_index(batch_op.f("ix_device_invites_expires_at"))

    op.drop_table("device_invites")
    op.drop_table("activations")
    op.drop_table("zones")
    op.drop_table("people")
    op.drop_table("outbox")
    with op.batch_alter_table("knocks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_knocks_grant_id"))
        batch_op.drop_index(batch_op.f("ix_knocks_device_id"))
        batch_op.drop_index(batch_op.f("ix_knocks_at"))

    op.drop_table("knocks")
    op.drop_table("gateway_streams")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_events_subject"))
        batch_op.drop_index(batch_op.f("ix_audit_events_code"))
        batch_op.drop_index(batch_op.f("ix_audit_events_at"))
        batch_op.drop_index(batch_op.f("ix_audit_events_actor"))

    op.drop_table("audit_events")
