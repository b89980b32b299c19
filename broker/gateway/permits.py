"""Pure: what the gateway holds of a permit and a lease, read strictly from control's answers.

Only control makes permits; these classes check that an answer is whole, so that nothing after them needs to doubt it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.policy.command_rules import CommandRules


class BadAnswer(ValueError):
    """Control's answer is not what the contract says; nothing is opened on it."""


class Secret:
    """A value that does not show itself in text; `reveal` is for the one call that needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SessionPermit:
    """The permit of one session: who, from where, to what, how long, and under which command rules."""

    permit_id: str
    person_id: str
    person_name: str
    device_id: str
    source: str
    target_id: str
    target_name: str
    account: str
    protocol: str
    not_after_ms: int
    autonomy_seconds: int
    idle_seconds: int
    rules: CommandRules
    duties: frozenset[str]
    channels: frozenset[str]

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "SessionPermit":
        """Raises BadAnswer. An idle limit of 0 means none; every other bound must be given."""
        rules = data.get("rules")
        if not isinstance(rules, Mapping):
            raise BadAnswer("a permit carries its command rules")
        try:
            compiled = CommandRules.from_json(rules)
        except ValueError as error:
            raise BadAnswer(f"the permit's command rules cannot be read: {error}") from error
        return cls(
            permit_id=text(data, "permit_id"),
            person_id=text(data, "person_id"),
            person_name=text(data, "person_name"),
            device_id=text(data, "device_id"),
            source=text(data, "source"),
            target_id=text(data, "target_id"),
            target_name=text(data, "target_name"),
            account=text(data, "account"),
            protocol=text(data, "protocol"),
            not_after_ms=number(data, "not_after_ms"),
            autonomy_seconds=number(data, "autonomy_seconds"),
            idle_seconds=number(data, "idle_seconds"),
            rules=compiled,
            duties=_names(data, "duties"),
            channels=_names(data, "channels"),
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """Control's `allow`: the session's ids, its permit and the key that its recording is sealed to.

    `unmask_publics`: the two auditors' keys for typed input that is not shown; empty where the site has none.
    """

    session_id: str
    recording_id: str
    permit: SessionPermit
    unseal_public: bytes
    unmask_publics: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Denial:
    """Control's refusal, with words for the engineer."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Lease:
    """One credential for one session and one target: where to go, the key that must answer, and how to sign in."""

    lease_id: str
    address: str
    port: int
    host_key: str
    account: str
    credential_kind: str
    secret: Secret = field(repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Lease":
        """Raises BadAnswer, also for a kind of credential that is not known."""
        credential = data.get("credential")
        if not isinstance(credential, Mapping):
            raise BadAnswer("a lease carries a credential")
        kind = text(credential, "kind")
        if kind not in ("password", "private_key"):
            raise BadAnswer(f"a credential of kind {kind!r} is not known")
        return cls(
            lease_id=text(data, "lease_id"),
            address=text(data, "address"),
            port=number(data, "port"),
            host_key=text(data, "host_key"),
            account=text(data, "account"),
            credential_kind=kind,
            secret=Secret(text(credential, "secret")),
        )


def text(data: Mapping[str, object], name: str) -> str:
    """A text that must be there and not be empty. Raises BadAnswer."""
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise BadAnswer(f"`{name}` is missing in control's answer")
    return value


def number(data: Mapping[str, object], name: str) -> int:
    """A whole number, zero or more. Raises BadAnswer."""
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadAnswer(f"`{name}` is missing in control's answer")
    return value


def _names(data: Mapping[str, object], name: str) -> frozenset[str]:
    value = data.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadAnswer(f"`{name}` is missing in control's answer")
    return frozenset(value)
