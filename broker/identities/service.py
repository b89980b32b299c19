"""Accounts: entering people, activating them, suspending them; the first administrator."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.adapters.sealing import Sealer, associated_data
from broker.identities import rules, store
from broker.identities.errors import (
    activation_refused,
    administrator_exists,
    company_missing,
    not_a_bootstrap_role,
    not_oneself,
    password_unfit,
    person_not_found,
    person_suspended,
    username_taken,
    username_unfit,
    wrong_code,
)
from broker.identities.events import (
    AdministratorBootstrapped,
    LanguageChosen,
    PersonActivated,
    PersonCreated,
    PersonSuspended,
    SecondFactorOffered,
)
from broker.identities.factors import Passwords, matching_step, new_totp_secret, totp_uri
from broker.identities.model import Language, Person, PersonState, Role, VendorConnection
from broker.identities.store import ActivationRow, Face, PersonRow
from broker.identities.throttle import Throttle
from broker.kernel.clock import Clock
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import SecretText
from broker.kernel.spoken import SPOKEN_BYTES, spoken

_TOKEN_BYTES: Final = 32
_NAME_CHARACTERS: Final = 120


@dataclass(frozen=True)
class CreatedPerson:
    """A new person and the token with which they activate their account; it is shown this once."""

    person: Person
    activation_token: SecretText


@dataclass(frozen=True)
class SecondFactorOffer:
    """A seed for the person's authenticator; it is shown this once."""

    username: str
    display_name: str
    totp_secret: SecretText
    totp_uri: SecretText


