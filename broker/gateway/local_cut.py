"""Root's way to end sessions while the control plane is away: `list` and `cut` on a Unix socket of their own.

A cut here drops both legs at once, as one that control orders. It is reported through the spool, so that the trail has
it once when control is back; until then no session is begun under the same grant. It opens no door and shuts none: a
window that a knock has opened ends by itself, and nobody is admitted while control is silent.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import structlog

from spa_knock.link.answering import Answering

PAGE: Final = 100
REASON_CHARACTERS: Final = 200
_OPERATOR_CHARACTERS: Final = 64
_IDLE_SECONDS: Final = 60.0

_log = structlog.get_logger("gateway.cut")

Message = Mapping[str, object]


class CuttableSessions(Protocol):
    """What is needed of the live sessions (`gateway.Sessions`)."""

    def shown(self) -> Sequence[Mapping[str, str | int]]:
        """Every live session for a list, each with its `session_id`, in a lasting order."""
        ...

    def cut_here(self, session_ids: Sequence[str], reason: str, operator: str) -> list[str]:
        """Cuts these sessions; those that were there."""
        ...


class LocalCut:
    """Answers `list` and `cut`."""

    def __init__(self, sessions: CuttableSessions) -> None:
        self._sessions = sessions

    def listener(self, uid: int) -> Answering:
        """Serves one user id, root's unless a test says otherwise."""

        async def answer(question: Message) -> dict[str, object]:
            return self._answer(question)

        return Answering(
            answer, uid=uid, problem=lambda what, seen: _log.warning(what, seen=seen), idle_seconds=_IDLE_SECONDS
        )

    def _answer(self, message: Message) -> dict[str, object]:
        match message.get("type"):
            case "list":
                return self._list(message)
            case "cut":
                return self._cut(message)
            case _:
                return _refused("unknown_verb", "This is not known here.")

    def _list(self, message: Message) -> dict[str, object]:
        after = message.get("after") or ""
        if not isinstance(after, str):
            return _refused("malformed", "`after` is a session's id.")
        shown = list(self._sessions.shown())
        start = next((at for at, one in enumerate(shown, 1) if one["session_id"] == after), 0)
        return {"type": "sessions", "items": shown[start : start + PAGE], "more": len(shown) > start + PAGE}

    def _cut(self, message: Message) -> dict[str, object]:
        reason, operator = message.get("reason"), message.get("operator", "")
        session_id, everything = message.get("session_id"), message.get("all", False)
        if not isinstance(reason, str) or not isinstance(operator, str) or everything not in (True, False):
            return _refused("malformed", "`reason` and `operator` are texts, `all` is true or false.")
        words = " ".join(reason.split())
        if not words or len(words) > REASON_CHARACTERS or not words.isprintable():
            return _refused("reason_needed", f"Say why, in at most {REASON_CHARACTERS} characters.")
        if isinstance(session_id, str) == everything:
            return _refused("malformed", "Either one `session_id`, or `all`.")
        wanted = [str(one["session_id"]) for one in self._sessions.shown()] if everything else [str(session_id)]
        cut = self._sessions.cut_here(wanted, words, operator[:_OPERATOR_CHARACTERS])
        if not cut and not everything:
            return _refused("unknown_session", "No such session runs here.")
        _log.warning("cut_on_host", sessions=cut, reason=words, operator=operator)
        return {"type": "done", "sessions": cut}


def _refused(code: str, message: str) -> dict[str, object]:
    return {"type": "refused", "code": code, "message": message}
