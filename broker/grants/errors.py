"""The refusals of grants."""

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound


def not_found(grant_id: str) -> NotFound:
    """No such grant, or not to be seen by this caller."""
    return NotFound("not_found", "There is no such grant.", {"id": grant_id})


def request_not_approved(request_id: str) -> Conflict:
    """A grant comes from an approved request only."""
    return Conflict("not_approved_yet", "The request is not approved.", {"id": request_id})


def not_in_state(state: str, command: str) -> Conflict:
    """The grant is over already."""
    return Conflict(
        "grants.not_in_state",
        f"The grant is {state}; this cannot be done any more.",
        {"state": state, "command": command},
    )


def denied(state: str) -> Forbidden:
    """The grant was revoked or given back."""
    return Forbidden("denied", f"The grant is {state}; ask for access again.", {"state": state})


def outside_window() -> Forbidden:
    """It is too early or too late."""
    return Forbidden("outside_window", "It is outside the granted window.")


def device_not_trusted() -> Forbidden:
    """Another device than the one the grant was given to, or one that is not trusted any more."""
    return Forbidden("device_not_trusted", "The grant cannot be used from this device.")


def key_not_usable() -> Invalid:
    """The key to be certified is of a kind we do not certify."""
    return Invalid(
        "invalid",
        "The public key must be an OpenSSH line of an Ed25519 or ECDSA P-256 key.",
        {"field": "public_key"},
    )


def reason_needed() -> Invalid:
    """Revoking needs a reason."""
    return Invalid("invalid", "Say why, in at most 500 characters.", {"field": "reason"})
