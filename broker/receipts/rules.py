"""When a receipt is due, and whether one says what the plant knows. Functions of values."""

from datetime import datetime, timedelta
from typing import Final

from broker.receipts.model import Due, ReceiptState
from spa_knock.wire.receipt import Receipt

GIVEN_WITHIN: Final = timedelta(minutes=15)
TAKEN_WITHIN: Final = timedelta(days=7)
"""After `GIVEN_WITHIN` its absence is entered; one that comes within `TAKEN_WITHIN` is still taken."""

_SAID_OF_THE_SESSION: Final = ("site", "session_id", "grant_id", "device_id", "recording_id")
_SAID_OF_THE_RECORDING: Final = (
    *("target", "signing_key", "header_sha256", "head", "head_signature", "end", "began_ms", "ended_ms"),
)


def difference(receipt: Receipt, due: Due) -> str | None:
    """The first field in which a receipt differs from what the plant knows, None when it is right.

    What a device refuses to confirm may be wrong in all that is said of the recording.
    """
    named = _SAID_OF_THE_SESSION if receipt.refusal else _SAID_OF_THE_SESSION + _SAID_OF_THE_RECORDING
    return next((name for name in named if getattr(receipt, name) != getattr(due, name)), None)


def state_of(receipt: Receipt) -> ReceiptState:
    """What a device's word makes of the session's receipt."""
    return ReceiptState.REFUSED if receipt.refusal else ReceiptState.RECEIVED


def is_missing(ended_at: datetime, now: datetime) -> bool:
    """Whether the device had its time and said nothing."""
    return now >= ended_at + GIVEN_WITHIN
