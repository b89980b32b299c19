"""The audit events of the site as a whole."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class BackupMade(AuditEvent):
    """A copy of everything that the site knows left it, sealed to this recovery key. It stands in the copy too."""

    code: ClassVar[str] = "site.backup.made"
    recovery_key_sha256: Public[str]


@dataclass(frozen=True, kw_only=True)
class BackupRestored(AuditEvent):
    """The site goes on from a backup: what came after record `last_seq` is not on this trail."""

    code: ClassVar[str] = "site.backup.restored"
    made_at: Public[str]
    last_seq: Public[int]


@dataclass(frozen=True, kw_only=True)
class ServerCertificatesRenewed(AuditEvent):
    """The three servers got new keys and certificates, for their next start. Subject: the site."""

    code: ClassVar[str] = "site.certificates.renewed"
    not_after: Public[str]
