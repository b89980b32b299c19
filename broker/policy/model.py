"""What the judge is given and what it answers: facts, rules, permits, verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from broker.policy.command_rules import CommandRules

DOORS: Final[Mapping[str, int]] = {"ssh": 2, "rdp": 3}
"""The door at which each protocol enters; door 1 is the vendor face."""


class Duty(Enum):
    """What the gateway must do while a permit is used."""

    RECORD = "record"
    WATCHED = "watched"
    HOLD_WHEN_FULL = "hold_when_full"


class Effect(Enum):
    """What an access rule says when it is the first that fits."""

    ALLOW = "allow"
    DENY = "deny"


class Standing(Enum):
    """Where a grant stands, as the judge sees it."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"
    USED = "used"


@dataclass(frozen=True)
class AccessRule:
    """One line of the site's access policy; the first that fits decides.

    `zones` and `targets` name what it is about, empty means any. `approvals` is how many people must have approved;
    `max_session` bounds one session whatever its grant says, None leaves the grant's end. `must_be_watched`: nothing
    that the engineer types reaches the target unless somebody at the plant watches. `hold_when_full`: a session whose
    recording finds no room waits for it; otherwise it ends.
    """

    rule_id: str
    effect: Effect
    protocols: frozenset[str]
    channels: tuple[str, ...] = ()
    zones: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    approvals: int = 1
    max_session: timedelta | None = None
    must_be_watched: bool = False
    hold_when_full: bool = False

    def __post_init__(self) -> None:
        if self.approvals < 1:
            raise ValueError(f"access rule {self.rule_id} needs at least one approval")

    def fits(self, *, protocol: str, zone_id: str, target_id: str) -> bool:
        """Whether this rule is about that protocol, zone and target."""
        return (
            protocol in self.protocols
            and (not self.zones or zone_id in self.zones)
            and (not self.targets or target_id in self.targets)
        )


@dataclass(frozen=True)
class PolicyRules:
    """The policy in force: the site's access rules in order, and the bounds that every connection meets."""

    version: str
    access: tuple[AccessRule, ...]
    commands: Mapping[str, CommandRules]
    knock_age: timedelta = timedelta(seconds=60)
    autonomy: timedelta = timedelta(seconds=300)
    idle: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        without = {protocol for rule in self.access for protocol in rule.protocols} - self.commands.keys()
        if without:
            raise ValueError(f"no command rules for {', '.join(sorted(without))}")
        if any(rules.policy_version != self.version for rules in self.commands.values()):
            raise ValueError("the command rules are of another version than the policy")

    def rule_for(self, *, protocol: str, zone_id: str, target_id: str) -> AccessRule | None:
        """The first access rule that fits; None means that nothing allows it."""
        return next(
            (rule for rule in self.access if rule.fits(protocol=protocol, zone_id=zone_id, target_id=target_id)), None
        )


@dataclass(frozen=True)
class Asked:
    """What the connection claims to be and wants."""

    protocol: str
    grant_id: str
    device_id: str
    account: str
    source: str


@dataclass(frozen=True)
class GrantFacts:
    """The grant as the database holds it."""

    grant_id: str
    standing: Standing
    person_id: str
    device_id: str
    target_id: str
    target_name: str
    zone_id: str
    account: str
    protocol: str
    not_before: datetime
    not_after: datetime
    approvals: int


@dataclass(frozen=True)
class PersonFacts:
    """The person the grant belongs to."""

    person_id: str
    name: str
    is_active: bool


@dataclass(frozen=True)
class DeviceFacts:
    """The device that knocked."""

    device_id: str
    person_id: str
    is_trusted: bool
    may_take_address_from_header: bool


@dataclass(frozen=True)
class LiveKnock:
    """A knock whose signature by the device's key was verified.

    `address` is None when the knock left it to the packet's header; `bind` is the SHA-256 of the key that it names.
    """

    device_id: str
    grant_id: str
    door: int
    stamp_at: datetime
    address: str | None
    bind: bytes


@dataclass(frozen=True)
class ClientProof:
    """The client's own signature over this very connection, verified under a certificate of our authority.

    `source` is the only address its certificate may be used from; `key_sha256` is the SHA-256 of its key's SPKI.
    """

    grant_id: str
    device_id: str
    source: str
    valid_after: datetime
    valid_before: datetime
    key_sha256: bytes


@dataclass(frozen=True)
class NotProven:
    """A knock or a proof that did not verify, and why."""

    code: str
    message: str


@dataclass(frozen=True)
class Facts:
    """Everything a verdict may depend on. `permit_id` names the permit, should there be one."""

    permit_id: str
    asked: Asked
    grant: GrantFacts
    person: PersonFacts
    device: DeviceFacts
    knock: LiveKnock | NotProven
    proof: ClientProof | NotProven


@dataclass(frozen=True)
class Permit:
    """The right to open one session to one target. Only the judge makes one."""

    permit_id: str
    grant_id: str
    person_id: str
    person_name: str
    device_id: str
    source: str
    target_id: str
    target_name: str
    account: str
    protocol: str
    not_before: datetime
    not_after: datetime
    autonomy: timedelta
    idle: timedelta
    policy_version: str
    rules: CommandRules
    duties: tuple[Duty, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reasoned:
    """What every verdict carries: the rule that decided, and the policy it stands in."""

    rule_id: str
    policy_version: str


@dataclass(frozen=True, kw_only=True)
class Allow(Reasoned):
    """The session may open under this permit."""

    permit: Permit
    duties: tuple[Duty, ...] = field(default=(Duty.RECORD,))


@dataclass(frozen=True, kw_only=True)
class NeedsApproval(Reasoned):
    """Not yet: someone of this role must approve first."""

    by: str


@dataclass(frozen=True, kw_only=True)
class Deny(Reasoned):
    """No, with a stable code and words for the person who is refused."""

    code: str
    message: str


Verdict = Allow | NeedsApproval | Deny
