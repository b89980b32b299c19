"""What happened to people and their sign-ins. No event holds a password, a code, a token or a seed."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class PersonCreated(AuditEvent):
    """Somebody was given an account and an activation token. Subject: the person."""

    code: ClassVar[str] = "identities.person.created"
    username: Public[str]
    role: Public[str]
    company: Public[str | None]


@dataclass(frozen=True, kw_only=True)
class AdministratorBootstrapped(AuditEvent):
    """Whoever commands the host had the first administrator of a role made, or the activation renewed.

    Subject: the person.
    """

    code: ClassVar[str] = "identities.administrator.bootstrapped"
    username: Public[str]
    role: Public[str] = "system_administrator"


@dataclass(frozen=True, kw_only=True)
class AdministratorRecovered(AuditEvent):
    """Whoever commands the host took an administrator's factors away and got a new activation. Subject: the person."""

    code: ClassVar[str] = "identities.administrator.recovered"
    username: Public[str]
    role: Public[str]
    reason: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PersonConfirmed(AuditEvent):
    """A second administrator compared the code with the person: the account can be used. Subject: the person."""

    code: ClassVar[str] = "identities.person.confirmed"
    username: Public[str]
    role: Public[str]
    entered_by: Public[str]


@dataclass(frozen=True, kw_only=True)
class ConfirmationRefused(AuditEvent):
    """A code that differs was typed for somebody who waits to be confirmed. Subject: the person."""

    code: ClassVar[str] = "identities.person.confirmation_refused"
    username: Public[str]


@dataclass(frozen=True, kw_only=True)
class PersonReset(AuditEvent):
    """A person's factors and confirmation were taken away and a new activation token was made. Subject: the person."""

    code: ClassVar[str] = "identities.person.reset"
    username: Public[str]
    role: Public[str]
    state_before: Public[str]


@dataclass(frozen=True, kw_only=True)
class SecondFactorOffered(AuditEvent):
    """An activation token was shown and a new seed was made for it. Subject: the person."""

    code: ClassVar[str] = "identities.second_factor.offered"
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PersonActivated(AuditEvent):
    """A person chose a password and a second factor; the activation token is spent. Subject: the person.

    `waits` says whether the account can be used only once a second administrator has confirmed it.
    """

    code: ClassVar[str] = "identities.person.activated"
    face: Public[str]
    waits: Public[bool] = False
    device_id: Public[str | None]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class PersonSuspended(AuditEvent):
    """A person may do nothing more; their sign-ins are over. Subject: the person."""

    code: ClassVar[str] = "identities.person.suspended"
    username: Public[str]


@dataclass(frozen=True, kw_only=True)
class LanguageChosen(AuditEvent):
    """A person chose the console's language. Subject: the person."""

    code: ClassVar[str] = "identities.language.chosen"
    language: Public[str]


@dataclass(frozen=True, kw_only=True)
class SignedIn(AuditEvent):
    """Somebody signed in with both factors. Subject: the sign-in."""

    code: ClassVar[str] = "identities.sign_in.succeeded"
    face: Public[str]
    device_id: Public[str | None]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class SignInRefused(AuditEvent):
    """A sign-in failed. Subject: the person, or `system:unknown-person`; the caller is not told the reason."""

    code: ClassVar[str] = "identities.sign_in.refused"
    face: Public[str]
    reason: Sensitive[str]
    device_id: Public[str | None]
    source: Sensitive[str]
    failed_attempts: Public[int]


@dataclass(frozen=True, kw_only=True)
class SignInMoved(AuditEvent):
    """A vendor's token was used from another address than the one it was given to; it is over. Subject: the sign-in."""

    code: ClassVar[str] = "identities.sign_in.moved"
    device_id: Public[str]
    source_before: Sensitive[str]
    source: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class SignedOut(AuditEvent):
    """Somebody signed out. Subject: the sign-in."""

    code: ClassVar[str] = "identities.sign_in.ended"
    face: Public[str]
