"""What each role may do, and the pure checks of signing in."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.identities.errors import confirmer_not_allowed, not_to_be_confirmed
from broker.identities.model import Person, PersonState, Role

_READS: Final = frozenset(
    {
        "identities.person.read",
        "devices.device.read",
        "targets.zone.read",
        "targets.target.read",
        "access_requests.request.read",
        "grants.grant.read",
        "sessions.session.read",
        "recordings.recording.read",
        "recordings.retention.read",
        "app.health.read",
    }
)

PERMISSIONS: Final[dict[Role, frozenset[str]]] = {
    Role.SYSTEM_ADMINISTRATOR: frozenset(
        {
            "identities.person.read",
            "identities.person.create",
            "identities.person.suspend",
            "identities.person.reset",
            "devices.device.read",
            "app.settings.read",
            "app.settings.change",
            "app.health.read",
            "audit.state.read",
            "boundary.rules.read",
            "recordings.retention.read",
            "recordings.purge.ask",
        }
    ),
    Role.SECURITY_ADMINISTRATOR: frozenset(
        {
            "identities.person.read",
            "identities.person.confirm",
            "boundary.rules.read",
            "boundary.rules.check",
            "targets.zone.read",
            "targets.zone.create",
            "targets.target.read",
            "targets.target.create",
            "targets.target.change",
            "targets.target.retire",
            "targets.target.probe",
            "vault.credential.put",
            "policy.rule.read",
            "policy.rule.change",
            "app.health.read",
            "audit.state.read",
            "recordings.retention.read",
            "recordings.hold.lift",
        }
    ),
    Role.PLANT_ADMIN: _READS
    | {
        "devices.invite.create",
        "devices.device.trust",
        "devices.device.suspend",
        "devices.device.resume",
        "devices.device.retire",
        "access_requests.request.approve",
        "access_requests.request.deny",
        "grants.grant.revoke",
        "sessions.session.watch",
        "sessions.session.cut",
        "sessions.session.freeze",
        "sessions.session.message",
    },
    Role.AUDITOR: _READS
    | {
        "policy.rule.read",
        "sessions.session.watch",
        "recordings.recording.replay",
        "recordings.recording.unmask",
        "recordings.hold.place",
        "recordings.purge.confirm",
        "audit.event.read",
        "audit.state.read",
        "boundary.rules.read",
    },
    Role.VENDOR_ENGINEER: frozenset(),
}
"""The console's permissions by role. A vendor's engineer has none: the vendor face asks for the role itself."""

CONFIRMING_ROLE: Final = Role.SECURITY_ADMINISTRATOR
"""Who confirms people; who enters or resets them has another role, and a person has one role for good."""

BOOTSTRAP_ROLES: Final = frozenset({Role.SYSTEM_ADMINISTRATOR, CONFIRMING_ROLE})
"""The roles whose first holder root makes on the broker's host: one who enters people, one who confirms them."""

HOST: Final = "system:host"

MINIMUM_PASSWORD_LENGTH: Final = 12
MAXIMUM_PASSWORD_LENGTH: Final = 256
FREE_ATTEMPTS: Final = 5
_FIRST_LOCK: Final = timedelta(seconds=30)
_LONGEST_LOCK: Final = timedelta(minutes=15)
CONSOLE_IDLE: Final = timedelta(minutes=30)
CONSOLE_ABSOLUTE: Final = timedelta(hours=12)
VENDOR_IDLE: Final = timedelta(minutes=15)
VENDOR_ABSOLUTE: Final = timedelta(hours=12)
ACTIVATION_VALID: Final = timedelta(hours=72)
TOTP_STEP_SECONDS: Final = 30
_USERNAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def permissions_of(role: Role) -> frozenset[str]:
    """What the console lets this role do."""
    return PERMISSIONS[role]


def is_plant_role(role: Role) -> bool:
    """Whether people of this role sign in at the plant face; all others sign in at the vendor face only."""
    return role is not Role.VENDOR_ENGINEER


def state_when_activated(role: Role, confirmed_by: str | None) -> PersonState:
    """How far an account is once its factors are chosen.

    A vendor's engineer needs no confirmation: the factors are chosen on their own trusted device, whose trust was the
    word of a plant administrator. Root confirms beforehand whom it makes.
    """
    if is_plant_role(role) and confirmed_by is None:
        return PersonState.UNCONFIRMED
    return PersonState.ACTIVE


def check_confirmer(person: Person, confirmer: Person) -> None:
    """Refuse a confirmation by anybody but an active security administrator who neither is nor entered this person.

    Raises Conflict `identities.not_to_be_confirmed` and Forbidden `identities.confirmer_not_allowed`.
    """
    if person.state is not PersonState.UNCONFIRMED:
        raise not_to_be_confirmed()
    if confirmer.role is not CONFIRMING_ROLE or confirmer.state is not PersonState.ACTIVE:
        raise confirmer_not_allowed()
    if confirmer.id in {person.id, person.entered_by}:
        raise confirmer_not_allowed()


def is_username(text: str) -> bool:
    """Whether the text can be a user name: 1 to 64 of a-z, 0-9, dot, dash, underscore, ends alphanumeric."""
    return _USERNAME.fullmatch(text) is not None


def password_fault(password: str, username: str) -> str | None:
    """Why this password cannot be used (a code), or None when it can."""
    if len(password) < MINIMUM_PASSWORD_LENGTH:
        return "too_short"
    if len(password) > MAXIMUM_PASSWORD_LENGTH:
        return "too_long"
    if len(set(password)) < 4:
        return "too_uniform"
    if len(username) >= 4 and username.lower() in password.lower():
        return "holds_username"
    return None


def locked_until(failed_attempts: int, at: datetime) -> datetime | None:
    """Until when nobody signs in as this person after so many failures in a row, the last one just now.

    Nothing for the first four, then 30 s, doubling to at most 15 minutes: guessing is slow, and a stranger can keep
    the rightful person out for no longer than that.
    """
    if failed_attempts < FREE_ATTEMPTS:
        return None
    doublings = min(failed_attempts - FREE_ATTEMPTS, 10)
    return at + min(_FIRST_LOCK * (1 << doublings), _LONGEST_LOCK)


def totp_step(at: datetime) -> int:
    """The number of the time step (RFC 6238 section 4) that a moment lies in."""
    return int(at.timestamp()) // TOTP_STEP_SECONDS


def acceptable_steps(at: datetime, last_used_step: int | None) -> list[int]:
    """The time steps whose code is taken now: this one and its neighbours, but none that was used, or older."""
    present = totp_step(at)
    return [step for step in (present, present - 1, present + 1) if last_used_step is None or step > last_used_step]


@dataclass(frozen=True)
class SessionLimits:
    """How long a sign-in lasts."""

    idle: timedelta
    absolute: timedelta


CONSOLE_LIMITS: Final = SessionLimits(CONSOLE_IDLE, CONSOLE_ABSOLUTE)
VENDOR_LIMITS: Final = SessionLimits(VENDOR_IDLE, VENDOR_ABSOLUTE)


def is_over(limits: SessionLimits, started_at: datetime, last_seen_at: datetime, now: datetime) -> bool:
    """Whether a sign-in has ended by age or by idleness."""
    return now >= started_at + limits.absolute or now >= last_seen_at + limits.idle
