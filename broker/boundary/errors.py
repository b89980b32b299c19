"""The refusals of the boundary."""

from broker.kernel.errors import Conflict, Invalid


def unfit_plan(field: str, message: str) -> Invalid:
    """A plan that would give wrong or ambiguous rules."""
    return Invalid("boundary.unfit_plan", message, {"field": field})


def unreadable_export(message: str) -> Invalid:
    """A text that is not what the firewall's own tool exports."""
    return Invalid("boundary.unreadable_export", message)


def not_configured() -> Conflict:
    """The site says nothing of its boundary firewall."""
    return Conflict(
        "boundary.not_configured", "The site's boundary firewall is not described yet; describe it in boundary.toml."
    )


def zone_not_described(zone: str) -> Conflict:
    """A zone has targets, but nobody said where the firewall meets it."""
    return Conflict(
        "boundary.zone_not_described",
        f"The zone {zone} has targets, but boundary.toml gives it no interface and no prefixes.",
        {"zone": zone},
    )
