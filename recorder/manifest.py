"""The signed parts of a recording: header, running heads, the `sealed` and the `broken` trailer. Pure.

Byte layouts in `docs/recording-format.md`; all integers big-endian. What a signature covers is always
domain + header SHA-256 + the record from its tag up to the signature.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from recorder.errors import DamagedRecordingError, RecordingError
from recorder.seal import KEY_BYTES, SIGNATURE_BYTES, SealedKey, check_signature

MAGIC: Final = b"SALYREC1"
END_MAGIC: Final = b"SALYEND1"
MAX_HEADER_BYTES: Final = 1 << 16
PREFIX_BYTES: Final = len(MAGIC) + 4
REASON_BYTES: Final = 64

TAG_HEAD: Final = 0x48
TAG_SEALED: Final = 0x53
TAG_BROKEN: Final = 0x58

_CIPHER: Final = "AES-256-GCM"
_SCHEME: Final = "X25519-HKDF-SHA256-AES-256-GCM"
_MASK_SCHEME: Final = "XOR-2 X25519-HKDF-SHA256-AES-256-GCM"
_DOMAIN: Final = b"sallyport recording signature v1\0"

_COUNTS: Final = Struct(">B3xQQQQ32s")
_SEALED: Final = Struct(">Q64s")
_BROKEN: Final = Struct(">Q64sQ32sQ32s")
_FOOTER: Final = Struct(">I8s")

FOOTER_BYTES: Final = _FOOTER.size
HEAD_BYTES: Final = _COUNTS.size + SIGNATURE_BYTES
SEALED_BYTES: Final = _COUNTS.size + _SEALED.size + SIGNATURE_BYTES + FOOTER_BYTES
BROKEN_BYTES: Final = _COUNTS.size + _BROKEN.size + SIGNATURE_BYTES + FOOTER_BYTES

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_WORD: Final = re.compile(r"[a-z0-9._-]{1,64}\Z")

Sign = Callable[[bytes], bytes]
Raw = bytes
"""For classes that have a field called `bytes`."""


@dataclass(frozen=True, slots=True)
class RecordingHeader:
    """What is known when a recording begins. Stands in plain text in the file: labels hold names, never secrets.

    `width` and `height` are the first terminal's columns and rows; zero means no terminal was asked for.
    """

    recording_id: str
    session_id: str
    created_at_ms: int
    protocol: str
    width: int
    height: int
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.match(self.recording_id) or not _ID.match(self.session_id):
            raise ValueError("recording and session ids are 1 to 64 letters, digits, '_' or '-'")
        if not _WORD.match(self.protocol):
            raise ValueError("a protocol is 1 to 64 lower-case letters, digits, '.', '_' or '-'")
        if self.created_at_ms < 0 or not 0 <= self.width <= 0xFFFF or not 0 <= self.height <= 0xFFFF:
            raise ValueError("created_at_ms is not negative, width and height fit 16 bits")


@dataclass(frozen=True, slots=True)
class Opening:
    """The whole front of a file: the header, the recording's public key and its sealed data key."""

    header: RecordingHeader
    signing_public: bytes
    key: SealedKey
    mask_parts: tuple[SealedKey, SealedKey] | None = None

    def encode(self, sign: Sign) -> bytes:
        """Prefix, JSON and signature. Raises `RecordingError("header_too_large")` above 64 KiB of JSON."""
        version: dict[str, object] = {"v": 1}
        if self.mask_parts is not None:
            version = {"v": 2, "mask": {"scheme": _MASK_SCHEME, "parts": [_key_json(one) for one in self.mask_parts]}}
        text = json.dumps(
            {
                **version,
                "recording_id": self.header.recording_id,
                "session_id": self.header.session_id,
                "created_at_ms": self.header.created_at_ms,
                "protocol": self.header.protocol,
                "width": self.header.width,
                "height": self.header.height,
                "labels": self.header.labels,
                "cipher": _CIPHER,
                "signing_public_b64": _b64(self.signing_public),
                "key": {"scheme": _SCHEME, **_key_json(self.key)},
            },
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        if len(text) > MAX_HEADER_BYTES:
            raise RecordingError("header_too_large", f"a header of {len(text)} bytes is over {MAX_HEADER_BYTES}")
        signed = MAGIC + len(text).to_bytes(4, "big") + text
        return signed + sign(_DOMAIN + hashlib.sha256(signed).digest())


def header_json_bytes(prefix: bytes) -> int:
    """How much JSON follows a file's first 12 bytes. Raises `DamagedRecordingError`: `not_a_recording`, `flipped`."""
    if prefix[: len(MAGIC)] != MAGIC:
        raise DamagedRecordingError("not_a_recording", "the file does not begin like a version 1 recording")
    length = int.from_bytes(prefix[len(MAGIC) :], "big")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise DamagedRecordingError("flipped", f"the header claims {length} bytes, which no writer wrote")
    return length


def decode_opening(signed: bytes, signature: bytes) -> Opening:
    """The front of a file from its prefix with JSON and its signature.

    Raises `DamagedRecordingError("flipped")` unless the header is valid and signed by the key that it names.
    """
    try:
        value = json.loads(signed[PREFIX_BYTES:].decode())
        if value["v"] not in (1, 2) or (value["cipher"], value["key"]["scheme"]) != (_CIPHER, _SCHEME):
            raise DamagedRecordingError("unsupported", "the recording needs a newer reader")
        numbers = [value[name] for name in ("created_at_ms", "width", "height")]
        texts = [value[name] for name in ("recording_id", "session_id", "protocol")]
        labels = value["labels"]
        texts += [*labels.keys(), *labels.values()]
        if not all(type(number) is int for number in numbers) or not all(type(text) is str for text in texts):
            raise ValueError("a field has the wrong type")
        "".join(texts).encode()  # an escaped half of a character is no text
        header = RecordingHeader(
            texts[0], texts[1], numbers[0], texts[2], width=numbers[1], height=numbers[2], labels=labels
        )
        mask_parts = _mask_parts(value["mask"]) if value["v"] == 2 else None
        opening = Opening(header, _unb64(value["signing_public_b64"]), _key_of(value["key"]), mask_parts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRecordingError("flipped", "the header is not readable") from error
    try:
        check_signature(opening.signing_public, signature, _DOMAIN + hashlib.sha256(signed).digest())
    except DamagedRecordingError as error:
        raise DamagedRecordingError("flipped", "the header was altered: its signature does not match") from error
    return opening


def _key_json(key: SealedKey) -> dict[str, str]:
    return {
        "recipient_public_b64": _b64(key.recipient_public),
        "ephemeral_public_b64": _b64(key.ephemeral_public),
        "sealed_b64": _b64(key.sealed),
    }


def _key_of(value: Mapping[str, object]) -> SealedKey:
    return SealedKey(
        _unb64(value["recipient_public_b64"]), _unb64(value["ephemeral_public_b64"]), _unb64(value["sealed_b64"])
    )


def _mask_parts(value: Mapping[str, object]) -> tuple[SealedKey, SealedKey]:
    if value["scheme"] != _MASK_SCHEME:
        raise DamagedRecordingError("unsupported", "the recording needs a newer reader")
    parts = value["parts"]
    if not isinstance(parts, list) or len(parts) != 2:
        raise ValueError("a mask has two parts")
    return _key_of(parts[0]), _key_of(parts[1])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("binary is base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("binary is not valid base64") from error


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a recording reaches: whole batches and frames, the file offset behind them, the time and the chain."""

    batches: int
    frames: int
    offset: int
    at_us: int
    chain_sha256: bytes

    def pack(self, tag: int) -> bytes:
        return _COUNTS.pack(tag, self.batches, self.frames, self.offset, self.at_us, self.chain_sha256)


def _unpack_counts(record: bytes, tag: int) -> Counts:
    """The counts at the front of a record; a wrong tag or padding that is not zero is damage."""
    found, batches, frames, size, at_us, chain = _COUNTS.unpack_from(record)
    if found != tag or record[1:4] != bytes(3):
        raise DamagedRecordingError("flipped", "a signed record has bytes that no writer wrote")
    return Counts(batches, frames, size, at_us, chain)


@dataclass(frozen=True, slots=True)
class Head:
    """A signed statement by the recording's own key that everything up to here is whole.

    A running head has neither `sealed_at_ms` nor `reason`; the head of the `sealed` trailer has both.
    `bytes` is the file offset at which the head itself begins.
    """

    batches: int
    frames: int
    bytes: int
    at_us: int
    chain_sha256: Raw
    signature: Raw
    sealed_at_ms: int | None = None
    reason: str | None = None

    @property
    def counts(self) -> Counts:
        return Counts(self.batches, self.frames, self.bytes, self.at_us, self.chain_sha256)


def sign_head(counts: Counts, header_sha256: bytes, sign: Sign) -> tuple[Head, bytes]:
    """A running head and its record."""
    signed = counts.pack(TAG_HEAD)
    signature = sign(_DOMAIN + header_sha256 + signed)
    return _head(counts, signature), signed + signature


def decode_head(record: bytes, header_sha256: bytes, signing_public: bytes) -> Head:
    """Raises `DamagedRecordingError`: `forged_head` when the signature does not match."""
    counts = _unpack_counts(record, TAG_HEAD)
    signed, signature = record[: _COUNTS.size], record[_COUNTS.size :]
    check_signature(signing_public, signature, _DOMAIN + header_sha256 + signed)
    return _head(counts, signature)


def check_head(head: Head, header_sha256: bytes, signing_public: bytes) -> None:
    """Raises `DamagedRecordingError("forged_head")` unless this running head was signed by that key."""
    check_signature(signing_public, head.signature, _DOMAIN + header_sha256 + head.counts.pack(TAG_HEAD))


def decode_head_statement(
    statement: bytes, signature: bytes, header_sha256: bytes, signing_public: bytes
) -> tuple[int, Counts]:
    """The tag and the counts of a head's signed part that came apart from its file: of a running or a sealing head.

    Raises `DamagedRecordingError`: `flipped` for what is no head's, `forged_head` for a wrong signature.
    """
    sizes = {TAG_HEAD: _COUNTS.size, TAG_SEALED: _COUNTS.size + _SEALED.size}
    tag = statement[0] if statement else 0
    if len(statement) != sizes.get(tag):
        raise DamagedRecordingError("flipped", "this is no head of a recording")
    check_signature(valid_public_key(signing_public), signature, _DOMAIN + header_sha256 + statement)
    return tag, _unpack_counts(statement, tag)


def sign_sealed(counts: Counts, reason: str, sealed_at_ms: int, header_sha256: bytes, sign: Sign) -> tuple[Head, bytes]:
    """The last head and the `sealed` trailer. `reason` is a stable code of at most 64 lower-case characters."""
    signed = counts.pack(TAG_SEALED) + _SEALED.pack(sealed_at_ms, encode_reason(reason))
    signature = sign(_DOMAIN + header_sha256 + signed)
    return _head(counts, signature, sealed_at_ms, reason), signed + signature + _footer(SEALED_BYTES)


def decode_sealed(record: bytes, header_sha256: bytes, signing_public: bytes) -> Head:
    """Raises `DamagedRecordingError`: `flipped` for a damaged footer, `forged_head` for a wrong signature."""
    counts = _unpack_counts(record, TAG_SEALED)
    signed = record[: _COUNTS.size + _SEALED.size]
    signature = record[len(signed) : len(signed) + SIGNATURE_BYTES]
    if record[len(signed) + SIGNATURE_BYTES :] != _footer(SEALED_BYTES):
        raise DamagedRecordingError("flipped", "the end of the sealed trailer was altered")
    check_signature(signing_public, signature, _DOMAIN + header_sha256 + signed)
    sealed_at_ms, reason = _SEALED.unpack_from(record, _COUNTS.size)
    return _head(counts, signature, sealed_at_ms, _decode_reason(reason))


def _head(counts: Counts, signature: bytes, sealed_at_ms: int | None = None, reason: str | None = None) -> Head:
    return Head(
        counts.batches,
        counts.frames,
        counts.offset,
        counts.at_us,
        counts.chain_sha256,
        signature,
        sealed_at_ms=sealed_at_ms,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class BrokenMark:
    """The `broken` trailer: what was whole when a file left by a crash was found, signed by another key.

    `counts` reach to the end of the last whole record; `anchored_batches` is the last batch that the recording's own
    key vouches for. Batches after it were whole when marked, but nobody can prove that none followed them.
    `tail_bytes` torn bytes stand between the last whole record and this trailer, fixed by `tail_sha256`.
    """

    counts: Counts
    marked_at_ms: int
    reason: str
    tail_bytes: int
    tail_sha256: bytes
    anchored_batches: int
    evidence_public: bytes

    def _signed(self) -> bytes:
        return self.counts.pack(TAG_BROKEN) + _BROKEN.pack(
            self.marked_at_ms,
            encode_reason(self.reason),
            self.tail_bytes,
            self.tail_sha256,
            self.anchored_batches,
            self.evidence_public,
        )

    def encode(self, header_sha256: bytes, sign: Sign) -> bytes:
        """The trailer record, signed with the private half of `evidence_public`."""
        signed = self._signed()
        return signed + sign(_DOMAIN + header_sha256 + signed) + _footer(BROKEN_BYTES)


def decode_broken(record: bytes, header_sha256: bytes) -> BrokenMark:
    """The mark, its signature checked against the key that it names; whether that key is trusted is the caller's check.

    Raises `DamagedRecordingError`: `flipped`, `forged_head`.
    """
    counts = _unpack_counts(record, TAG_BROKEN)
    signed = record[: _COUNTS.size + _BROKEN.size]
    signature = record[len(signed) : len(signed) + SIGNATURE_BYTES]
    if record[len(signed) + SIGNATURE_BYTES :] != _footer(BROKEN_BYTES):
        raise DamagedRecordingError("flipped", "the end of the broken trailer was altered")
    marked_at_ms, reason, tail_bytes, tail_sha256, anchored, evidence = _BROKEN.unpack_from(record, _COUNTS.size)
    check_signature(evidence, signature, _DOMAIN + header_sha256 + signed)
    return BrokenMark(counts, marked_at_ms, _decode_reason(reason), tail_bytes, tail_sha256, anchored, evidence)


def trailer_bytes(footer: bytes) -> int | None:
    """The length of the trailer that a file's last 12 bytes announce, or None when they announce none."""
    if len(footer) != FOOTER_BYTES:
        return None
    length, magic = _FOOTER.unpack(footer)
    return int(length) if magic == END_MAGIC and length in (SEALED_BYTES, BROKEN_BYTES) else None


def _footer(length: int) -> bytes:
    return _FOOTER.pack(length, END_MAGIC)


def encode_reason(reason: str) -> bytes:
    """Raises `RecordingError("bad_reason")` unless it is a code of 1 to 64 characters of a-z, 0-9, '.', '_', '-'."""
    if not _WORD.match(reason):
        raise RecordingError("bad_reason", "a reason is 1 to 64 lower-case letters, digits, '.', '_' or '-'")
    return reason.encode("ascii")


def _decode_reason(padded: bytes) -> str:
    reason = padded.rstrip(b"\0").decode("ascii", "replace")
    if not _WORD.match(reason):
        raise DamagedRecordingError("forged_head", "a trailer was signed with a reason that is no code")
    return reason


def valid_public_key(public: bytes) -> bytes:
    """`public` unchanged. Raises `ValueError` unless it is 32 bytes."""
    if len(public) != KEY_BYTES:
        raise ValueError(f"a public key has {KEY_BYTES} bytes, not {len(public)}")
    return public
