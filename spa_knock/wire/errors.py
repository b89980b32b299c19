"""What can be wrong with a knock or a proof.

WireError
├── PacketError     a packet, signed knock or field that is not well formed
├── SealError       the authenticated encryption does not open with this device's key
├── SignatureError  the device's signature does not fit
└── ProofError      the first bytes of a connection prove nothing
"""


class WireError(Exception):
    """Any failed check of the wire format."""


class PacketError(WireError):
    """A packet, signed knock or field that is not well formed."""


class SealError(WireError):
    """The authenticated encryption does not open with this device's key."""


class SignatureError(WireError):
    """The device's signature does not fit."""


class ProofError(WireError):
    """The first bytes of a connection prove nothing."""
