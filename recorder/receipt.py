"""The archive's word that a whole copy of a recording lies under lock in the store of objects. Pure.

Whoever keeps the local file lets it go for nothing else: one line of JSON, signed (Ed25519, RFC 8032) by the archive's
key over a label and the canonical form. A receipt of a lock shorter than 180 days cannot be made nor read.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Final

from recorder.errors import DamagedRecordingError
from recorder.seal import check_signature
from recorder.tombstone import LEAST_KEPT_DAYS, LEAST_KEPT_MS

LINE_BYTES: Final = 4096
MODES: Final = frozenset({"compliance", "governance"})
_LABEL: Final = b"sallyport receipt v1\0"
_VERSION: Final = 1
_LARGEST: Final = 2**63 - 1
_HEX: Final = frozenset("0123456789abcdef")
Raw = bytes
"""For a class that has a field called `bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One verified copy: its bytes' count and SHA-256 as they were read back, and until when nobody can destroy it.

    Moments are milliseconds of the epoch. Raises ValueError for what no archive says.
    """

    site: str
    recording_id: str
    bytes: int
    sha256: str
    bucket: str
    version: str
    lock_mode: str
    locked_until_ms: int
    verified_at_ms: int

    def __post_init__(self) -> None:
        for name in ("site", "recording_id", "bucket", "version"):
            if not 0 < len(getattr(self, name)) <= 200:
                raise ValueError(f"{name} has 1 to 200 characters")
        if self.lock_mode not in MODES:
            raise ValueError("a lock is compliance or governance")
        if not all(0 <= number <= _LARGEST for number in (self.bytes, self.locked_until_ms, self.verified_at_ms)):
            raise ValueError("counts and moments are not negative")
        if len(self.sha256) != 64 or not set(self.sha256) <= _HEX:
            raise ValueError("a SHA-256 has 32 bytes")
        if self.locked_until_ms - self.verified_at_ms < LEAST_KEPT_MS:
            raise ValueError(f"a copy is locked for at least {LEAST_KEPT_DAYS} days")

    def canonical(self) -> Raw:
        """The bytes that are signed, but for the label."""
        return _json(asdict(self))


def signed_line(receipt: Receipt, sign: Callable[[bytes], bytes]) -> bytes:
    """The receipt with its signature by the archive's key."""
    return _line(receipt, sign(_LABEL + receipt.canonical()))


def read_line(line: bytes, public: bytes) -> Receipt:
    """The receipt of this line. Raises `DamagedRecordingError`: `not_a_receipt`, `forged_head` (another key's)."""
    try:
        document = json.loads(line) if len(line) <= LINE_BYTES else None
        if not isinstance(document, dict) or document.get("v") != _VERSION or set(document) != _OF_LINE:
            raise ValueError("this is no receipt of version 1")
        receipt = _of_fields(document["receipt"])
        signature = base64.b64decode(str(document["signature_b64"]), validate=True)
        if line != _line(receipt, signature):
            raise ValueError("it is not spelled as an archive writes it")
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise DamagedRecordingError("not_a_receipt", f"the receipt cannot be read: {error}") from None
    check_signature(public, signature, _LABEL + receipt.canonical())
    return receipt


_KINDS: Final = {one.name: one.type for one in fields(Receipt)}
_OF_LINE: Final = {"v", "receipt", "signature_b64"}


def _of_fields(values: object) -> Receipt:
    if not isinstance(values, dict) or set(values) != set(_KINDS):
        raise ValueError("a receipt has exactly its fields")
    if any(type(value) is not _KINDS[name] for name, value in values.items()):
        raise ValueError("a field is of the wrong kind")
    return Receipt(**values)


def _line(receipt: Receipt, signature: bytes) -> bytes:
    signed = base64.b64encode(signature).decode("ascii")
    return _json({"v": _VERSION, "receipt": asdict(receipt), "signature_b64": signed})


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
