"""What the plant tells a device of its sessions, and what it keeps of the answer."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class ReceiptState(Enum):
    """`missing` becomes `received` or `refused` when the device speaks late; these two stay."""

    RECEIVED = "received"
    REFUSED = "refused"
    MISSING = "missing"


@dataclass(frozen=True)
class Due:
    """A session of which its device is told: while it runs, and from its end until the device has spoken.

    Hashes, keys and heads are lower-case hexadecimal; `head` is the signed part of the last head that the recording's
    key signed, empty while there is none. `end` is `running`, `sealed` or `broken`; `ended_ms` is 0 while it runs.
    """

    site: str
    session_id: str
    grant_id: str
    device_id: str
    target: str
    recording_id: str
    signing_key: str
    header_sha256: str
    head: str
    head_signature: str
    end: str
    began_ms: int
    ended_ms: int


@dataclass(frozen=True)
class KeptReceipt:
    """What the plant keeps for a session. `line` None: the device said nothing."""

    session_id: str
    device_id: str
    state: ReceiptState
    line: bytes | None
    refusal: str | None
    at: datetime
