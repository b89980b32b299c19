"""A session, what the gateway asks of control, and what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from broker.kernel.sensitivity import SecretText
from broker.policy.model import Allow, Deny, NeedsApproval
from broker.recordings.model import ClosedFacts


class SessionState(Enum):
    """`pending → live → closing → closed`; a session that never became live goes straight to `closed`."""

    PENDING = "pending"
    LIVE = "live"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionCommand(Enum):
    """What can happen to a session: its lease, an order to end, its end."""

    START = "start"
    ORDER_END = "order_end"
    END = "end"


class OrderKind(Enum):
    """What control orders: `end` as a rule says, the others as somebody of the plant wants."""

    END = "end"
    CUT = "cut"
    FREEZE = "freeze"
    THAW = "thaw"
    MESSAGE = "message"
    WATCH = "watch"


@dataclass(frozen=True)
class SshProof:
    """What the client sent in SSH user authentication (RFC 4252 section 7), as the gateway passes it on.

    `certificate` is the certificate's wire form, `session_identifier` the connection's own (RFC 4253 section 7.2).
    """

    certificate: bytes = field(repr=False)
    signed_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    session_identifier: bytes = field(repr=False)


@dataclass(frozen=True)
class GatewayIdentity:
    """Which gateway worker speaks, and since which of its starts."""

    worker: str
    boot_id: str


@dataclass(frozen=True)
class AdmitRequest:
    """A connection that wants to become a session, with every proof for it."""

    gateway: GatewayIdentity
    protocol: str
    knock_id: str
    device_id: str
    grant_id: str
    source: str
    source_port: int
    username: str
    signed_knock: bytes = field(repr=False)
    proof: SshProof


@dataclass(frozen=True)
class Admitted:
    """The verdict was yes: the session and its recording have their names."""

    session_id: str
    recording_id: str
    verdict: Allow
    unseal_public: bytes = field(repr=False)
    unmask_publics: tuple[bytes, ...] = ()


AdmitAnswer = Admitted | Deny | NeedsApproval


@dataclass(frozen=True)
class LeaseAnswer:
    """What a live session needs to reach its target. `secret` prints as `***`."""

    lease_id: str
    address: str
    port: int
    host_key: str
    account: str
    kind: str
    secret: SecretText


@dataclass(frozen=True)
class Ended:
    """What the gateway says of a session that is over. `recording` is None when none was opened."""

    session_id: str
    reason: str
    ended_at: datetime
    recording: ClosedFacts | None
    exit_status: int | None


@dataclass(frozen=True)
class ReportedEvent:
    """One thing the gateway saw."""

    code: str
    at: datetime
    params: Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Report:
    """A numbered batch of what the gateway saw; `(boot_id, seq)` makes it count once."""

    session_id: str | None
    boot_id: str
    seq: int
    events: tuple[ReportedEvent, ...]


@dataclass(frozen=True)
class ProbeOrder:
    """A connection that a gateway worker tests up to the host key; `key_type` is the one to ask for first, or empty."""

    probe_id: str
    worker: str
    protocol: str
    address: str
    port: int
    key_type: str
    seconds: int


@dataclass(frozen=True)
class SessionRecord:
    """A session as it stands."""

    id: str
    grant_id: str
    person_id: str
    device_id: str
    source: str
    target_id: str
    account: str
    protocol: str
    permit_id: str
    recording_id: str
    knock_id: str
    worker: str
    boot_id: str
    policy_version: str
    rule_id: str
    autonomy_seconds: int
    state: SessionState
    not_after: datetime
    admitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    end_ordered_at: datetime | None
    end_order: str | None
    end_order_reason: str | None
    exit_status: int | None
    commands_blocked: int
    source_port: int
    must_be_watched: bool
    frozen_at: datetime | None
    frozen_reason: str | None
    unanswered_at: datetime | None
    recording_health: str = "good"


@dataclass(frozen=True)
class SessionOrder:
    """What a gateway worker must do to a session; `epoch` only rises, so an older order never undoes a newer one.

    `reason` is a code for `end` and words for the engineer otherwise; `watch_id` names the watch that is to begin.
    """

    session_id: str
    order: OrderKind
    reason: str
    epoch: int
    worker: str
    watch_id: str = ""
