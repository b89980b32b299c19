"""What can be wrong with a knock, a proof or a receipt.

WireError
├── PacketError     a packet, signed knock or field that is not well formed
├── SealError       the authenticated encryption does not open with this device's key
├── SignatureError  the device's signature does not fit
├── ProofError      the first bytes of a connection prove nothing
└── ReceiptError    a receipt that cannot be read, or that its device or its recording did not sign
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


class ReceiptError(WireError):
    """A receipt that is none; `code` is `not_a_receipt`, `not_signed` or `head_not_signed`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
