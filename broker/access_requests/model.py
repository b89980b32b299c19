"""A request for access, the approvals it gathered, and what an approver should notice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

REASON_CHARACTERS: Final = 500
WORK_ORDER_CHARACTERS: Final = 80
REFUSAL_CHARACTERS: Final = 500


class RequestState(Enum):
    """Where a request stands."""

    SUBMITTED = "submitted"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class RequestCommand(Enum):
    """What can be done to a request."""

    APPROVE = "approve"
    DENY = "deny"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"


@dataclass(frozen=True)
class Limits:
    """The site's bounds on what may be asked."""

    longest: timedelta = timedelta(hours=12)
    shortest: timedelta = timedelta(minutes=5)
    ahead: timedelta = timedelta(days=14)
    decide_within: timedelta = timedelta(hours=24)
    waiting_per_person: int = 20


@dataclass(frozen=True)
class Wish:
    """What is asked for. `starts_at` None means from the moment of approval."""

    reason: str
    work_order: str
    starts_at: datetime | None
    duration: timedelta


@dataclass(frozen=True)
class Notice:
    """Something an approver should see before deciding, as a code and one parameter."""

    code: str
    value: str | None = None


@dataclass(frozen=True)
class NoticeFacts:
    """What notices are drawn from: the requester's history and the device."""

    earlier_requests: int
    key_storage: str
    source: str
    last_source: str | None
    device_trusted_at: datetime | None


@dataclass(frozen=True)
class Window:
    """The time that was granted."""

    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        if self.not_before >= self.not_after:
            raise ValueError("a window ends after it begins")


@dataclass(frozen=True)
class Approval:
    """One person's yes; `duration` is what that person allows at most."""

    approver_id: str
    at: datetime
    duration: timedelta


@dataclass(frozen=True)
class AccessRequest:
    """A request as it stands."""

    id: str
    person_id: str
    device_id: str
    source: str
    target_id: str
    account: str
    protocol: str
    wish: Wish
    state: RequestState
    submitted_at: datetime
    lapses_at: datetime
    window: Window | None
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None
    notices: tuple[Notice, ...]

    @property
    def starts_at(self) -> datetime:
        """When access begins: as approved, else as asked, else (from approval on) as early as it could have."""
        if self.window is not None:
            return self.window.not_before
        return self.wish.starts_at or self.submitted_at

    @property
    def ends_at(self) -> datetime:
        """When access ends: as approved, else as asked."""
        return self.window.not_after if self.window is not None else self.starts_at + self.wish.duration


@dataclass(frozen=True)
class Approved:
    """Enough people said yes: this is what they granted."""

    window: Window
    approvals: int


@dataclass(frozen=True)
class StillWaiting:
    """A yes was counted; this many more are needed."""

    missing: int
