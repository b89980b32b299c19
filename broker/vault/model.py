"""Credentials of target accounts and the leases of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from broker.kernel.sensitivity import SecretText


class CredentialKind(Enum):
    """What the secret is."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind, not a secret
    PRIVATE_KEY = "private_key"


class CredentialState(Enum):
    """Whether an account has a secret, and whether it opens for the target as it is now."""

    ABSENT = "absent"
    BOUND = "bound"
    DETACHED = "detached"


@dataclass(frozen=True)
class Credential:
    """That a secret is held for an account of a target; never the secret itself."""

    id: str
    target_id: str
    account_id: str
    account: str
    kind: CredentialKind
    created_at: datetime


@dataclass(frozen=True)
class Lease:
    """A secret opened for one session, with the target that it was bound to. `secret` prints as `***`."""

    lease_id: str
    session_id: str
    credential_id: str
    kind: CredentialKind
    secret: SecretText
    target_id: str
    address: str
    port: int
    host_key: str
    account: str
