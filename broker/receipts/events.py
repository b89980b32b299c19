"""The audit events of receipts. Their subject is the session."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class ReceiptReceived(AuditEvent):
    """The device's key confirmed the session and the last head of its recording. `is_late`: its absence was told."""

    code: ClassVar[str] = "receipts.receipt.received"
    device_id: Public[str]
    recording_id: Public[str]
    receipt_sha256: Public[str]
    end: Public[str]
    heads_seen: Public[int]
    is_late: Public[bool]


@dataclass(frozen=True, kw_only=True)
class ReceiptRefused(AuditEvent):
    """The device signed that it does not confirm what the plant told it: an alarm, whoever is wrong."""

    code: ClassVar[str] = "receipts.receipt.refused"
    device_id: Public[str]
    recording_id: Public[str]
    receipt_sha256: Public[str]
    refusal: Public[str]
    heads_seen: Public[int]
    is_late: Public[bool]


@dataclass(frozen=True, kw_only=True)
class ReceiptMissing(AuditEvent):
    """The device said nothing of a session in time."""

    code: ClassVar[str] = "receipts.receipt.missing"
    device_id: Public[str]
    recording_id: Public[str]


@dataclass(frozen=True, kw_only=True)
class ReceiptNotTaken(AuditEvent):
    """A device sent a receipt of its own session that is not right. `field`: in which it differs, if it was read."""

    code: ClassVar[str] = "receipts.receipt.not_taken"
    device_id: Public[str]
    problem: Public[str]
    field: Public[str | None]
