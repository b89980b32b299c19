"""What this device confirms of its sessions: the plant's word while they run and at their end, judged. Pure.

The plant proposes a receipt; the device signs it when nothing contradicts what it was told before and what it did
itself, and otherwise signs why it does not.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from spa_knock.client.fields import FieldError, as_object, get_hex, get_int, get_objects, get_text
from spa_knock.client.language import tr
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import HeadFacts, Receipt

MOST_DUE: Final = 50
_PATIENCE_MS: Final = 300_000
"""How long the end of a recording is waited for after its session's end."""
_FILE_NAME: Final = re.compile(r"[a-z0-9_]{1,80}", re.ASCII)
_TEXTS: Final = ("site", "session_id", "grant_id", "device_id", "target", "recording_id", "signing_key")
_MORE_TEXTS: Final = ("header_sha256", "head", "head_signature", "end")


@dataclass(frozen=True, slots=True)
class Watched:
    """What the plant told of one session so far. Keys and hashes in hexadecimal, moments in milliseconds.

    `trouble` is the first thing that a receipt cannot be given for; `answer` what the plant said to what it was sent:
    `received`, `refused`, or a problem's code. Both are empty at first.
    """

    recording_id: str
    signing_key: str
    header_sha256: str
    batches: int = 0
    frames: int = 0
    chain_sha256: str = ""
    heads_seen: int = 0
    trouble: str = ""
    answer: str = ""
    told_at_ms: int = 0

    def to_object(self) -> dict[str, object]:
        return asdict(self)


def watched_from_object(source: Mapping[str, object]) -> Watched:
    """Reads what `Watched.to_object` wrote. Raises FieldError."""
    return Watched(
        recording_id=get_text(source, "recording_id", most=80),
        signing_key=get_hex(source, "signing_key", length=32).hex(),
        header_sha256=get_hex(source, "header_sha256", length=32).hex(),
        batches=get_int(source, "batches"),
        frames=get_int(source, "frames"),
        chain_sha256=_text(source, "chain_sha256", most=64),
        heads_seen=get_int(source, "heads_seen"),
        trouble=_text(source, "trouble", most=80),
        answer=_text(source, "answer", most=80),
        told_at_ms=get_int(source, "told_at_ms"),
    )


def read_due(body: object) -> list[Receipt]:
    """The answer of `GET /receipts/due`: what the plant proposes, not yet judged. Raises FieldError."""
    return [_proposed(item) for item in get_objects(as_object(body), "items", most=MOST_DUE)]


def is_over(told: Receipt, now_ms: int) -> bool:
    """Whether the session is over and so is its recording, or the recording's end did not come in time."""
    if not told.ended_ms:
        return False
    return told.end != "running" or now_ms - told.ended_ms > _PATIENCE_MS


def watch(before: Watched | None, told: Receipt, now_ms: int) -> Watched:
    """What is known of the session after this was told of it."""
    first = before or Watched(told.recording_id, told.signing_key, told.header_sha256)
    seen = replace(first, told_at_ms=now_ms)
    if (told.recording_id, told.signing_key, told.header_sha256) != (
        seen.recording_id,
        seen.signing_key,
        seen.header_sha256,
    ):
        return _troubled(seen, "other_recording")
    try:
        facts = told.head_facts()
    except ReceiptError:
        return _troubled(seen, "head_not_signed")
    if facts is None:
        return _troubled(seen, "went_back") if seen.heads_seen else seen
    if _contradicts(seen, facts):
        return _troubled(seen, "went_back")
    if seen.heads_seen and facts.batches == seen.batches:
        return seen
    return replace(
        seen,
        batches=facts.batches,
        frames=facts.frames,
        chain_sha256=facts.chain_sha256.hex(),
        heads_seen=seen.heads_seen + 1,
    )


def judged(before: Watched | None, told: Receipt, asked_target: str | None, now_ms: int) -> Receipt:
    """The receipt, or the refusal, that the device signs for a session that is over.

    `asked_target` is the target that somebody here knocked for under this session's grant; None when nobody did.
    """
    seen = watch(before, told, now_ms)
    refusal = seen.trouble or ("" if told.head else "no_head")
    if asked_target != told.target:
        refusal = "other_target"
    heads_seen = before.heads_seen if before else 0
    return replace(told, heads_seen=heads_seen, signed_at_ms=now_ms, refusal=refusal)


def _contradicts(seen: Watched, facts: HeadFacts) -> bool:
    """A recording only grows, and never tells two histories of the same batches."""
    if not seen.heads_seen:
        return False
    if facts.batches == seen.batches:
        return (facts.frames, facts.chain_sha256.hex()) != (seen.frames, seen.chain_sha256)
    return facts.batches < seen.batches or facts.frames <= seen.frames


def _troubled(seen: Watched, why: str) -> Watched:
    return replace(seen, trouble=seen.trouble or why)


def _proposed(item: Mapping[str, object]) -> Receipt:
    texts = {name: _text(item, name, most=400) for name in (*_TEXTS, *_MORE_TEXTS)}
    if not _FILE_NAME.fullmatch(texts["session_id"]):
        raise FieldError(tr("{name} is not an id", name="session_id"))
    try:
        return Receipt(
            **texts,
            began_ms=get_int(item, "began_ms"),
            ended_ms=get_int(item, "ended_ms"),
            heads_seen=0,
            signed_at_ms=0,
        )
    except FieldError:
        raise
    except ValueError:
        raise FieldError(tr("the plant proposes a receipt that cannot be one")) from None


def _text(source: Mapping[str, object], name: str, *, most: int) -> str:
    """A text that may be empty."""
    return "" if source.get(name) == "" else get_text(source, name, most=most)
