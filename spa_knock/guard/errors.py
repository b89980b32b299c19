"""What can stop the guard or one of its links.

GuardError
├── RosterError       control sent something that is no roster; the link is closed, the old roster stays
└── StampStoreError   the anti-replay file cannot be used; no knock may be accepted
    └── StoreFull     the file has no room for another device
"""


class GuardError(Exception):
    """Any failure of the guard."""


class RosterError(GuardError):
    """Control sent something that is no roster."""


class StampStoreError(GuardError):
    """The anti-replay file cannot be used."""


class StoreFull(StampStoreError):
    """The anti-replay file has no room for another device."""
