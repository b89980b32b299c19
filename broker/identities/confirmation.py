"""What one administrator must not do alone to an account: confirming a person, giving them new factors."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.identities import rules, store
from broker.identities.errors import (
    confirmation_code_differs,
    not_a_bootstrap_role,
    not_oneself_reset,
    person_not_found,
)
from broker.identities.events import (
    AdministratorRecovered,
    ConfirmationRefused,
    PersonConfirmed,
    PersonReset,
)
from broker.identities.model import Person, PersonState
from broker.identities.service import CreatedPerson, new_activation
from broker.identities.store import PersonRow
from broker.identities.throttle import Throttle
from broker.kernel.clock import Clock
from broker.kernel.sensitivity import SecretText

_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True)
class ConfirmationService:
    """Confirms people by a code read aloud, and takes factors away so that new ones must be confirmed again."""

    database: Database
    clock: Clock
    throttle: Throttle

    def confirm(self, actor: str, person_id: str, code: str) -> Person:
        """Let an account be used whose owner read this code aloud, the one shown when the factors were chosen.

        It binds the factors to the person: whoever used the activation link in another's name has another code. Raises
        NotFound, Conflict `identities.not_to_be_confirmed`, Forbidden `identities.confirmer_not_allowed`, Invalid
        `identities.confirmation_code_differs`, and TooMany after many wrong codes.
        """
        now = self.clock.now()
        self.throttle.check(actor, now)
        with self.database.unit_of_work() as unit:
            row = _row(unit.session, person_id)
            rules.check_confirmer(store.person_of(row), store.person_of(_row(unit.session, actor)))
            is_right = hmac.compare_digest(row.confirmation_hash or b"", store.confirmation_hash(row.id, code))
            if is_right:
                row.state, row.confirmed_by, row.confirmed_at = PersonState.ACTIVE, actor, now
                row.confirmation_hash = None
                unit.session.add(row)
                unit.session.flush()
                unit.emit(
                    PersonConfirmed(
                        actor=actor,
                        subject=row.id,
                        username=row.username,
                        role=row.role.value,
                        entered_by=row.entered_by,
                    )
                )
            else:
                unit.emit(ConfirmationRefused(actor=actor, subject=row.id, username=row.username))
            person = store.person_of(row)
        if not is_right:
            self.throttle.failed(actor, now)
            raise confirmation_code_differs()
        return person

    def reset(self, actor: str, person_id: str) -> CreatedPerson:
        """Take a person's factors and confirmation away and give a new activation token; it is shown this once.

        For a lost phone, a link that has expired, or somebody who was suspended and comes back. Sign-ins end at once.
        Until the new factors are chosen, and for people of the plant confirmed, the account can do nothing. Raises
        NotFound and Conflict `identities.not_oneself_reset`.
        """
        if actor == person_id:
            raise not_oneself_reset()
        now = self.clock.now()
        with self.database.unit_of_work() as unit:
            row = _row(unit.session, person_id)
            before = row.state
            token = _without_factors(unit.session, row, now)
            # The rule of two holds for whoever hands out the link now, not for whoever did so long ago.
            row.entered_by, row.confirmed_by = actor, None
            unit.session.add(row)
            unit.session.flush()
            unit.emit(
                PersonReset(
                    actor=actor,
                    subject=row.id,
                    username=row.username,
                    role=row.role.value,
                    state_before=before.value,
                )
            )
            person = store.person_of(row)
        return CreatedPerson(person, token)

    def recover(self, username: str, reason: str) -> SecretText:
        """A new activation for a system or security administrator, confirmed beforehand: for root on the host.

        For a site whose administrators can no longer sign in or confirm each other. Raises NotFound and Invalid.
        """
        why = " ".join(reason.split())[:_REASON_CHARACTERS]
        now = self.clock.now()
        with self.database.unit_of_work() as unit:
            row = store.person_named(unit.session, username)
            if row is None:
                raise person_not_found()
            if row.role not in rules.BOOTSTRAP_ROLES:
                raise not_a_bootstrap_role()
            token = _without_factors(unit.session, row, now)
            row.confirmed_by = rules.HOST
            unit.session.add(row)
            unit.session.flush()
            unit.emit(
                AdministratorRecovered(
                    actor=rules.HOST, subject=row.id, username=username, role=row.role.value, reason=why
                )
            )
        return token


def _without_factors(session: Session, row: PersonRow, now: datetime) -> SecretText:
    row.state, row.confirmation_hash = PersonState.INVITED, None
    row.password_hash, row.totp_sealed, row.last_totp_step = None, None, None
    row.failed_attempts, row.locked_until = 0, None
    store.end_sign_ins(session, row.id)
    return new_activation(session, row.id, now)


def _row(session: Session, person_id: str) -> PersonRow:
    row = session.get(PersonRow, person_id)
    if row is None:
        raise person_not_found()
    return row
