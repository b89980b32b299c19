"""Builders and honest fakes for the tests of other domains. Nothing here is used by the product."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Final

import pyotp
from argon2 import PasswordHasher

from broker.adapters.db.database import Database
from broker.adapters.sealing import Sealer
from broker.identities import rules, store
from broker.identities.factors import Passwords
from broker.identities.model import Language, Person, PersonState, Principal, Role, VendorConnection
from broker.identities.service import seal_totp_seed
from broker.identities.store import Face, PersonRow, SignInRow
from broker.kernel.errors import Forbidden
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import SecretText

NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of people who exist in tests only
SEED: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def cheap_passwords() -> Passwords:
    """Argon2id with the least work: for tests only."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@cache
def _password_hash() -> str:
    return cheap_passwords().hash(PASSWORD)


def code_at(moment: datetime, seed: str = SEED) -> str:
    """The code that an authenticator shows at a moment."""
    return pyotp.TOTP(seed).at(moment)


def a_person(
    database: Database,
    *,
    role: Role = Role.VENDOR_ENGINEER,
    username: str | None = None,
    display_name: str | None = None,
    company: str | None = None,
    state: PersonState = PersonState.ACTIVE,
    language: Language = Language.ENGLISH,
    at: datetime = NOON,
    sealer: Sealer | None = None,
) -> Person:
    """Somebody with an account; with a `sealer` they can sign in with PASSWORD and codes of SEED."""
    person_id = new_id("psn", at)
    name = username or f"{role.value.replace('_', '-')}-{person_id[-6:]}"
    row = PersonRow(
        id=person_id,
        username=name,
        display_name=display_name or name.title(),
        role=role,
        company=(company or "Acme Robotics") if role is Role.VENDOR_ENGINEER else None,
        language=language,
        state=state,
        created_at=at,
        entered_by=rules.HOST,
        confirmed_by=None if state in {PersonState.INVITED, PersonState.UNCONFIRMED} else rules.HOST,
        confirmed_at=None if state in {PersonState.INVITED, PersonState.UNCONFIRMED} else at,
    )
    if sealer is not None:
        row.password_hash = _password_hash()
        row.totp_sealed = seal_totp_seed(sealer, person_id, SecretText(SEED))
    with database.unit_of_work() as unit:
        unit.session.add(row)
    return store.person_of(row)


def a_principal(person: Person) -> Principal:
    """This person at the console."""
    return Principal(
        person_id=person.id,
        username=person.username,
        display_name=person.display_name,
        role=person.role,
        language=person.language,
        permissions=rules.permissions_of(person.role),
        session_id=new_id("sgn", NOON),
    )


def a_console_session(database: Database, person: Person, at: datetime = NOON) -> tuple[str, str]:
    """A console session of this person, begun at that moment: the cookie's value and the CSRF token."""
    cookie, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with database.unit_of_work() as unit:
        unit.session.add(
            SignInRow(
                id=new_id("sgn", at),
                face=Face.PLANT,
                token_hash=store.token_hash(cookie),
                person_id=person.id,
                csrf_token=csrf_token,
                started_at=at,
                last_seen_at=at,
            )
        )
    return cookie, csrf_token


def a_vendor_connection(device_id: str, certificate_der: bytes = b"certificate") -> VendorConnection:
    """A connection of that device through the vendor face."""
    return VendorConnection(
        device_id=device_id,
        knock_id=secrets.token_hex(12),
        source="203.0.113.7",
        source_port=50123,
        certificate_der=certificate_der,
        signed_knock=bytes(176),
    )


class KnownDevices:
    """An honest `DeviceRegistry`: trusted devices by id, each with its owner and certificate."""

    def __init__(self, devices: Mapping[str, tuple[str, bytes]]) -> None:
        self.devices = dict(devices)

    def owner_of(self, device_id: str, certificate_der: bytes) -> str:
        """The owner. Raises Forbidden `device_not_trusted` for another device or certificate."""
        owner_id, certificate = self.devices.get(device_id, ("", b""))
        if not owner_id or certificate != certificate_der:
            raise Forbidden("device_not_trusted", "This device is not trusted.")
        return owner_id
