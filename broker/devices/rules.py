"""The life of a device as a table and a function; the short code; the name."""

import hashlib
from datetime import timedelta
from enum import Enum
from typing import Final

from broker.devices.errors import wrong_state
from broker.devices.model import DeviceState
from broker.kernel.spoken import SPOKEN_BYTES, same_spoken, spoken

INVITE_VALID: Final = timedelta(minutes=15)
CERTIFICATE_VALID: Final = timedelta(days=365)
DAYS_OF_GATE_KEYS: Final = 31
SITE_KEY_OVERLAP: Final = timedelta(days=DAYS_OF_GATE_KEYS + 1)
"""How long the site key before stays in force: longer than the day keys that clients got from it."""
SITE_KEY_LEAD: Final = timedelta(minutes=2)
"""How long a new site key is in the roster before clients get day keys of it, so that no guard meets one too early."""
HIGHEST_MARK: Final = 2**31 - 1
VENDOR_DOORS: Final = (1, 2)
INVITE_DOORS: Final = (1,)
_LONGEST_NAME: Final = 80


class DeviceCommand(Enum):
    """What an administrator may do to a device."""

    TRUST = "be trusted"
    SUSPEND = "be suspended"
    RESUME = "be resumed"
    RETIRE = "be retired"


MOVES: Final[dict[tuple[DeviceState, DeviceCommand], DeviceState]] = {
    (DeviceState.PENDING, DeviceCommand.TRUST): DeviceState.TRUSTED,
    (DeviceState.PENDING, DeviceCommand.RETIRE): DeviceState.RETIRED,
    (DeviceState.TRUSTED, DeviceCommand.SUSPEND): DeviceState.SUSPENDED,
    (DeviceState.TRUSTED, DeviceCommand.RETIRE): DeviceState.RETIRED,
    (DeviceState.SUSPENDED, DeviceCommand.RESUME): DeviceState.TRUSTED,
    (DeviceState.SUSPENDED, DeviceCommand.RETIRE): DeviceState.RETIRED,
}
"""Every allowed move; whatever is not here is refused."""


def moved(state: DeviceState, command: DeviceCommand) -> DeviceState:
    """The state after a command.

    Raises Conflict `devices.wrong_state` when the table has no such move.
    """
    after = MOVES.get((state, command))
    if after is None:
        raise wrong_state(state.value, command.value)
    return after


def short_code(public_key: bytes) -> str:
    """What two people compare aloud: the first 40 bits of SHA-256 of the key (DER SPKI), Crockford's base32, 4-4."""
    return spoken(hashlib.sha256(public_key).digest()[:SPOKEN_BYTES])


def same_short_code(expected: str, typed: str) -> bool:
    """Whether somebody typed this code; case, dashes, spaces and the letters O, I, L for digits do not matter."""
    return same_spoken(expected, typed)


def is_device_name(text: str) -> bool:
    """Whether the text can name a device: 1 to 80 printable characters, none of them space at an end."""
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable() and text == text.strip()