class PeopleService:
    """Everybody with an account. Also answers what devices ask of their owners (`able_owners`, `display_names`)."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, passwords: Passwords | None = None) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._passwords = passwords or Passwords()
        self._throttle = Throttle()

    # -- accounts -----------------------------------------------------------------------------------------------------

    def create_person(
        self,
        actor: str,
        *,
        username: str,
        display_name: str,
        role: Role,
        company: str | None,
        language: Language,
    ) -> CreatedPerson:
        """Enter somebody, who activates the account within 72 hours.

        Raises Invalid for a user name that is unfit, a vendor's engineer without company or anybody else with one, and
        Conflict `identities.username_taken`.
        """
        if not rules.is_username(username):
            raise username_unfit()
        if (role is Role.VENDOR_ENGINEER) is not bool(company):
            raise company_missing()
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            if store.person_named(unit.session, username) is not None:
                raise username_taken()
            row = _new_person(username, display_name, role, company, language, now, entered_by=actor)
            unit.session.add(row)
            unit.session.flush()
            token = new_activation(unit.session, row.id, now)
            unit.emit(PersonCreated(actor=actor, subject=row.id, username=username, role=role.value, company=company))
        return CreatedPerson(store.person_of(row), token)

    def first_administrator(
        self, username: str, role: Role = Role.SYSTEM_ADMINISTRATOR, display_name: str = ""
    ) -> SecretText:
        """An activation token for the first holder of a bootstrap role: for whoever commands the host.

        Without a `display_name` people see the user name. The account is confirmed beforehand. Until it is activated
        it can be renewed; afterwards nobody is made so again. Raises Conflict `identities.administrator_exists` when
        anybody ever held the role, Conflict `identities.username_taken` when the name is another person's, and Invalid
        for a name or role that is unfit.
        """
        if not rules.is_username(username):
            raise username_unfit()
        if role not in rules.BOOTSTRAP_ROLES:
            raise not_a_bootstrap_role()
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            if store.had_role_once(unit.session, role):
                raise administrator_exists()
            row = store.person_named(unit.session, username)
            if row is None:
                name = " ".join(display_name.split())[:_NAME_CHARACTERS] or username
                row = _new_person(username, name, role, None, Language.ENGLISH, now, entered_by=rules.HOST)
            elif row.role is not role or row.entered_by != rules.HOST:
                raise username_taken()
            row.state, row.password_hash, row.totp_sealed = PersonState.INVITED, None, None
            row.confirmed_by = rules.HOST
            unit.session.add(row)
            unit.session.flush()
            token = new_activation(unit.session, row.id, now)
            unit.emit(AdministratorBootstrapped(actor=rules.HOST, subject=row.id, username=username, role=role.value))
        return token

    def suspend_person(self, actor: str, person_id: str) -> Person:
        """Take everything from a person: sign-ins and activation end at once.

        Raises NotFound, Conflict `identities.person_suspended`, Conflict `identities.not_oneself`.
        """
        if actor == person_id:
            raise not_oneself()
        with self._database.unit_of_work() as unit:
            row = unit.session.get(PersonRow, person_id)
            if row is None:
                raise person_not_found()
            if row.state is PersonState.SUSPENDED:
                raise person_suspended()
            row.state = PersonState.SUSPENDED
            unit.session.add(row)
            activation = unit.session.get(ActivationRow, person_id)
            if activation is not None:
                unit.session.delete(activation)
            store.end_sign_ins(unit.session, person_id)
            unit.emit(PersonSuspended(actor=actor, subject=row.id, username=row.username))
            return store.person_of(row)

    def choose_language(self, person_id: str, language: Language) -> None:
        """Remember the language of somebody's console. Raises NotFound."""
        with self._database.unit_of_work() as unit:
            row = unit.session.get(PersonRow, person_id)
            if row is None:
                raise person_not_found()
            if row.language is not language:
                row.language = language
                unit.session.add(row)
                unit.emit(LanguageChosen(actor=person_id, subject=person_id, language=language.value))

    # -- activation ---------------------------------------------------------------------------------------------------

    def begin_activation(self, token: str, source: str) -> SecondFactorOffer:
        """Show one of the plant's people a seed for their authenticator.

        The token stays good; each call makes a new seed.

        Raises Unauthenticated `identities.activation_refused`, and TooMany when this source fails too often.
        """
        now = self._clock.now()
        self._throttle.check(source, now)
        with self._database.unit_of_work() as unit:
            activation, person = self._activation(unit.session, token, Face.PLANT, source, now)
            offer = self._offer(person)
            activation.totp_sealed = seal_totp_seed(self._sealer, person.id, offer.totp_secret)
            unit.session.add(activation)
            unit.emit(SecondFactorOffered(actor=person.id, subject=person.id, source=source))
        return offer

    def complete_activation(self, token: str, password: SecretText, totp: SecretText, source: str) -> SecretText | None:
        """Activate one of the plant's people: the code proves that the authenticator holds the seed last shown.

        Returns the code that this person reads to the security administrator who confirms the account, shown this
        once; None for those whom root made. Raises Unauthenticated `identities.activation_refused`, Invalid
        `identities.password_unfit` or `identities.wrong_code` (the token stays good), and TooMany when this source
        fails too often.
        """
        now = self._clock.now()
        self._throttle.check(source, now)
        with self._database.reading() as session:
            activation, person = self._activation(session, token, Face.PLANT, source, now)
            seed, sealed = activation.totp_sealed, activation.totp_sealed
            self._check_password(password, person.username)
            if seed is None or sealed is None:
                raise activation_refused()
            secret = open_totp_seed(self._sealer, person.id, sealed)
        step = matching_step(secret, totp.reveal(), rules.acceptable_steps(now, None))
        if step is None:
            self._throttle.failed(source, now)
            raise wrong_code()
        return self._activate(token, Face.PLANT, password, sealed, step, source, None)

    def activate_vendor(
        self, token: str, password: SecretText, connection: VendorConnection, owner_id: str
    ) -> SecondFactorOffer:
        """Activate a vendor's engineer from their own trusted device, and show the seed for their authenticator.

        `owner_id` is what `SignInService.owner_of` says of the connection. Raises Unauthenticated
        `identities.activation_refused` (also when the device is another person's), Invalid `identities.password_unfit`
        (the token stays good), TooMany when this device fails too often.
        """
        now = self._clock.now()
        self._throttle.check(connection.device_id, now)
        with self._database.reading() as session:
            _, person = self._activation(session, token, Face.VENDOR, connection.device_id, now)
            if person.id != owner_id:
                self._throttle.failed(connection.device_id, now)
                raise activation_refused()
            self._check_password(password, person.username)
            offer = self._offer(person)
        sealed = seal_totp_seed(self._sealer, owner_id, offer.totp_secret)
        self._activate(token, Face.VENDOR, password, sealed, None, connection.source, connection.device_id)
        return offer

    def _activate(
        self,
        token: str,
        face: Face,
        password: SecretText,
        totp_sealed: bytes,
        used_step: int | None,
        source: str,
        device_id: str | None,
    ) -> SecretText | None:
        """Spend the token and store both factors, unless the token was spent or its seed replaced in the meantime.

        Returns the confirmation code of an account that waits for its confirmation.
        """
        password_hash = self._passwords.hash(password.reveal())
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            activation, person = self._activation(unit.session, token, face, device_id or source, now)
            if face is Face.PLANT and activation.totp_sealed != totp_sealed:
                raise activation_refused()
            unit.session.delete(activation)
            person.password_hash, person.totp_sealed, person.last_totp_step = password_hash, totp_sealed, used_step
            person.state = rules.state_when_activated(person.role, person.confirmed_by)
            person.failed_attempts, person.locked_until = 0, None
            waits = person.state is PersonState.UNCONFIRMED
            code = spoken(secrets.token_bytes(SPOKEN_BYTES)) if waits else None
            person.confirmation_hash = store.confirmation_hash(person.id, code) if code is not None else None
            if person.confirmed_by is not None:
                person.confirmed_at = now
            unit.session.add(person)
            store.end_sign_ins(unit.session, person.id)
            unit.emit(
                PersonActivated(
                    actor=person.id,
                    subject=person.id,
                    face=face.value,
                    waits=waits,
                    device_id=device_id,
                    source=source,
                )
            )
        return SecretText(code) if code is not None else None

    def _activation(
        self, session: Session, token: str, face: Face, throttled: str, now: datetime
    ) -> tuple[ActivationRow, PersonRow]:
        activation = store.activation_by_token(session, token)
        person = session.get(PersonRow, activation.person_id) if activation is not None else None
        if (
            activation is None
            or person is None
            or activation.expires_at <= now
            or person.state is not PersonState.INVITED
            or rules.is_plant_role(person.role) is not (face is Face.PLANT)
        ):
            self._throttle.failed(throttled, now)
            raise activation_refused()
        return activation, person

    @staticmethod
    def _check_password(password: SecretText, username: str) -> None:
        fault = rules.password_fault(password.reveal(), username)
        if fault is not None:
            raise password_unfit(fault)

    @staticmethod
    def _offer(person: PersonRow) -> SecondFactorOffer:
        secret = new_totp_secret()
        return SecondFactorOffer(
            person.username,
            person.display_name,
            SecretText(secret),
            SecretText(totp_uri(secret, person.username)),
        )

    # -- reading ------------------------------------------------------------------------------------------------------

    def people(self, *, limit: int = 200, after: str | None = None) -> list[Person]:
        """People in the order they were entered in, those after the id `after`."""
        with self._database.reading() as session:
            return store.people(session, limit=limit, after=after)

    def get(self, person_id: str) -> Person:
        """One person. Raises NotFound."""
        with self._database.reading() as session:
            return self.get_within(session, person_id)

    def get_within(self, session: Session, person_id: str) -> Person:
        """One person, read in the caller's transaction. Raises NotFound."""
        row = session.get(PersonRow, person_id)
        if row is None:
            raise person_not_found()
        return store.person_of(row)

    def several_within(self, session: Session, person_ids: Collection[str]) -> dict[str, Person]:
        """Those of these people who exist, by id, read in the caller's transaction."""
        return {person.id: person for person in store.several(session, person_ids)}

    def display_names(self, person_ids: Collection[str]) -> Mapping[str, str]:
        """The names of those of these people who exist."""
        with self._database.reading() as session:
            return {person.id: person.display_name for person in store.several(session, person_ids)}

    def able_owners(self, person_ids: Collection[str]) -> Collection[str]:
        """Those of these people who are vendors' engineers and not suspended."""
        with self._database.reading() as session:
            return {
                person.id
                for person in store.several(session, person_ids)
                if person.role is Role.VENDOR_ENGINEER and person.state is not PersonState.SUSPENDED
            }


