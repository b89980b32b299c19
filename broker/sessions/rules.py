"""The session's state machine and its time limits, as functions of values."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from broker.sessions import errors
from broker.sessions.model import SessionCommand, SessionRecord, SessionState

MOVES: Final[Mapping[tuple[SessionState, SessionCommand], SessionState]] = MappingProxyType(
    {
        (SessionState.PENDING, SessionCommand.START): SessionState.LIVE,
        (SessionState.PENDING, SessionCommand.ORDER_END): SessionState.CLOSING,
        (SessionState.PENDING, SessionCommand.END): SessionState.CLOSED,
        (SessionState.LIVE, SessionCommand.ORDER_END): SessionState.CLOSING,
        (SessionState.LIVE, SessionCommand.END): SessionState.CLOSED,
        (SessionState.CLOSING, SessionCommand.END): SessionState.CLOSED,
    }
)

OPEN_STATES: Final = frozenset({SessionState.PENDING, SessionState.LIVE, SessionState.CLOSING})
PENDING_LIMIT: Final = timedelta(seconds=60)
ANSWER_LIMIT: Final = timedelta(seconds=3)
WORDS_CHARACTERS: Final = 200
MESSAGE_CHARACTERS: Final = 500
CLIENT_LEFT: Final = "client_left"
DEVICE_NOT_TRUSTED: Final = "device_not_trusted"
_REASON: Final = re.compile(r"[a-z][a-z0-9_.]{0,59}")


def moved(state: SessionState, command: SessionCommand) -> SessionState:
    """The state after this command.

    Raises Conflict (`sessions.not_in_state`) when the table has no such move.
    """
    after = MOVES.get((state, command))
    if after is None:
        raise errors.not_in_state(state.value, command.value)
    return after


def check_reason(reason: str) -> str:
    """The code of an end (`grant_revoked`, `vendor_left`).

    Raises Invalid when it is no code.
    """
    if _REASON.fullmatch(reason) is None:
        raise errors.bad_reason()
    return reason


def check_words(reason: str) -> str:
    """Words for the engineer, trimmed: why a session is cut or held, or a message.

    Raises Invalid when they are missing, too long or cannot be shown.
    """
    trimmed = " ".join(reason.split())
    if not trimmed or len(trimmed) > WORDS_CHARACTERS or not trimmed.isprintable():
        raise errors.words_needed()
    return trimmed


def check_message(text: str) -> str:
    """A message for the engineer, trimmed to one line.

    Raises Invalid when it is missing, too long or cannot be shown.
    """
    trimmed = " ".join(text.split())
    if not trimmed or len(trimmed) > MESSAGE_CHARACTERS or not trimmed.isprintable():
        raise errors.text_needed()
    return trimmed


def check_live(state: SessionState) -> None:
    """Raises Conflict `sessions.not_live` unless the session is live."""
    if state is not SessionState.LIVE:
        raise errors.not_live(state.value)


def end_reason(told: str, ordered: str | None, *, device_is_trusted: bool) -> str:
    """Why a session ended, from what its gateway told and the end that was ordered, if any.

    The firewall resets the connection of a device that is shut out before any order reaches the gateway, which then
    knows only that its client is gone.
    """
    if told != CLIENT_LEFT:
        return told
    if ordered is not None:
        return ordered
    return told if device_is_trusted else DEVICE_NOT_TRUSTED


def lost_because(record: SessionRecord, now: datetime) -> str | None:
    """Why an open session can be taken as over without its gateway's word, or None when it cannot.

    A gateway ends a session at its permit's end, and with control silent at twice the autonomy at the latest; whatever
    is open longer than that has no gateway any more.
    """
    if record.state is SessionState.PENDING and now >= record.admitted_at + PENDING_LIMIT:
        return "never_started"
    if record.state in OPEN_STATES and now >= record.not_after + timedelta(seconds=2 * record.autonomy_seconds):
        return "gateway_lost"
    return None


def is_unanswered(record: SessionRecord, now: datetime) -> bool:
    """Whether the gateway was ordered to end a session and stayed silent: its connections must be reset then.

    Once that is done (`unanswered_at`) it is not asked for again.
    """
    return (
        record.state is SessionState.CLOSING
        and record.unanswered_at is None
        and record.end_ordered_at is not None
        and now >= record.end_ordered_at + ANSWER_LIMIT
    )
