"""The refusals of access requests."""

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany


def invalid(field: str, message: str) -> Invalid:
    """What was asked cannot be used as it is."""
    return Invalid("invalid", message, {"field": field})


def not_found(request_id: str) -> NotFound:
    """No such request, or not to be seen by this caller."""
    return NotFound("not_found", "There is no such access request.", {"id": request_id})


def unknown_target(name: str) -> NotFound:
    """No such target, or not to be seen by this caller."""
    return NotFound("not_found", "There is no such target or account.", {"target": name})


def not_in_state(state: str, command: str) -> Conflict:
    """The request was already decided, withdrawn or lapsed."""
    return Conflict(
        "access_requests.not_in_state",
        f"The request is {state}; it cannot be changed in this way any more.",
        {"state": state, "command": command},
    )


def too_many_waiting(limit: int) -> TooMany:
    """The person has too many requests that nobody decided yet."""
    return TooMany(
        "access_requests.too_many_waiting",
        "Too many of your requests still wait for a decision; withdraw some first.",
        {"limit": limit},
    )


def device_not_trusted() -> Forbidden:
    """The device that asks is not trusted."""
    return Forbidden("device_not_trusted", "The plant does not trust this device (any more).")


def approver_is_requester() -> Forbidden:
    """Nobody approves their own request."""
    return Forbidden("access_requests.approver_is_requester", "You cannot approve your own request.")


def approver_not_allowed() -> Forbidden:
    """Approving needs an active person of the approving role."""
    return Forbidden("access_requests.approver_not_allowed", "Only an active plant administrator approves requests.")


def approver_counted() -> Conflict:
    """One person counts once."""
    return Conflict("access_requests.approver_counted", "You have already approved this; another person must.")


def approver_vouched_for_device() -> Forbidden:
    """Who invited or trusted the device does not approve its access alone."""
    return Forbidden(
        "access_requests.approver_vouched_for_device",
        "You invited or trusted this device, so somebody else must approve its access.",
    )


def wider_than_asked() -> Invalid:
    """Approval may shorten what was asked, never widen it."""
    return Invalid("access_requests.wider_than_asked", "Approval cannot grant more than was asked.")


def window_over() -> Conflict:
    """What was asked lies in the past."""
    return Conflict("access_requests.window_over", "The time that was asked for is already over.")


def nothing_allows_it() -> Forbidden:
    """The access policy allows no session there, whoever approves."""
    return Forbidden("denied", "The plant's access policy allows no such access.")
