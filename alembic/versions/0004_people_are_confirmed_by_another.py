"""People are entered by one administrator and confirmed by another; roles are kept, and approvals guarded.

Everybody who has chosen a password stays confirmed, by `system:host`, whose upgrade it was. On SQLite the table of
people is made anew, because a CHECK cannot be changed there; foreign keys are not enforced while revisions run.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import broker.adapters.db.columns
from broker.adapters.db.guards import Guard

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OLD_STATES = ("invited", "active", "suspended")
_NEW_STATES = ("invited", "unconfirmed", "active", "suspended")
_ROLES = ("system_administrator", "security_administrator", "plant_admin", "auditor", "vendor_engineer")
_CHECKS = {
    "active_is_confirmed": "state <> 'active' OR role = 'vendor_engineer' OR confirmed_by IS NOT NULL",
    "nobody_confirms_themselves": "confirmed_by IS NULL OR confirmed_by <> id",
    "two_people_make_an_account": (
        "confirmed_by IS NULL OR confirmed_by = 'system:host' OR confirmed_by <> entered_by"
    ),
    "engineers_have_a_company": "(role = 'vendor_engineer') = (company IS NOT NULL)",
}
_GUARDS = (
    Guard(
        name="people_keep_their_role",
        table="people",
        before="UPDATE OF role",
        refuses_when="NEW.role <> OLD.role",
        words="a person keeps one role: for another role, enter another account",
    ),
    Guard(
        name="people_are_confirmed_by_security",
        table="people",
        before="UPDATE OF confirmed_by",
        refuses_when="substr(NEW.confirmed_by, 1, 4) = 'psn_' AND NOT EXISTS (SELECT 1 FROM people AS confirming "
        "WHERE confirming.id = NEW.confirmed_by AND confirming.role = 'security_administrator')",
        words="only a security administrator confirms people",
    ),
    Guard(
        name="approvals_are_by_plant_admins",
        table="access_approvals",
        before="INSERT",
        refuses_when="NOT EXISTS (SELECT 1 FROM people WHERE people.id = NEW.approver_id "
        "AND people.role = 'plant_admin')",
        words="only a plant administrator approves",
    ),
    Guard(
        name="approvals_are_by_others",
        table="access_approvals",
        before="INSERT",
        refuses_when="EXISTS (SELECT 1 FROM access_requests WHERE access_requests.id = NEW.request_id "
        "AND access_requests.person_id = NEW.approver_id)",
        words="nobody approves their own request",
    ),
)
_BEFORE = "system:before-0004"
_text = sqlmodel.sql.sqltypes.AutoString
_moment = broker.adapters.db.columns.UtcDateTime(timezone=True)


def upgrade() -> None:
    for column in (
        sa.Column("entered_by", _text(length=40), server_default=_BEFORE, nullable=False),
        sa.Column("confirmed_by", _text(length=40), nullable=True),
        sa.Column("confirmed_at", _moment, nullable=True),
        sa.Column("confirmation_hash", sa.LargeBinary(), nullable=True),
    ):
        op.add_column("people", column)
    op.add_column("devices", sa.Column("resumed_by", _text(length=40), nullable=True))
    op.execute(
        "UPDATE people SET confirmed_by = 'system:host', confirmed_at = created_at "
        "WHERE password_hash IS NOT NULL OR state = 'active'"
    )
    # An open invitation of the first administrator stays root's word.
    op.execute(
        "UPDATE people SET confirmed_by = 'system:host', entered_by = 'system:host' "
        "WHERE state = 'invited' AND id IN "
        "(SELECT subject FROM audit_events WHERE code = 'identities.administrator.bootstrapped')"
    )
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        _made_anew(_NEW_STATES, _CHECKS, _new_columns())
    else:
        op.drop_constraint("personstate", "people", type_="check")
        op.create_check_constraint("personstate", "people", _in("state", _NEW_STATES))
        for name, condition in _CHECKS.items():
            op.create_check_constraint(name, "people", condition)
        op.alter_column("people", "entered_by", server_default=None)
    for guard in _GUARDS:
        for statement in guard.creation(dialect):
            op.execute(statement)


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    for guard in _GUARDS:
        for statement in guard.removal(dialect):
            op.execute(statement)
    op.drop_column("devices", "resumed_by")
    op.execute("UPDATE people SET state = 'invited' WHERE state = 'unconfirmed'")
    if dialect == "sqlite":
        _made_anew(_OLD_STATES, {}, [])
        return
    for name in _CHECKS:
        op.drop_constraint(name, "people", type_="check")
    op.drop_constraint("personstate", "people", type_="check")
    op.create_check_constraint("personstate", "people", _in("state", _OLD_STATES))
    for column in ("confirmation_hash", "confirmed_at", "confirmed_by", "entered_by"):
        op.drop_column("people", column)


def _in(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("entered_by", _text(length=40), nullable=False),
        sa.Column("confirmed_by", _text(length=40), nullable=True),
        sa.Column("confirmed_at", _moment, nullable=True),
        sa.Column("confirmation_hash", sa.LargeBinary(), nullable=True),
    ]


def _made_anew(states: tuple[str, ...], checks: dict[str, str], more: list[sa.Column[object]]) -> None:
    def closed(name: str, *values: str) -> sa.Enum:
        return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)

    columns = [
        sa.Column("id", _text(length=40), nullable=False),
        sa.Column("username", _text(length=64), nullable=False),
        sa.Column("display_name", _text(length=120), nullable=False),
        sa.Column("role", closed("role", *_ROLES), nullable=False),
        sa.Column("company", _text(length=120), nullable=True),
        sa.Column("language", closed("language", "zh-CN", "en"), nullable=False),
        sa.Column("state", closed("personstate", *states), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("password_hash", _text(length=255), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("last_totp_step", sa.Integer(), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", _moment, nullable=True),
        *more,
    ]
    names = ", ".join(column.name for column in columns)
    op.create_table(
        "people_anew",
        *columns,
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
        *(sa.CheckConstraint(condition, name=name) for name, condition in checks.items()),
    )
    op.execute(f"INSERT INTO people_anew ({names}) SELECT {names} FROM people")  # noqa: S608 - our own names
    op.drop_table("people")
    op.rename_table("people_anew", "people")
