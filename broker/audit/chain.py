"""The hash chain of the trail, as a function of values.

`hash(n) = SHA-256("sallyport audit v1\\0" | hash(n-1) | canonical(n))`, with 32 zero bytes before the first.
The canonical form is JSON with sorted keys, no spaces, in UTF-8; it holds the number, so
nothing can be dropped, moved or changed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from broker.audit.model import AuditRecord, FieldValue

GENESIS: Final = bytes(32)
_LABEL: Final = b"sallyport audit v1\0"


def canonical(seq: int, at: datetime, code: str, actor: str, subject: str, params: Mapping[str, FieldValue]) -> bytes:
    """The bytes of one record that the chain covers."""
    body = {
        "seq": seq,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "code": code,
        "actor": actor,
        "subject": subject,
        "params": dict(params),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def link(previous_hash: bytes, canonical_bytes: bytes) -> bytes:
    """The hash of a record that follows the one with `previous_hash`."""
    return hashlib.sha256(_LABEL + previous_hash + canonical_bytes).digest()


@dataclass(frozen=True)
class Break:
    """The first place at which a trail does not hold."""

    seq: int
    kind: Literal["altered", "missing", "relinked"]


@dataclass(frozen=True)
class Verified:
    """A trail that holds up to this record."""

    last_seq: int
    head: bytes


def verify(records: Iterable[AuditRecord], *, after: int = 0, previous: bytes = GENESIS) -> Verified | Break:
    """Walk the trail behind record `after`, whose hash is `previous`, and name the first record that does not fit."""
    expected_seq = after + 1
    for record in records:
        if record.seq != expected_seq:
            return Break(expected_seq, "missing")
        if record.previous_hash != previous:
            return Break(record.seq, "relinked")
        body = canonical(record.seq, record.at, record.code, record.actor, record.subject, record.params)
        if link(previous, body) != record.hash:
            return Break(record.seq, "altered")
        previous, expected_seq = record.hash, expected_seq + 1
    return Verified(expected_seq - 1, previous)
