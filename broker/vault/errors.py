"""The refusals of the vault."""

from broker.kernel.errors import Conflict, Invalid, NotFound


def detached() -> Conflict:
    """The credential was bound to this target as it was, and the target has changed since."""
    return Conflict(
        "vault.detached",
        "The target's address, port or host key changed after its credential was stored. "
        "A security administrator must store the credential again.",
    )


def no_credential() -> NotFound:
    """No credential is held for this account."""
    return NotFound("vault.no_credential", "No credential is stored for this account of the target.")


def lease_spent() -> Conflict:
    """A session gets its credential once."""
    return Conflict("vault.lease_spent", "This session was already given its credential. Connect again.")


def account_not_found() -> NotFound:
    """The target has no such account."""
    return NotFound("not_found", "The target has no such account.")


def secret_unfit(fault: str) -> Invalid:
    """The secret cannot be used."""
    return Invalid("vault.secret_unfit", "The secret cannot be used: see the fault.", {"fault": fault})
