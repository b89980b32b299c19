"""The refusals of targets."""

from broker.kernel.errors import Conflict, Invalid, NotFound


def target_not_found() -> NotFound:
    """There is no such target to be seen by the caller."""
    return NotFound("not_found", "There is no such target.")


def zone_not_found() -> NotFound:
    """There is no such zone."""
    return NotFound("not_found", "There is no such zone.")


def name_taken(kind: str) -> Conflict:
    """Another zone or target has this name."""
    return Conflict("targets.name_taken", f"Another {kind} has this name.", {"kind": kind})


def unfit(field: str, message: str) -> Invalid:
    """A value cannot be used."""
    return Invalid("targets.unfit", message, {"field": field})
