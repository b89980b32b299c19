"""What the vault tells the trail. No event holds a secret."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public, Sensitive


@dataclass(frozen=True, kw_only=True)
class CredentialPut(AuditEvent):
    """A secret was stored for an account and bound to its target as it is; an earlier one is gone.

    Subject: the credential.
    """

    code: ClassVar[str] = "vault.credential.put"
    target_id: Public[str]
    account: Sensitive[str]
    kind: Public[str]
    replaces: Public[str | None]


@dataclass(frozen=True, kw_only=True)
class CredentialDestroyed(AuditEvent):
    """A secret was erased because its target was retired. Subject: the credential."""

    code: ClassVar[str] = "vault.credential.destroyed"
    target_id: Public[str]
    account: Sensitive[str]


@dataclass(frozen=True, kw_only=True)
class CredentialLeased(AuditEvent):
    """A session was given a secret, once. Subject: the lease."""

    code: ClassVar[str] = "vault.credential.leased"
    credential_id: Public[str]
    session_id: Public[str]
    target_id: Public[str]
    account: Sensitive[str]
