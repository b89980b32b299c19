"""A gateway's events as one signed sequence: what is signed, and how one follows the other. Pure.

At each start a gateway makes an Ed25519 key (RFC 8032) that never leaves its memory, and signs with its evidence key
that this key speaks for this start (a *boot*). Every event is then an *entry*: numbered from one within its boot,
naming the SHA-256 of the statement of the entry before it, also across boots, and signed by the boot's key. So who gets
hold of the gateway's files and its evidence key afterwards can leave out entries at the end of a boot that control
knows, but neither change nor add any.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from recorder.errors import DamagedRecordingError
from recorder.seal import KEY_BYTES, Signer, check_signature

ORIGIN: Final = bytes(32)
"""What the very first entry of a gateway names as the one before it."""

_BOOT_LABEL: Final = b"sallyport gateway boot v1\0"
_ENTRY_LABEL: Final = b"sallyport gateway entry v1\0"
_LONGEST_NAME: Final = 64
_LONGEST_PAYLOAD: Final = 60_000
_LARGEST: Final = 2**63 - 1
_SIGNATURE_BYTES: Final = 64
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of a gateway worker, and the public half of the key that it made for itself."""

    worker: str
    boot_id: str
    public: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if not all(0 < len(name) <= _LONGEST_NAME for name in (self.worker, self.boot_id)):
            raise ValueError(f"a worker and a boot have names of 1 to {_LONGEST_NAME} characters")
        if len(self.public) != KEY_BYTES or len(self.signature) != _SIGNATURE_BYTES:
            raise ValueError("a boot's key has 32 bytes and its signature 64")

    def check(self, evidence_public: bytes) -> None:
        """Raises `DamagedRecordingError("forged_head")` unless the gateway's evidence key vouches for this key."""
        check_signature(evidence_public, self.signature, _boot_statement(self.worker, self.boot_id, self.public))

    def to_json(self) -> dict[str, object]:
        return {
            "worker": self.worker,
            "boot_id": self.boot_id,
            "public_hex": self.public.hex(),
            "signature_b64": base64.b64encode(self.signature).decode("ascii"),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `previous` is the link of the entry before it; `payload` is the event's JSON, letter by letter."""

    boot_id: str
    seq: int
    previous: bytes
    payload: str
    signature: bytes

    def __post_init__(self) -> None:
        if not 0 < len(self.boot_id) <= _LONGEST_NAME or not 1 <= self.seq <= _LARGEST:
            raise ValueError("an entry names its boot and counts from one")
        if len(self.previous) != len(ORIGIN) or len(self.signature) != _SIGNATURE_BYTES:
            raise ValueError("a link has 32 bytes and a signature 64")
        if not 0 < len(self.payload) <= _LONGEST_PAYLOAD:
            raise ValueError(f"a payload has 1 to {_LONGEST_PAYLOAD} characters")

    @property
    def link(self) -> bytes:
        """What the entry behind this one names."""
        return hashlib.sha256(_entry_statement(self.boot_id, self.seq, self.previous, self.payload)).digest()

    def check(self, boot: Boot) -> None:
        """Raises `DamagedRecordingError("forged_head")` unless this boot's key has signed this entry."""
        statement = _entry_statement(self.boot_id, self.seq, self.previous, self.payload)
        if self.boot_id != boot.boot_id:
            raise DamagedRecordingError("forged_head", "the entry is of another boot than its key")
        check_signature(boot.public, self.signature, statement)

    def to_json(self) -> dict[str, object]:
        return {
            "boot_id": self.boot_id,
            "seq": self.seq,
            "previous_hex": self.previous.hex(),
            "payload": self.payload,
            "signature_b64": base64.b64encode(self.signature).decode("ascii"),
        }


@dataclass(frozen=True, slots=True)
class BootKey:
    """A boot with its private key, for the gateway that runs."""

    boot: Boot
    _signer: Signer

    @classmethod
    def make(cls, worker: str, boot_id: str, sign: Sign, random: Callable[[int], bytes]) -> "BootKey":
        """A new key; `sign` is the evidence key's."""
        signer = Signer.generate(random)
        signature = sign(_boot_statement(worker, boot_id, signer.public))
        return cls(Boot(worker, boot_id, signer.public, signature), signer)

    def entry(self, seq: int, previous: bytes, payload: str) -> Entry:
        """The next entry. Raises ValueError for a payload that is too long."""
        statement = _entry_statement(self.boot.boot_id, seq, previous, payload)
        return Entry(self.boot.boot_id, seq, previous, payload, self._signer.sign(statement))


def read_boot(data: object) -> Boot:
    """A boot from its JSON. Raises ValueError."""
    fields = _fields(data)
    return Boot(
        _text(fields, "worker"),
        _text(fields, "boot_id"),
        bytes.fromhex(_text(fields, "public_hex")),
        _binary(fields, "signature_b64"),
    )


def read_entry(data: object) -> Entry:
    """An entry from its JSON. Raises ValueError."""
    fields = _fields(data)
    seq = fields.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool):
        raise ValueError("an entry has a number")
    return Entry(
        _text(fields, "boot_id"),
        seq,
        bytes.fromhex(_text(fields, "previous_hex")),
        _text(fields, "payload"),
        _binary(fields, "signature_b64"),
    )


def _boot_statement(worker: str, boot_id: str, public: bytes) -> bytes:
    return _BOOT_LABEL + _sized(worker) + _sized(boot_id) + public


def _entry_statement(boot_id: str, seq: int, previous: bytes, payload: str) -> bytes:
    return _ENTRY_LABEL + _sized(boot_id) + seq.to_bytes(8, "big") + previous + payload.encode()


def _sized(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _fields(data: object) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise ValueError("an object is needed")
    return data


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text")
    return value


def _binary(fields: Mapping[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(_text(fields, name), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name} is base64") from error
