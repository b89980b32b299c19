"""Every table of the product, registered by import: for the schema's history."""

from typing import Final

from sqlmodel import SQLModel

from broker.access_requests import store as access_requests
from broker.audit import health as audit_health
from broker.audit import store as audit
from broker.devices import store as devices
from broker.grants import store as grants
from broker.identities import store as identities
from broker.knock_link import store as knock_link
from broker.receipts import store as receipts
from broker.recordings import copy_store as copies
from broker.recordings import retention_store as retention
from broker.recordings import store as recordings
from broker.sessions import store as sessions
from broker.targets import store as targets
from broker.vault import store as vault

ALL: Final[tuple[type[SQLModel], ...]] = (
    identities.PersonRow,
    identities.ActivationRow,
    identities.SignInRow,
    devices.InviteRow,
    devices.DeviceRow,
    devices.SiteKeyRow,
    targets.ZoneRow,
    targets.TargetRow,
    targets.AccountRow,
    vault.CredentialRow,
    vault.LeaseRow,
    knock_link.KnockRow,
    access_requests.AccessRequestRow,
    access_requests.AccessApprovalRow,
    grants.GrantRow,
    grants.SshCertificateRow,
    sessions.SessionRow,
    sessions.UsedProofRow,
    sessions.GatewayStreamRow,
    recordings.RecordingRow,
    retention.HoldRow,
    retention.PurgeRow,
    retention.PurgeItemRow,
    retention.TombstoneRow,
    copies.CopyRow,
    receipts.ReceiptRow,
    audit.AuditEventRow,
    audit.OutboxRow,
    audit_health.HeartbeatRow,
)
