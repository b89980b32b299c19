"""A grant, the certificates issued under it, and how the guard is told of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class GrantState(Enum):
    """`issued → active → expired / revoked / used`; a grant nobody used skips `active`."""

    ISSUED = "issued"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    USED = "used"


class GrantCommand(Enum):
    """What can happen to a grant: `activate` is its first session, `finish` the vendor giving the rest back."""

    ACTIVATE = "activate"
    EXPIRE = "expire"
    REVOKE = "revoke"
    FINISH = "finish"


@dataclass(frozen=True)
class Grant:
    """The right that one approved request gives to one person on one device."""

    id: str
    request_id: str
    person_id: str
    device_id: str
    target_id: str
    account: str
    protocol: str
    not_before: datetime
    not_after: datetime
    approvals: int
    state: GrantState
    issued_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


@dataclass(frozen=True)
class LiveGrant:
    """A grant as the guard's roster holds it. `raw` is the 16 bytes that a knock carries."""

    grant_id: str
    raw: bytes
    door: int
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class CertificateFacts:
    """What our records say of a certificate that was handed out."""

    serial: int
    grant_id: str
    device_id: str
    person_id: str
    key_sha256: bytes
    source: str
    valid_after: datetime
    valid_before: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate for the vendor's agent: one OpenSSH line; it holds no secret."""

    line: str
    serial: int
    valid_before: datetime
