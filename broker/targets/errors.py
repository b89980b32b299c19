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


def name_kept() -> Conflict:
    """A retired target keeps its name."""
    return Conflict(
        "targets.name_kept",
        "A retired target has this name and keeps it, so that its history is never read as another machine's. "
        "Choose another name.",
    )


def retired() -> Conflict:
    """The target is retired: its history is read, and nothing else is done with it."""
    return Conflict(
        "targets.retired", "The target is retired. Its history stays; for another machine enter another target."
    )


def unfit(field: str, message: str) -> Invalid:
    """A value cannot be used."""
    return Invalid("targets.unfit", message, {"field": field})
