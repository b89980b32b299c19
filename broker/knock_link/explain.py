"""Why a knock opened nothing, in words for the host's operator, and what to do about it (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.knock_link.model import LastRefusal


@dataclass(frozen=True)
class Explained:
    """What was wrong with a device's knock, and what helps."""

    found: str
    do: str


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "not_ready": ("the guard was not ready", "See the guard's state above"),
    "roster_expired": ("control had sent no fresh roster", "See whether control runs: sallyport doctor"),
    "malformed": ("it was of another version", "Install the client of this site's release"),
    "audience": ("it was made for another site", "Have the engineer use the right client folder (SALLY_HOME)"),
    "replayed": (
        "it was not newer than the last one: a copy, or the device's clock went back",
        "One refusal beside an accepted knock is a harmless copy; else compare the device's clock",
    ),
    "fenced": ("it was stamped before the guard's start fence", "The next knock works"),
    "device_expired": ("the device's certificate has run out", "Invite the device anew"),
    "door": ("it asked for a door that this device may not open", "Nothing, unless it repeats"),
    "no_grant": ("it named no grant whose window is open now", "Look at the grant's window"),
    "bind": ("it was bound to a key that is not the device's", "Suspend the device and ask its owner"),
    "signature": ("the device's signature was wrong", "Suspend the device: its knock key is used without its own key"),
    "rate": ("the device knocked too often", "It may knock again in some seconds"),
    "store": ("the anti-replay file could not be written", "See the guard's journal; free space on its disk"),
    "facts_waiting": ("control did not take what the guard told it", "See whether control runs: sallyport doctor"),
    "gateway": ("the gateway did not answer the guard in time", "See whether the gateway runs: sallyport doctor"),
    "opener": ("the opener did not answer the guard in time", "See whether the opener runs: sallyport doctor"),
}
SUMMARY: Final[Mapping[str, str]] = {
    "length": "wrong length",
    "key_id": "no device of today's roster: junk, a revoked device, or one whose clock is more than 10 minutes wrong",
    "gate": "not made with this site's gate key: junk",
    "seal": "does not open under the device's key: altered on the way",
    "clock": "clock more than 30 s wrong",
    "address": "came from another address than it names",
    **{reason: words for reason, (words, _) in _WORDS.items()},
}
"""Short words for each of the guard's refusal counters."""


def explain(refusal: LastRefusal) -> Explained:
    """The cause of a refusal, with its numbers."""
    match refusal.reason:
        case "clock" if refusal.clock_off_seconds is not None:
            off = refusal.clock_off_seconds
            way = "ahead" if off > 0 else "behind"
            return Explained(
                f"the device's clock is {_length(abs(off))} {way}; 30 s are allowed",
                "Have its clock set; after its next sign-in the client allows for what is left",
            )
        case "address" if refusal.named is not None:
            return Explained(
                f"it names {refusal.named} and came from {refusal.source}: translated on the way, or another network",
                "Its next knock leaves the address to the packet, unless this device must name its own",
            )
        case "address":
            return Explained(
                f"it names no address and this device must name its own; it came from {refusal.source}",
                "Let the device leave its address to the packet, or have it connect without address translation",
            )
        case reason:
            found, do = _WORDS.get(reason, (SUMMARY.get(reason, reason.replace("_", " ")), ""))
            return Explained(found, do)


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
