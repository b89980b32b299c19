"""A receipt: what the device's key says of a session when it is over. Pure.

One line of JSON in canonical form (sorted keys, no blanks, ASCII), signed by the device's key (`signature.py`) over a
label and the line's `receipt` object. Both sides keep it. It holds the last head that the recording's own key signed,
so that whoever rewrites the recording afterwards, with every key of the plant, contradicts a device that he does not
have. `docs/recording-format.md`, section 10, says it byte by byte.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from spa_knock.wire.errors import PacketError, ReceiptError, SignatureError
from spa_knock.wire.signature import SIGNATURE_BYTES, load_public_key, verify

LINE_BYTES: Final = 4096
REFUSALS: Final = frozenset({"other_recording", "went_back", "head_not_signed", "other_target", "no_head"})
"""Why a device does not confirm what the plant tells: another key or header than it told while the session ran, fewer
batches than then, a head that the recording's key did not sign, a target nobody here asked for, no signed head."""

_VERSION: Final = 1
_LABEL: Final = b"sallyport session receipt v1\0"
_HEAD_LABEL: Final = b"sallyport recording signature v1\0"
_COUNTS: Final = Struct(">B3xQQQQ32s")
_SEALED_EXTRA: Final = 72
_RUNNING, _SEALED = 0x48, 0x53
_ENDS: Final = frozenset({"running", "sealed", "broken"})
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*\Z")
_TEXT: Final = re.compile(r"[\x21-\x7e]{1,80}\Z")
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What a head states: whole batches and frames, the file offset behind them, microseconds, and the chain there."""

    is_sealed: bool
    batches: int
    frames: int
    offset: int
    at_us: int
    chain_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One session as its device saw it end. Hashes, keys, head and signature are lower-case hexadecimal.

    `head` is the signed part of the recording's last head (tag up to signature), empty for a recording that broke off
    before one was signed. `end`: `sealed`, `broken`, or `running` for what the plant did not end in time. Moments are
    milliseconds of the epoch. `heads_seen`: how many different heads the device got while the session ran.
    `refusal` is empty for a receipt; else the device says with it why it gives none. Raises ValueError.
    """

    site: str
    session_id: str
    grant_id: str
    device_id: str
    target: str
    recording_id: str
    signing_key: str
    header_sha256: str
    head: str
    head_signature: str
    end: str
    began_ms: int
    ended_ms: int
    heads_seen: int
    signed_at_ms: int
    refusal: str = ""

    def __post_init__(self) -> None:
        for name in ("site", "session_id", "grant_id", "device_id", "target", "recording_id"):
            if not _TEXT.match(getattr(self, name)):
                raise ValueError(f"{name} has 1 to 80 printable characters")
        for name, lengths in (
            ("signing_key", (32,)),
            ("header_sha256", (32,)),
            ("head", (0, _COUNTS.size, _COUNTS.size + _SEALED_EXTRA)),
            ("head_signature", (0, SIGNATURE_BYTES)),
        ):
            value = getattr(self, name)
            if not _HEX.match(value) or len(value) // 2 not in lengths:
                raise ValueError(f"{name} is lower-case hexadecimal of a known length")
        if bool(self.head) != bool(self.head_signature):
            raise ValueError("a head comes with its signature")
        if self.end not in _ENDS or (self.refusal and self.refusal not in REFUSALS):
            raise ValueError("an end or a refusal is one of the known words")
        if not all(0 <= one <= _LARGEST for one in (self.began_ms, self.ended_ms, self.heads_seen, self.signed_at_ms)):
            raise ValueError("counts and moments are not negative")

    def head_facts(self) -> HeadFacts | None:
        """What the head states; None without one. Raises ReceiptError unless the recording's key signed it."""
        return head_facts(self.head, self.head_signature, self.header_sha256, self.signing_key) if self.head else None


def head_facts(head: str, signature: str, header_sha256: str, signing_key: str) -> HeadFacts:
    """What a head states that came with its signature, all in hexadecimal.

    Raises ReceiptError `head_not_signed` unless the recording's key signed it for this header.
    """
    try:
        record = bytes.fromhex(head)
        signed = _HEAD_LABEL + bytes.fromhex(header_sha256) + record
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signing_key)).verify(bytes.fromhex(signature), signed)
    except (InvalidSignature, ValueError) as error:
        raise ReceiptError("head_not_signed", "the recording's key did not sign this head") from error
    tag = record[0] if record else 0
    if len(record) != {_RUNNING: _COUNTS.size, _SEALED: _COUNTS.size + _SEALED_EXTRA}.get(tag):
        raise ReceiptError("head_not_signed", "this is no head of a recording")
    _, batches, frames, offset, at_us, chain = _COUNTS.unpack_from(record)
    return HeadFacts(tag == _SEALED, batches, frames, offset, at_us, chain)


@dataclass(frozen=True, slots=True)
class Signed:
    """A receipt with the key that signed it: DER SubjectPublicKeyInfo. Whose key that is, is the caller's check."""

    receipt: Receipt
    device_key: bytes
    line: bytes

    @property
    def sha256(self) -> str:
        """The line's name, in hexadecimal."""
        return hashlib.sha256(self.line).hexdigest()


def make(receipt: Receipt, device_key: bytes, sign: Callable[[bytes], bytes]) -> Signed:
    """Sign a receipt; `device_key` is the public half as DER SubjectPublicKeyInfo."""
    line = _line(receipt, device_key, sign(_LABEL + _canonical(asdict(receipt))))
    return Signed(receipt, device_key, line)


def read(line: bytes) -> Signed:
    """The receipt of a line, its signature checked against the device key that it names.

    Raises ReceiptError: `not_a_receipt`, `not_signed`.
    """
    try:
        document = json.loads(line) if len(line) <= LINE_BYTES else None
        if not isinstance(document, dict) or document.get("v") != _VERSION or set(document) != _OF_LINE:
            raise ValueError("it is no receipt of version 1")
        receipt = _of_fields(document["receipt"])
        device_key = base64.b64decode(str(document["device_key_b64"]), validate=True)
        signature = base64.b64decode(str(document["signature_b64"]), validate=True)
        if line.rstrip(b"\n") != _line(receipt, device_key, signature):
            raise ValueError("it is not spelled as a device writes it")
        public = load_public_key(device_key)
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError, PacketError) as error:
        raise ReceiptError("not_a_receipt", f"this receipt cannot be read: {error}") from None
    try:
        verify(public, signature, _LABEL + _canonical(asdict(receipt)))
    except SignatureError as error:
        raise ReceiptError("not_signed", "the device key that this receipt names did not sign it") from error
    return Signed(receipt, device_key, line.rstrip(b"\n"))


_FIELDS: Final = frozenset(one.name for one in fields(Receipt))
_NUMBERS: Final = frozenset({"began_ms", "ended_ms", "heads_seen", "signed_at_ms"})
_OF_LINE: Final = {"v", "receipt", "device_key_b64", "signature_b64"}


def _of_fields(values: object) -> Receipt:
    if not isinstance(values, dict) or set(values) != _FIELDS:
        raise ValueError("it has not exactly a receipt's fields")
    for name, value in values.items():
        if type(value) is not (int if name in _NUMBERS else str):
            raise ValueError(f"{name} is of the wrong kind")
    return Receipt(**values)


def _line(receipt: Receipt, device_key: bytes, signature: bytes) -> bytes:
    return _canonical(
        {
            "v": _VERSION,
            "receipt": asdict(receipt),
            "device_key_b64": base64.b64encode(device_key).decode("ascii"),
            "signature_b64": base64.b64encode(signature).decode("ascii"),
        }
    )


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
