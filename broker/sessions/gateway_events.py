"""Pure: what a gateway's report becomes in the trail. Bounded texts, no detail that the recording holds already."""

import json
from collections.abc import Mapping
from typing import Final

from broker.audit.model import AuditEvent
from broker.kernel.clock import milliseconds
from broker.sessions.events import CommandBlocked, ConnectionRefused, FileTransferred, GatewayObserved, SessionCutOnHost
from broker.sessions.model import ReportedEvent

BLOCKED: Final = "session.command.blocked"
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


def _whole(params: Mapping[str, str | int | bool | None], name: str) -> int:
    value = params.get(name)
    return value if isinstance(value, int) else 0


def _text(params: Mapping[str, str | int | bool | None], name: str, longest: int) -> str:
    value = params.get(name)
    return str(value)[:longest] if value is not None else ""
