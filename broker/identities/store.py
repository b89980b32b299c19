"""The tables of people, activation tokens and sign-ins. Tokens and cookies are kept as hashes, seeds sealed."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from enum import Enum
from typing import Final

from sqlalchemy import CheckConstraint, LargeBinary, delete
from sqlmodel import Field, Session, SQLModel, col, select

from broker.adapters.db.columns import UtcDateTime, enum_column
from broker.adapters.db.guards import Guard, guard_table
from broker.identities.model import Language, Person, PersonState, Role
from broker.kernel.spoken import plain


class Face(Enum):
    """Where somebody signs in."""

    PLANT = "plant"
    VENDOR = "vendor"


class PersonRow(SQLModel, table=True):
    """Somebody with an account. `last_totp_step` makes each code good for one use.

    `confirmed_at` stays when a reset takes the confirmation away: it says that this person once held the role.
    """

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint(
            "state <> 'active' OR role = 'vendor_engineer' OR confirmed_by IS NOT NULL", name="active_is_confirmed"
        ),
        CheckConstraint("confirmed_by IS NULL OR confirmed_by <> id", name="nobody_confirms_themselves"),
        CheckConstraint(
            "confirmed_by IS NULL OR confirmed_by = 'system:host' OR confirmed_by <> entered_by",
            name="two_people_make_an_account",
        ),
        CheckConstraint("(role = 'vendor_engineer') = (company IS NOT NULL)", name="engineers_have_a_company"),
    )

    id: str = Field(primary_key=True, max_length=40)
    username: str = Field(max_length=64, unique=True)
    display_name: str = Field(max_length=120)
    role: Role = Field(sa_type=enum_column(Role))
    company: str | None = Field(default=None, max_length=120)
    language: Language = Field(sa_type=enum_column(Language))
    state: PersonState = Field(sa_type=enum_column(PersonState))
    created_at: datetime = Field(sa_type=UtcDateTime)
    entered_by: str = Field(max_length=40)
    confirmed_by: str | None = Field(default=None, max_length=40)
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    confirmation_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    password_hash: str | None = Field(default=None, max_length=255)
    totp_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    last_totp_step: int | None = None
    failed_attempts: int = 0
    locked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


GUARDS: Final = (
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
)
guard_table(SQLModel.metadata.tables["people"], *GUARDS)


class ActivationRow(SQLModel, table=True):
    """A one-use activation token, one for each person at most; `totp_sealed` is the seed shown with it."""

    __tablename__ = "activations"

    person_id: str = Field(primary_key=True, foreign_key="people.id", max_length=40)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    totp_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)


class SignInRow(SQLModel, table=True):
    """A console session or a vendor's API token; the latter is bound to a device, its certificate and its address."""

    __tablename__ = "sign_ins"

    id: str = Field(primary_key=True, max_length=40)
    face: Face = Field(sa_type=enum_column(Face))
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    person_id: str = Field(foreign_key="people.id", max_length=40, index=True)
    csrf_token: str = Field(max_length=64)
    device_id: str | None = Field(default=None, max_length=40)
    certificate_sha256: bytes | None = Field(default=None, sa_type=LargeBinary)
    source: str | None = Field(default=None, max_length=45)
    started_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)


def token_hash(token: str) -> bytes:
    """What is kept of a token or cookie: they are random and long, so a plain hash is enough."""
    return hashlib.sha256(b"sallyport token\0" + token.encode()).digest()


def person_of(row: PersonRow) -> Person:
    """A row as a value, without its factors."""
    return Person(
        id=row.id,
        username=row.username,
        display_name=row.display_name,
        role=row.role,
        state=row.state,
        company=row.company,
        language=row.language,
        created_at=row.created_at,
        entered_by=row.entered_by,
        confirmed_by=row.confirmed_by,
    )


def person_named(session: Session, username: str) -> PersonRow | None:
    """The person of that user name."""
    return session.exec(select(PersonRow).where(PersonRow.username == username)).first()


def people(session: Session, *, limit: int, after: str | None) -> list[Person]:
    """People in the order they were entered in."""
    query = select(PersonRow).order_by(col(PersonRow.id)).limit(limit)
    if after is not None:
        query = query.where(col(PersonRow.id) > after)
    return [person_of(row) for row in session.exec(query).all()]


def several(session: Session, person_ids: Collection[str]) -> list[Person]:
    """Those of these people who exist."""
    return [person_of(row) for row in session.exec(select(PersonRow).where(col(PersonRow.id).in_(person_ids))).all()]


def had_role_once(session: Session, role: Role) -> bool:
    """Whether anybody ever held this role with a confirmed account."""
    query = select(PersonRow.id).where(PersonRow.role == role, col(PersonRow.confirmed_at).is_not(None))
    return session.exec(query).first() is not None


def confirmation_hash(person_id: str, code: str) -> bytes:
    """What is kept of a confirmation code, however it was typed; bound to the person."""
    return hashlib.sha256(b"sallyport confirmation\0" + person_id.encode() + b"\0" + plain(code).encode()).digest()


def activation_by_token(session: Session, token: str) -> ActivationRow | None:
    """The activation that a token belongs to."""
    return session.exec(select(ActivationRow).where(ActivationRow.token_hash == token_hash(token))).first()


def sign_in_by_token(session: Session, face: Face, token: str) -> SignInRow | None:
    """The sign-in that a cookie or token belongs to."""
    query = select(SignInRow).where(SignInRow.token_hash == token_hash(token), SignInRow.face == face)
    return session.exec(query).first()


def end_sign_ins(session: Session, person_id: str) -> None:
    """End every sign-in of a person."""
    session.connection().execute(delete(SignInRow).where(col(SignInRow.person_id) == person_id))


def forget_sign_ins_before(session: Session, face: Face, started_before: datetime, seen_before: datetime) -> int:
    """Delete sign-ins that are over; returns how many."""
    done = session.connection().execute(
        delete(SignInRow).where(
            col(SignInRow.face) == face,
            (col(SignInRow.started_at) <= started_before) | (col(SignInRow.last_seen_at) <= seen_before),
        )
    )
    return done.rowcount
