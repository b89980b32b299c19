"""The checks and the state machine of access requests, as functions of values."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from broker.access_requests import errors
from broker.access_requests.model import (
    REASON_CHARACTERS,
    REFUSAL_CHARACTERS,
    WORK_ORDER_CHARACTERS,
    AccessRequest,
    Approval,
    Approved,
    Limits,
    Notice,
    NoticeFacts,
    RequestCommand,
    RequestState,
    StillWaiting,
    Window,
    Wish,
)

MOVES: Final[Mapping[tuple[RequestState, RequestCommand], RequestState]] = MappingProxyType(
    {
        (RequestState.SUBMITTED, RequestCommand.APPROVE): RequestState.APPROVED,
        (RequestState.SUBMITTED, RequestCommand.DENY): RequestState.DENIED,
        (RequestState.SUBMITTED, RequestCommand.WITHDRAW): RequestState.WITHDRAWN,
        (RequestState.SUBMITTED, RequestCommand.LAPSE): RequestState.LAPSED,
    }
)

_CLOCK_SLACK: Final = timedelta(minutes=5)
_NEWLY_TRUSTED: Final = timedelta(hours=24)


def moved(state: RequestState, command: RequestCommand) -> RequestState:
    """The state after this command.

    Raises Conflict (`access_requests.not_in_state`) when the table has no such move.
    """
    after = MOVES.get((state, command))
    if after is None:
        raise errors.not_in_state(state.value, command.value)
    return after


def check_wish(wish: Wish, limits: Limits, now: datetime) -> Wish:
    """The wish with its texts trimmed.

    Raises Invalid when a text is missing or too long, the duration is outside the limits, or the start lies in the
    past or too far ahead.
    """
    reason = _text("reason", wish.reason, REASON_CHARACTERS)
    work_order = _text("work_order", wish.work_order, WORK_ORDER_CHARACTERS)
    if not limits.shortest <= wish.duration <= limits.longest:
        shortest, longest = int(limits.shortest.total_seconds()), int(limits.longest.total_seconds())
        raise errors.invalid("duration_seconds", f"Ask for between {shortest} and {longest} seconds.")
    if wish.starts_at is not None and wish.starts_at > now + limits.ahead:
        raise errors.invalid("starts_at", f"Access can be asked for at most {limits.ahead.days} days ahead.")
    if wish.starts_at is not None and wish.starts_at < now - _CLOCK_SLACK:
        raise errors.invalid("starts_at", "The start lies in the past; leave it out to begin with the approval.")
    return Wish(reason, work_order, wish.starts_at, wish.duration)


def check_refusal(reason: str) -> str:
    """The reason of a refusal, trimmed.

    Raises Invalid when it is missing or too long.
    """
    return _text("reason", reason, REFUSAL_CHARACTERS)


def lapses_at(wish: Wish, limits: Limits, submitted_at: datetime) -> datetime:
    """When an undecided request is worth nothing any more."""
    return submitted_at + limits.decide_within if wish.starts_at is None else wish.starts_at + wish.duration


def approve(
    request: AccessRequest,
    given: Sequence[Approval],
    *,
    approver_id: str,
    duration: timedelta | None,
    vouchers: Collection[str],
    required: int,
    now: datetime,
    able: Collection[str] | None = None,
) -> Approved | StillWaiting:
    """What one more yes does.

    `given` are the approvals so far, of which only those of `able` people count (None: all; somebody may have been
    suspended since), `vouchers` the people who invited, trusted or resumed the device, `required` how many people must
    approve, `duration` what this approver allows at most (None: as asked). The shortest duration counts.
    Raises a refusal of `errors` when this person may not approve, or would grant more than was asked.
    """
    moved(request.state, RequestCommand.APPROVE)
    if approver_id == request.person_id:
        raise errors.approver_is_requester()
    if any(approval.approver_id == approver_id for approval in given):
        raise errors.approver_counted()
    allowed = request.wish.duration if duration is None else duration
    if not timedelta(0) < allowed <= request.wish.duration:
        raise errors.wider_than_asked()
    counted = [approval for approval in given if able is None or approval.approver_id in able]
    people = {approver_id, *(approval.approver_id for approval in counted)}
    if len(people) >= required and people <= set(vouchers):
        raise errors.approver_vouched_for_device()
    shortest = min([allowed, *(approval.duration for approval in given)])
    window = _window(request.wish, shortest, now)
    if len(people) < required:
        return StillWaiting(required - len(people))
    return Approved(window, len(people))


def notices(facts: NoticeFacts, now: datetime) -> tuple[Notice, ...]:
    """What the approver should see before deciding."""
    found: list[Notice] = []
    if facts.earlier_requests == 0:
        found.append(Notice("access_requests.first_request"))
    if facts.key_storage == "file":
        found.append(Notice("access_requests.device_key_in_file"))
    if facts.last_source is not None and facts.last_source != facts.source:
        found.append(Notice("access_requests.source_differs", facts.last_source))
    if facts.device_trusted_at is not None and now - facts.device_trusted_at < _NEWLY_TRUSTED:
        found.append(Notice("access_requests.device_newly_trusted"))
    return tuple(found)


def _window(wish: Wish, duration: timedelta, now: datetime) -> Window:
    # Certificates count in whole seconds: a window that begins at once must not begin a moment after its approval.
    starts_at = (now if wish.starts_at is None else wish.starts_at).replace(microsecond=0)
    if starts_at + duration <= now:
        raise errors.window_over()
    return Window(starts_at, starts_at + duration)


def _text(field: str, value: str, longest: int) -> str:
    trimmed = " ".join(value.split())
    if not trimmed:
        raise errors.invalid(field, f"The field {field} must say something.")
    if len(trimmed) > longest:
        raise errors.invalid(field, f"The field {field} holds at most {longest} characters.")
    if not trimmed.isprintable():
        raise errors.invalid(field, f"The field {field} holds characters that cannot be shown.")
    return trimmed
