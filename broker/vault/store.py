"""The vault's tables: sealed credentials, and which session was given one."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.vault.model import CredentialKind


class CredentialRow(SQLModel, table=True):
    """A sealed secret.

    When another takes its place or its target is retired, `replaced_at` is set and the sealed bytes are emptied.
    """

    __tablename__ = "credentials"

    id: str = Field(primary_key=True, max_length=40)
    target_id: str = Field(foreign_key="targets.id", max_length=40, index=True)
    account_id: str = Field(foreign_key="accounts.id", max_length=40, index=True)
    kind: CredentialKind = Field(sa_type=enum_column(CredentialKind))
    sealed: bytes = Field(sa_type=LargeBinary)
    created_by: str = Field(foreign_key="people.id", max_length=40)
    created_at: datetime = Field(sa_type=UtcDateTime)
    replaced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LeaseRow(SQLModel, table=True):
    """One session's one lease. The session's table lies above this domain, so its id is kept without a foreign key."""

    __tablename__ = "leases"

    id: str = Field(primary_key=True, max_length=40)
    session_id: str = Field(max_length=40, unique=True)
    credential_id: str = Field(foreign_key="credentials.id", max_length=40, index=True)
    at: datetime = Field(sa_type=UtcDateTime)


def current_credential(session: Session, account_id: str) -> CredentialRow | None:
    """The credential in use for an account."""
    query = select(CredentialRow).where(
        CredentialRow.account_id == account_id, col(CredentialRow.replaced_at).is_(None)
    )
    return session.exec(query).first()


def sessions_with(session: Session, credential_id: str) -> list[str]:
    """The sessions that were given this credential."""
    return list(session.exec(select(LeaseRow.session_id).where(LeaseRow.credential_id == credential_id)).all())


def lease_of_session(session: Session, session_id: str) -> LeaseRow | None:
    """The lease that a session was given."""
    return session.exec(select(LeaseRow).where(LeaseRow.session_id == session_id)).first()
