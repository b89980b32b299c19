"""The refusals of devices."""

from datetime import datetime

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound


def device_not_trusted() -> Forbidden:
    """The one answer to every connection whose device is not trusted now, or whose certificate is not its own."""
    return Forbidden("device_not_trusted", "This device is not trusted. Ask the plant's administrator.")


def invite_refused() -> Forbidden:
    """The one answer to an invite that is unknown, used, expired, or presented with something not its own."""
    return Forbidden("devices.invite_refused", "The invite is used, expired or unknown. Ask for a new one.")


def device_not_found() -> NotFound:
    """There is no such device to be seen by the caller."""
    return NotFound("not_found", "There is no such device.")


def owner_not_found() -> NotFound:
    """The person cannot be invited."""
    return NotFound("not_found", "There is no vendor's engineer of that id who could own a device.")


def short_code_differs() -> Invalid:
    """The code read aloud is not this device's."""
    return Invalid(
        "devices.short_code_differs",
        "The code is not this device's. Have it read again from the engineer's own screen; "
        "if it still differs, retire the device.",
    )


def wrong_state(state: str, command: str) -> Conflict:
    """The device's state does not permit this."""
    return Conflict(
        "devices.wrong_state", f"A device that is {state} cannot {command}.", {"state": state, "command": command}
    )


def request_unfit(fault: str) -> Invalid:
    """The certificate request cannot be used."""
    return Invalid("devices.request_unfit", "The certificate request cannot be used: see the fault.", {"fault": fault})


def name_unfit() -> Invalid:
    """The text cannot name a device."""
    return Invalid("devices.name_unfit", "A device's name has 1 to 80 printable characters.")


def rotation_under_way(until: datetime) -> Conflict:
    """The last rotation of the site key is not over."""
    return Conflict(
        "devices.site_key_rotating",
        f"The last rotation goes on until {until:%Y-%m-%d %H:%M} UTC: clients still hold day keys of the key before. "
        "Rotate again after that.",
    )


def clock_too_loose() -> Invalid:
    """A loose clock needs a named address."""
    return Invalid(
        "devices.policy_unfit",
        "A device with a loose clock must name its address in every knock: switch the header's address off too.",
    )
