"""What stays of a recording that was lawfully destroyed: a signed statement of what it was, who agreed, and why. Pure.

A missing recording without one is tampering. `docs/recording-format.md`, section 8, says it byte by byte: one line of
JSON, signed (Ed25519, RFC 8032) by the site's checkpoint key over a label and the canonical form. A tombstone of
a recording younger than 180 days, or one that a single person agreed to, cannot be made nor read.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Final

from recorder.errors import DamagedRecordingError
from recorder.seal import check_signature

SUFFIX: Final = ".tombstone"
LINE_BYTES: Final = 8192
LEAST_KEPT_DAYS: Final = 180
LEAST_KEPT_MS: Final = LEAST_KEPT_DAYS * 86_400_000

_LABEL: Final = b"sallyport tombstone v1\0"
_VERSION: Final = 1
_LONGEST: Final = 1000
_LARGEST: Final = 2**63 - 1
_STATES: Final = frozenset({"sealed", "broken"})
_HEX: Final = frozenset("0123456789abcdef")
Sign = Callable[[bytes], bytes]
Raw = bytes
"""For a class that has a field called `bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """One destroyed recording. Keys and hashes are lower-case hexadecimal; moments are milliseconds of the epoch.

    `head_sha256` and `head_signature` are the last signed head; both None for a recording that broke off without one.
    Raises ValueError for what no lawful purge leaves behind.
    """

    site: str
    recording_id: str
    session_id: str
    grant_id: str
    state: str
    opened_at_ms: int
    closed_at_ms: int
    frames: int
    batches: int
    bytes: int
    signing_key: str
    header_sha256: str
    head_sha256: str | None
    head_signature: str | None
    purge_id: str
    asked_by: str
    confirmed_by: str
    reason: str
    purged_at_ms: int

    def __post_init__(self) -> None:
        for name in ("site", "recording_id", "session_id", "grant_id", "purge_id", "asked_by", "confirmed_by"):
            if not 0 < len(getattr(self, name)) <= 80:
                raise ValueError(f"{name} has 1 to 80 characters")
        if not 0 < len(self.reason) <= _LONGEST:
            raise ValueError(f"a reason has 1 to {_LONGEST} characters")
        if self.state not in _STATES:
            raise ValueError("only a sealed or broken recording is destroyed")
        numbers = (self.opened_at_ms, self.closed_at_ms, self.frames, self.batches, self.bytes, self.purged_at_ms)
        if not all(0 <= number <= _LARGEST for number in numbers):
            raise ValueError("counts and moments are not negative")
        if not (_is_hex(self.signing_key, 32) and _is_hex(self.header_sha256, 32)):
            raise ValueError("a signing key and a header hash have 32 bytes")
        if self.head_sha256 is not None and not _is_hex(self.head_sha256, 32):
            raise ValueError("a head has 32 bytes")
        if self.head_signature is not None and not _is_hex(self.head_signature, 64):
            raise ValueError("a head's signature has 64 bytes")
        if self.asked_by == self.confirmed_by:
            raise ValueError("nobody destroys a recording alone: who asks does not confirm")
        if self.purged_at_ms - max(self.opened_at_ms, self.closed_at_ms) < LEAST_KEPT_MS:
            raise ValueError(f"a recording is kept for at least {LEAST_KEPT_DAYS} days after its end")

    def canonical(self) -> Raw:
        """The bytes that are signed, but for the label."""
        return _json(asdict(self))

    def signature(self, sign: Sign) -> Raw:
        """Its signature by the site's checkpoint key."""
        return sign(_LABEL + self.canonical())

    def check(self, signature: Raw, public: Raw) -> None:
        """Raises `DamagedRecordingError("forged_head")` unless the site's checkpoint key has signed this."""
        check_signature(public, signature, _LABEL + self.canonical())


_FIELDS: Final = frozenset(one.name for one in fields(Tombstone))
_NUMBERS: Final = frozenset({"opened_at_ms", "closed_at_ms", "frames", "batches", "bytes", "purged_at_ms"})
_OPTIONAL: Final = frozenset({"head_sha256", "head_signature"})


def line_of(tombstone: Tombstone, signature: bytes) -> bytes:
    """The line that a tombstone's file holds, without its end."""
    signed = base64.b64encode(signature).decode("ascii")
    return _json({"v": _VERSION, "tombstone": asdict(tombstone), "signature_b64": signed})


def read_line(line: bytes, public: bytes | None) -> Tombstone:
    """The tombstone of this line. With `public` None the signature is not checked: whoever shows it must say so.

    Raises `DamagedRecordingError`: `not_a_tombstone`, or `forged_head` when the key did not sign it.
    """
    try:
        document = json.loads(line) if len(line) <= LINE_BYTES else None
        if not isinstance(document, dict) or document.get("v") != _VERSION or set(document) != _OF_LINE:
            raise ValueError("this is no tombstone of version 1")
        tombstone = of_fields(document["tombstone"])
        signature = base64.b64decode(str(document["signature_b64"]), validate=True)
        if line.strip() != line_of(tombstone, signature):
            raise ValueError("it is not spelled as a site writes it")
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise DamagedRecordingError("not_a_tombstone", f"the tombstone cannot be read: {error}") from None
    if public is not None:
        tombstone.check(signature, public)
    return tombstone


def of_fields(values: object) -> Tombstone:
    """A tombstone from its fields by name. Raises ValueError."""
    if not isinstance(values, dict) or set(values) != _FIELDS:
        raise ValueError("a tombstone has exactly its fields")
    for name, value in values.items():
        if name in _NUMBERS:
            fits = isinstance(value, int) and not isinstance(value, bool)
        else:
            fits = isinstance(value, str) or (value is None and name in _OPTIONAL)
        if not fits:
            raise ValueError(f"{name} is of the wrong kind")
    return Tombstone(**values)


_OF_LINE: Final = {"v", "tombstone", "signature_b64"}


def _is_hex(text: str, count: int) -> bool:
    return len(text) == 2 * count and set(text) <= _HEX


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
