"""Signing in and out at both faces, and finding out who stands behind a cookie or a token."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.sealing import Sealer
from broker.identities import rules, store
from broker.identities.errors import console_sign_in_refused, not_signed_in, source_changed, vendor_sign_in_refused
from broker.identities.events import SignedIn, SignedOut, SignInMoved, SignInRefused
from broker.identities.factors import Passwords, matching_step
from broker.identities.model import DeviceRegistry, PersonState, Principal, VendorConnection, VendorPrincipal
from broker.identities.rules import CONSOLE_LIMITS, VENDOR_LIMITS, SessionLimits
from broker.identities.service import open_totp_seed
from broker.identities.store import Face, PersonRow, SignInRow
from broker.identities.throttle import Throttle
from broker.kernel.clock import Clock
from broker.kernel.errors import Forbidden
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import SecretText

_TOKEN_BYTES: Final = 32
_TOUCH_AFTER: Final = timedelta(seconds=30)
_UNKNOWN: Final = "system:unknown-person"


@dataclass(frozen=True)
class ConsoleSession:
    """A console session: who, and the token that unsafe requests must carry."""

    principal: Principal
    csrf_token: SecretText


@dataclass(frozen=True)
class ConsoleSignIn:
    """What a sign-in at the console gives: the cookie's value is shown this once."""

    session: ConsoleSession
    cookie: SecretText


@dataclass(frozen=True)
class VendorSignIn:
    """What a sign-in at the vendor face gives: the token is shown this once."""

    principal: VendorPrincipal
    token: SecretText
    idle_seconds: int


@dataclass(frozen=True)
class Credentials:
    """What somebody typed."""

    username: str
    password: SecretText
    totp: SecretText


