"""The refusals of receipts."""

from broker.kernel.errors import Conflict, Forbidden, Invalid


def unreadable(why: str) -> Invalid:
    """What came is no receipt, or its key did not sign it."""
    return Invalid("sessions.receipt_unreadable", "This is no receipt of a session.", {"reason": why})


def not_yours() -> Forbidden:
    """Another device's session, another key, or a session that there is not; the three are never told apart."""
    return Forbidden("sessions.receipt_not_yours", "This device has no session of that name.")


def too_early(session_id: str) -> Conflict:
    """The session still runs."""
    return Conflict(
        "sessions.receipt_too_early", "The session still runs; its receipt comes after it.", {"id": session_id}
    )


def too_late(session_id: str) -> Conflict:
    """Nobody waits for this receipt any more."""
    return Conflict(
        "sessions.receipt_too_late", "The session ended more than 7 days ago; keep the receipt.", {"id": session_id}
    )


def differs(session_id: str, field: str) -> Conflict:
    """It does not say what the plant knows."""
    return Conflict(
        "sessions.receipt_differs",
        f"The receipt's `{field}` is not what the plant knows; read what is due again.",
        {"id": session_id, "field": field},
    )


def already(session_id: str) -> Conflict:
    """Another one is held."""
    return Conflict("sessions.receipt_already", "Another receipt of this session is held.", {"id": session_id})
