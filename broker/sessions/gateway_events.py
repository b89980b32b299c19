"""Pure: what a gateway's report becomes in the trail. Bounded texts, no detail that the recording holds already."""

import base64
import json
from collections.abc import Mapping
from typing import Final

from broker.audit.model import AuditEvent
from broker.kernel.clock import milliseconds
from broker.recordings.events import RecordingNearlySpent, RecordingResumed, RecordingStalled, StorageLevel
from broker.sessions.events import CommandBlocked, ConnectionRefused, FileTransferred, GatewayObserved, SessionCutOnHost
from broker.sessions.model import ReportedEvent
from recorder.manifest import Head

BLOCKED: Final = "session.command.blocked"
ANCHORED: Final = "recordings.recording.anchored"
RECORDING_HEALTH: Final = {
    "recordings.recording.stalled": "held",
    "recordings.recording.resumed": "good",
    "recordings.recording.nearly_spent": "nearly_spent",
}
"""What an event makes of the recording health that a session shows."""

REMOVAL: Final = "recordings.recording.removal"
RELEASE: Final = "recordings.copy.release"
PROBED: Final = "gateway.target.probed"
_NOT_AUDITED: Final = frozenset({"session.command.entered", "session.channel.opened"})
_COMMAND_CHARACTERS: Final = 2000
_TEXT_CHARACTERS: Final = 200
_SYSTEM: Final = "system:gateway"


def audit_event(event: ReportedEvent, session_id: str | None, person_id: str | None, worker: str) -> AuditEvent | None:
    """The audit event of one reported event, or None for what stands in the recording only.

    `session_id` and `person_id` are those of a session that is the worker's own; None when there is none.
    """
    if event.code in _NOT_AUDITED:
        return None
    at_ms = milliseconds(event.at)
    subject = session_id if session_id is not None else f"gateway:{worker}"
    match event.code:
        case _ if event.code == BLOCKED:
            return CommandBlocked(
                actor=person_id or _SYSTEM,
                subject=subject,
                rule_id=_text(event.params, "rule_id", _TEXT_CHARACTERS),
                command=_text(event.params, "text", _COMMAND_CHARACTERS),
                at_ms=at_ms,
            )
        case "session.file.transferred":
            return FileTransferred(
                actor=person_id or _SYSTEM,
                subject=subject,
                direction="up" if event.params.get("direction") == "up" else "down",
                path=_text(event.params, "path", _COMMAND_CHARACTERS),
                bytes=_whole(event.params, "bytes"),
                sha256=_text(event.params, "sha256", _TEXT_CHARACTERS) or None,
                complete=event.params.get("complete") is True,
                sequential=event.params.get("sequential") is True,
                at_ms=at_ms,
            )
        case "recordings.recording.stalled" | "recordings.recording.resumed" | "recordings.recording.nearly_spent":
            return _of_recording(event, subject, at_ms)
        case "recordings.storage.level":
            return StorageLevel(
                actor=_SYSTEM,
                subject=f"gateway:{worker}",
                level=_text(event.params, "level", _TEXT_CHARACTERS),
                before=_text(event.params, "before", _TEXT_CHARACTERS),
                free_bytes=_whole(event.params, "free_bytes"),
                at_ms=at_ms,
            )
        case "session.session.cut_on_host":
            return SessionCutOnHost(
                actor="system:host",
                subject=subject,
                reason=_text(event.params, "reason", _TEXT_CHARACTERS),
                operator=_text(event.params, "operator", _TEXT_CHARACTERS),
                at_ms=at_ms,
            )
        case "gateway.piggyback":
            door = event.params.get("door")
            return ConnectionRefused(
                actor=_SYSTEM,
                subject=subject,
                reason=_text(event.params, "reason", _TEXT_CHARACTERS),
                door=door if isinstance(door, int) else None,
                source=_text(event.params, "source", _TEXT_CHARACTERS),
                at_ms=at_ms,
            )
        case code:
            details = json.dumps(dict(event.params), sort_keys=True, ensure_ascii=False)
            return GatewayObserved(
                actor=_SYSTEM,
                subject=subject,
                event=code[:_TEXT_CHARACTERS],
                details=details[:_COMMAND_CHARACTERS],
                at_ms=at_ms,
            )


def _of_recording(event: ReportedEvent, session_id: str, at_ms: int) -> AuditEvent:
    match event.code:
        case "recordings.recording.stalled":
            error = _text(event.params, "error", _TEXT_CHARACTERS)
            return RecordingStalled(actor=_SYSTEM, subject=session_id, session_id=session_id, error=error, at_ms=at_ms)
        case "recordings.recording.resumed":
            held_ms = _whole(event.params, "held_ms")
            return RecordingResumed(
                actor=_SYSTEM, subject=session_id, session_id=session_id, held_ms=held_ms, at_ms=at_ms
            )
        case _:
            return RecordingNearlySpent(
                actor=_SYSTEM,
                subject=session_id,
                session_id=session_id,
                bytes=_whole(event.params, "bytes"),
                most_bytes=_whole(event.params, "most_bytes"),
                at_ms=at_ms,
            )


def anchor_of(event: ReportedEvent) -> Head | None:
    """The signed head of an `anchored` event; None when it is none, whatever is wrong with it."""
    params = event.params
    try:
        chain = bytes.fromhex(_text(params, "chain_sha256", 64))
        signature = base64.b64decode(_text(params, "signature_b64", 100), validate=True)
    except ValueError:
        return None
    numbers = [_whole(params, name) for name in ("batches", "frames", "bytes", "at_us")]
    if len(chain) != 32 or not all(0 <= number < 1 << 63 for number in numbers):
        return None
    return Head(numbers[0], numbers[1], numbers[2], numbers[3], chain, signature)


def removal_of(event: ReportedEvent) -> tuple[str, str]:
    """The recording of a removal or release, and what became of it."""
    return _text(event.params, "recording_id", 40), _text(event.params, "outcome", 80)


def _whole(params: Mapping[str, str | int | bool | None], name: str) -> int:
    value = params.get(name)
    return value if isinstance(value, int) else 0


def _text(params: Mapping[str, str | int | bool | None], name: str, longest: int) -> str:
    value = params.get(name)
    return str(value)[:longest] if value is not None else ""