class SignInService:
    """Sign-ins at both faces. `devices` says which connected device is trusted, and whose it is."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        devices: DeviceRegistry,
        passwords: Passwords | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._devices = devices
        self._passwords = passwords or Passwords()
        self._throttle = Throttle()

    # -- the console --------------------------------------------------------------------------------------------------

    def sign_in_at_console(self, typed: Credentials, source: str) -> ConsoleSignIn:
        """Start a console session for one of the plant's people.

        Raises Unauthenticated `identities.sign_in_refused` for every failure alike, and TooMany when this source fails
        too often.
        """
        started = self._verified(typed, Face.PLANT, source, None)
        if started is None:
            raise console_sign_in_refused()
        row, token = started
        with self._database.reading() as session:
            person = session.get(PersonRow, row.person_id)
            if person is None:
                raise console_sign_in_refused()
            return ConsoleSignIn(_console_session(row, person), token)

    def console_session(self, cookie: str) -> ConsoleSession:
        """Who a cookie stands for; keeps the session from becoming idle.

        Raises Unauthenticated `not_signed_in`.
        """
        with self._database.reading() as session:
            row, person = self._live(session, Face.PLANT, cookie, CONSOLE_LIMITS)
            found, last_seen_at = _console_session(row, person), row.last_seen_at
        self._touch(found.principal.session_id, last_seen_at)
        return found

    def sign_out_of_console(self, principal: Principal) -> None:
        """End a console session. Ending one that is over does nothing."""
        self._end(principal.session_id, principal.person_id, Face.PLANT)

    # -- the vendor face ----------------------------------------------------------------------------------------------

    def sign_in_at_vendor_face(self, typed: Credentials, connection: VendorConnection) -> VendorSignIn:
        """Give an engineer on their own trusted device an API token bound to that device's certificate.

        Raises Forbidden `device_not_trusted`, Unauthenticated `not_signed_in` for every other failure alike, and
        TooMany when this device fails too often.
        """
        owner_id = self.owner_of(connection)
        started = self._verified(typed, Face.VENDOR, connection.source, connection, owner_id)
        if started is None:
            raise vendor_sign_in_refused()
        row, token = started
        with self._database.reading() as session:
            person = session.get(PersonRow, row.person_id)
            if person is None:
                raise vendor_sign_in_refused()
            principal = _vendor_principal(row, person, connection)
        return VendorSignIn(principal, token, int(VENDOR_LIMITS.idle.total_seconds()))

    def owner_of(self, connection: VendorConnection) -> str:
        """The id of the owner of the connected device. Raises Forbidden `device_not_trusted`."""
        return self._devices.owner_of(connection.device_id, connection.certificate_der)

    def vendor_principal(self, token: str, connection: VendorConnection) -> VendorPrincipal:
        """Who a token stands for on this connection; keeps it from becoming idle.

        Raises Unauthenticated `not_signed_in` (also for a token that belongs to another device or certificate),
        Unauthenticated `source_changed` when the device's address is another than at its sign-in, which is over then,
        and Forbidden `device_not_trusted` when the device is no longer trusted or no longer this person's.
        """
        with self._database.reading() as session:
            row, person = self._live(session, Face.VENDOR, token, VENDOR_LIMITS)
            bound_to, last_seen_at = (row.device_id, row.certificate_sha256 or b""), row.last_seen_at
            source_before = row.source
            principal = _vendor_principal(row, person, connection)
        device_id, certificate_sha256 = bound_to
        same_certificate = hmac.compare_digest(certificate_sha256, _sha256(connection.certificate_der))
        if device_id != connection.device_id or not same_certificate:
            raise not_signed_in()
        if self.owner_of(connection) != principal.person_id:
            raise Forbidden("device_not_trusted", "This device is not trusted. Ask the plant's administrator.")
        if source_before is not None and source_before != connection.source:
            self._end_moved(principal, source_before)
            raise source_changed()
        self._touch(principal.session_id, last_seen_at)
        return principal

    def sign_out_of_vendor_face(self, principal: VendorPrincipal) -> None:
        """End an API token. Ending one that is over does nothing."""
        self._end(principal.session_id, principal.person_id, Face.VENDOR)

    # -- housekeeping -------------------------------------------------------------------------------------------------

    def forget_ended(self) -> int:
        """Delete sign-ins that are over; returns how many. They count for nothing from the moment they end."""
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            return sum(
                store.forget_sign_ins_before(unit.session, face, now - limits.absolute, now - limits.idle)
                for face, limits in ((Face.PLANT, CONSOLE_LIMITS), (Face.VENDOR, VENDOR_LIMITS))
            )

    # -- within -------------------------------------------------------------------------------------------------------

    def _verified(
        self,
        typed: Credentials,
        face: Face,
        source: str,
        connection: VendorConnection | None,
        owner_id: str | None = None,
    ) -> tuple[SignInRow, SecretText] | None:
        """A new sign-in when every factor holds, or None.

        The password is checked before the transaction, because it is slow; whether the person is locked is judged in
        the transaction that counts the failure, so many guesses at once gain nothing. Known, unknown and locked people
        cost the same: one Argon2 run and one event.
        """
        now = self._clock.now()
        throttled = connection.device_id if connection is not None else source
        self._throttle.check(throttled, now)
        with self._database.reading() as session:
            known = store.person_named(session, typed.username)
            stored_hash = known.password_hash if known is not None else None
        password_holds = self._passwords.is_password(stored_hash, typed.password.reveal())
        with self._database.unit_of_work() as unit:
            person = store.person_named(unit.session, typed.username)
            if person is None:
                self._refuse(unit, None, face, "unknown", source, connection, now)
            else:
                judged = self._judged(person, typed, face, now, owner_id, password_holds=password_holds)
                if isinstance(judged, int):
                    person.failed_attempts, person.locked_until, person.last_totp_step = 0, None, judged
                    unit.session.add(person)
                    return self._started(unit, person, face, source, connection, now)
                self._refuse(unit, person, face, judged, source, connection, now)
        self._throttle.failed(throttled, now)
        return None

    def _judged(
        self,
        person: PersonRow,
        typed: Credentials,
        face: Face,
        now: datetime,
        owner_id: str | None,
        *,
        password_holds: bool,
    ) -> int | str:
        """The time step of the code that is used up, or why the sign-in is refused."""
        if person.locked_until is not None and now < person.locked_until:
            return "locked"
        if person.state is not PersonState.ACTIVE or person.totp_sealed is None:
            return "not_active"
        seed = open_totp_seed(self._sealer, person.id, person.totp_sealed)
        step = matching_step(seed, typed.totp.reveal(), rules.acceptable_steps(now, person.last_totp_step))
        if not password_holds:
            return "wrong_password"
        if step is None:
            return "wrong_code"
        if rules.is_plant_role(person.role) is not (face is Face.PLANT):
            return "other_face"
        if face is Face.VENDOR and person.id != owner_id:
            return "another_persons_device"
        return step

    @staticmethod
    def _refuse(
        unit: UnitOfWork,
        person: PersonRow | None,
        face: Face,
        reason: str,
        source: str,
        connection: VendorConnection | None,
        now: datetime,
    ) -> None:
        if person is not None and reason != "locked":
            person.failed_attempts += 1
            person.locked_until = rules.locked_until(person.failed_attempts, now)
            unit.session.add(person)
        unit.emit(
            SignInRefused(
                actor=connection.device_id if connection is not None else "system:console",
                subject=person.id if person is not None else _UNKNOWN,
                face=face.value,
                reason=reason,
                device_id=connection.device_id if connection is not None else None,
                source=source,
                failed_attempts=person.failed_attempts if person is not None else 0,
            )
        )

    @staticmethod
    def _started(
        unit: UnitOfWork,
        person: PersonRow,
        face: Face,
        source: str,
        connection: VendorConnection | None,
        now: datetime,
    ) -> tuple[SignInRow, SecretText]:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = SignInRow(
            id=new_id("sgn", now),
            face=face,
            token_hash=store.token_hash(token),
            person_id=person.id,
            csrf_token=secrets.token_urlsafe(_TOKEN_BYTES),
            device_id=connection.device_id if connection is not None else None,
            certificate_sha256=_sha256(connection.certificate_der) if connection is not None else None,
            source=source if connection is not None else None,
            started_at=now,
            last_seen_at=now,
        )
        unit.session.add(row)
        unit.emit(SignedIn(actor=person.id, subject=row.id, face=face.value, device_id=row.device_id, source=source))
        return row, SecretText(token)

    def _live(self, session: Session, face: Face, token: str, limits: SessionLimits) -> tuple[SignInRow, PersonRow]:
        row = store.sign_in_by_token(session, face, token)
        if row is None or rules.is_over(limits, row.started_at, row.last_seen_at, self._clock.now()):
            raise not_signed_in()
        person = session.get(PersonRow, row.person_id)
        if person is None or person.state is not PersonState.ACTIVE:
            raise not_signed_in()
        return row, person

    def _touch(self, sign_in_id: str, last_seen_at: datetime) -> None:
        """Note that a sign-in is in use; at most twice a minute, because a write costs a disk flush."""
        now = self._clock.now()
        if now < last_seen_at + _TOUCH_AFTER:
            return
        try:
            with self._database.unit_of_work() as unit:
                row = unit.session.get(SignInRow, sign_in_id)
                if row is not None and row.last_seen_at < now:
                    row.last_seen_at = now
                    unit.session.add(row)
        except DBAPIError:
            # Who is signed in must see that the database cannot be written; at worst this sign-in ends early.
            return

    def _end_moved(self, principal: VendorPrincipal, source_before: str) -> None:
        with self._database.unit_of_work() as unit:
            row = unit.session.get(SignInRow, principal.session_id)
            if row is not None:
                unit.session.delete(row)
                unit.emit(
                    SignInMoved(
                        actor=principal.person_id,
                        subject=principal.session_id,
                        device_id=principal.device_id,
                        source_before=source_before,
                        source=principal.source,
                    )
                )

    def _end(self, sign_in_id: str, person_id: str, face: Face) -> None:
        with self._database.unit_of_work() as unit:
            row = unit.session.get(SignInRow, sign_in_id)
            if row is not None:
                unit.session.delete(row)
                unit.emit(SignedOut(actor=person_id, subject=sign_in_id, face=face.value))


def _sha256(certificate_der: bytes) -> bytes:
    return hashlib.sha256(certificate_der).digest()


def _console_session(row: SignInRow, person: PersonRow) -> ConsoleSession:
    principal = Principal(
        person_id=person.id,
        username=person.username,
        display_name=person.display_name,
        role=person.role,
        language=person.language,
        permissions=rules.permissions_of(person.role),
        session_id=row.id,
    )
    return ConsoleSession(principal, SecretText(row.csrf_token))


def _vendor_principal(row: SignInRow, person: PersonRow, connection: VendorConnection) -> VendorPrincipal:
    return VendorPrincipal(
        person_id=person.id,
        username=person.username,
        display_name=person.display_name,
        device_id=connection.device_id,
        source=connection.source,
        knock_id=connection.knock_id,
        signed_knock=connection.signed_knock,
        session_id=row.id,
    )