def open_totp_seed(sealer: Sealer, person_id: str, sealed: bytes) -> str:
    """The seed of a person's authenticator. Raises SealBroken when it was moved or altered."""
    return sealer.open(sealed, _bound_to(person_id)).decode()


def seal_totp_seed(sealer: Sealer, person_id: str, seed: SecretText) -> bytes:
    """The seed of a person's authenticator, sealed so that it opens for this person only."""
    return sealer.seal(seed.reveal().encode(), _bound_to(person_id))


def _bound_to(person_id: str) -> bytes:
    return associated_data("totp seed", {"person_id": person_id})


def _new_person(
    username: str,
    display_name: str,
    role: Role,
    company: str | None,
    language: Language,
    now: datetime,
    *,
    entered_by: str,
) -> PersonRow:
    return PersonRow(
        id=new_id("psn", now),
        username=username,
        display_name=display_name,
        role=role,
        company=company,
        language=language,
        state=PersonState.INVITED,
        created_at=now,
        entered_by=entered_by,
    )


def new_activation(session: Session, person_id: str, now: datetime) -> SecretText:
    """A one-use activation token in place of whatever the person has."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = session.get(ActivationRow, person_id)
    if row is None:
        row = ActivationRow(person_id=person_id, token_hash=b"", expires_at=now)
    row.token_hash, row.totp_sealed = store.token_hash(token), None
    row.expires_at = now + rules.ACTIVATION_VALID
    session.add(row)
    return SecretText(token)
