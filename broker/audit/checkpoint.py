"""Checkpoints: signed statements of where the trail stood, for a witness to keep. Pure.

A checkpoint is `{site, seq, head, at}`: up to record `seq` the trail of `site` had the hash `head`, at that moment. Its
canonical form is JSON with sorted keys and no spaces in UTF-8; the checkpoint key signs (Ed25519, RFC 8032) a label and
that form. One line of a witness file is `{"checkpoint": {…}, "signature_b64": "…", "v": 1}`.

Whoever holds the database can write another history that fits in itself. It shows here: the head of some record differs
from what the witness holds.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from broker.audit.chain import GENESIS
from broker.audit.model import AuditRecord

_LABEL: Final = b"sallyport checkpoint v1\0"
_VERSION: Final = 1
LINE_BYTES: Final = 1024


class NotAuthentic(Exception):
    """A line is no checkpoint of this site that the checkpoint key has signed; says why."""


class Torn(Exception):
    """A line is the beginning of a checkpoint whose writing did not finish."""


@dataclass(frozen=True)
class Checkpoint:
    """Where the trail of a site stood."""

    site: str
    seq: int
    head: bytes
    at: datetime

    def __post_init__(self) -> None:
        if self.seq < 0 or len(self.head) != len(GENESIS) or self.at.tzinfo is None:
            raise ValueError("a checkpoint has a number from 0, a head of 32 bytes and an aware moment")

    def canonical(self) -> bytes:
        """The bytes that are signed, but for the label."""
        return _json(self._body())

    def _body(self) -> dict[str, object]:
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return {"site": self.site, "seq": self.seq, "head": self.head.hex(), "at": at}

    def signed(self, key: Ed25519PrivateKey) -> bytes:
        """The line of a witness file, without its line feed."""
        return self.line(key.sign(_LABEL + self.canonical()))

    def line(self, signature: bytes) -> bytes:
        """The one way in which a line with this signature is written."""
        encoded = base64.b64encode(signature).decode()
        return _json({"v": _VERSION, "checkpoint": self._body(), "signature_b64": encoded})


def read_line(line: bytes, public_key: Ed25519PublicKey, site: str) -> Checkpoint:
    """The checkpoint on one line of a witness file.

    Raises Torn for what a crash leaves of a line, NotAuthentic for everything else that this site's key has not signed.
    """
    if len(line) > LINE_BYTES:
        raise NotAuthentic("the line is longer than any checkpoint")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        if not line.endswith(b"}"):
            raise Torn("the writing of this line did not finish") from None
        raise NotAuthentic("the line is not JSON") from None
    try:
        body = document["checkpoint"]
        found = Checkpoint(body["site"], body["seq"], bytes.fromhex(body["head"]), datetime.fromisoformat(body["at"]))
        signature = base64.b64decode(document["signature_b64"], validate=True)
        # One checkpoint has one spelling: base64 would leave four bits of its last letter free.
        written = found.line(signature)
        if document["v"] != _VERSION or written != line:
            raise NotAuthentic("the line is not in the form in which checkpoints are written")
        public_key.verify(signature, _LABEL + found.canonical())
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise NotAuthentic("the line is no checkpoint") from None
    except InvalidSignature:
        raise NotAuthentic("the signature is not this site's") from None
    if found.site != site:
        raise NotAuthentic(f"the checkpoint is of another site, {found.site!r}")
    return found


@dataclass(frozen=True)
class Difference:
    """The first place at which a trail is not the one that was witnessed.

    `rewritten`: record `seq` has another hash than the witness holds; every record up to `agrees_until` is the one that
    was witnessed, so the first change lies after it. `truncated`: the trail ends before `seq`, which the witness holds.
    """

    kind: Literal["rewritten", "truncated"]
    seq: int
    agrees_until: int
    witnessed: Checkpoint


class Comparison:
    """Compares a trail with what was witnessed while somebody else walks it."""

    def __init__(self, witnessed: Sequence[Checkpoint]) -> None:
        self._witnessed = sorted(witnessed, key=lambda one: one.seq)
        self._next = 0
        self._agrees_until = 0
        self._difference: Difference | None = None
        self._compare(0, GENESIS)

    def see(self, record: AuditRecord) -> None:
        """The next record of the trail goes by."""
        self._compare(record.seq, record.hash)

    def first_difference(self) -> Difference | None:
        """What was found, once the whole trail has gone by."""
        if self._difference is None and self._next < len(self._witnessed):
            missing = self._witnessed[self._next]
            return Difference("truncated", missing.seq, self._agrees_until, missing)
        return self._difference

    @property
    def agrees_until(self) -> int:
        """The last record that is known to be the witnessed one, and with it all before it."""
        return self._agrees_until

    def _compare(self, seq: int, head: bytes) -> None:
        while self._next < len(self._witnessed) and self._witnessed[self._next].seq <= seq:
            witnessed = self._witnessed[self._next]
            self._next += 1
            if self._difference is not None:
                continue
            if witnessed.seq == seq and witnessed.head == head:
                self._agrees_until = seq
            else:
                self._difference = Difference("rewritten", witnessed.seq, self._agrees_until, witnessed)


def first_difference(records: Iterable[AuditRecord], witnessed: Sequence[Checkpoint]) -> Difference | None:
    """Where this trail first differs from what was witnessed; None when it does not."""
    comparison = Comparison(witnessed)
    for record in records:
        comparison.see(record)
    return comparison.first_difference()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
