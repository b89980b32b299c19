"""The grant's state machine and the checks before a certificate, as functions of values."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from broker.grants import errors
from broker.grants.model import Grant, GrantCommand, GrantState
from broker.policy.model import Standing

MOVES: Final[Mapping[tuple[GrantState, GrantCommand], GrantState]] = MappingProxyType(
    {
        (GrantState.ISSUED, GrantCommand.ACTIVATE): GrantState.ACTIVE,
        (GrantState.ACTIVE, GrantCommand.ACTIVATE): GrantState.ACTIVE,
        (GrantState.ISSUED, GrantCommand.EXPIRE): GrantState.EXPIRED,
        (GrantState.ACTIVE, GrantCommand.EXPIRE): GrantState.EXPIRED,
        (GrantState.ISSUED, GrantCommand.REVOKE): GrantState.REVOKED,
        (GrantState.ACTIVE, GrantCommand.REVOKE): GrantState.REVOKED,
        (GrantState.ISSUED, GrantCommand.FINISH): GrantState.USED,
        (GrantState.ACTIVE, GrantCommand.FINISH): GrantState.USED,
    }
)

LIVE_STATES: Final = frozenset({GrantState.ISSUED, GrantState.ACTIVE})
CERTIFICATE_LIFETIME: Final = timedelta(minutes=15)
CERTIFICATE_BACKDATED: Final = timedelta(seconds=60)
REASON_CHARACTERS: Final = 500

_STANDINGS: Final[Mapping[GrantState, Standing]] = MappingProxyType(
    {
        GrantState.ISSUED: Standing.LIVE,
        GrantState.ACTIVE: Standing.LIVE,
        GrantState.EXPIRED: Standing.EXPIRED,
        GrantState.REVOKED: Standing.REVOKED,
        GrantState.USED: Standing.USED,
    }
)


def moved(state: GrantState, command: GrantCommand) -> GrantState:
    """The state after this command.

    Raises Conflict (`grants.not_in_state`) when the table has no such move.
    """
    after = MOVES.get((state, command))
    if after is None:
        raise errors.not_in_state(state.value, command.value)
    return after


def standing(grant: Grant) -> Standing:
    """The grant's state in the judge's words."""
    return _STANDINGS[grant.state]


def check_usable(grant: Grant, device_id: str, now: datetime) -> None:
    """Refuse a certificate unless the grant is live, inside its window and this device's.

    Raises Forbidden with `denied`, `outside_window` or `device_not_trusted`.
    """
    if grant.device_id != device_id:
        raise errors.device_not_trusted()
    if grant.state in {GrantState.REVOKED, GrantState.USED}:
        raise errors.denied(grant.state.value)
    if grant.state is GrantState.EXPIRED or not grant.not_before <= now < grant.not_after:
        raise errors.outside_window()


def certificate_times(grant: Grant, now: datetime) -> tuple[datetime, datetime]:
    """From when to when a certificate issued now is valid: inside the grant's window, at most 15 minutes from now.

    It begins up to a minute early for clocks that are behind, but never before the grant. Certificates count in whole
    seconds: the end is rounded down, the beginning up, so neither leaves the window.
    """
    begin = max(grant.not_before, now - CERTIFICATE_BACKDATED)
    end = min(grant.not_after, now + CERTIFICATE_LIFETIME).replace(microsecond=0)
    if begin.microsecond:
        begin = begin.replace(microsecond=0) + timedelta(seconds=1)
    if begin >= end:
        raise errors.outside_window()
    return begin, end


def check_reason(reason: str) -> str:
    """The reason of a revocation, trimmed.

    Raises Invalid when it is missing or too long.
    """
    trimmed = " ".join(reason.split())
    if not trimmed or len(trimmed) > REASON_CHARACTERS or not trimmed.isprintable():
        raise errors.reason_needed()
    return trimmed
